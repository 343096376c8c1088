//! The socket under a test's connection, with a hand in what passes: for what a well-behaved engine does not do.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use drawspan_amqp::engine::Connection;
use drawspan_amqp::frame::{decode_performative, encode_performative, split_frame};
use drawspan_amqp::performative::Performative;
use drawspan_net::{Clock, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const AMQP_TYPE: u8 = 0;

pub(super) struct Wire {
    stream: Stream,
    incoming: BytesMut,
    /// The engine does not know `max-message-size`, and so does not respect it.
    pub(super) heedless: bool,
    /// The credit that is given next is to be used up.
    pub(super) drain_next: bool,
    /// Credit was used up by the other end.
    pub(super) drained: bool,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            heedless: false,
            drain_next: false,
            drained: false,
        }
    }

    /// Writes what there is.
    pub(super) async fn flush(&mut self, connection: &mut Connection, clock: Clock) {
        loop {
            let mut output = connection.poll_output().split();
            if output.is_empty() {
                break;
            }
            if self.drain_next {
                output = self.with_drain(output);
            }
            if self.stream.write_all(&output).await.is_err() {
                break;
            }
            connection.wrote(clock.now());
        }
        let _ = self.stream.flush().await;
    }

    /// Writes what there is, and reads once. When the stream ends, the connection is over.
    pub(super) async fn turn(&mut self, connection: &mut Connection, clock: Clock) {
        self.flush(connection, clock).await;
        let mut chunk = vec![0; 64 * 1024];
        match self.stream.read(&mut chunk).await {
            Ok(0) | Err(_) => give_up(connection, clock),
            Ok(count) => {
                self.incoming.extend_from_slice(&chunk[..count]);
                while let Some(unit) = self.unit() {
                    connection.input().extend_from_slice(&unit);
                }
                connection.received(clock.now());
            }
        }
    }

    /// The next protocol header or frame that has arrived.
    fn unit(&mut self) -> Option<Bytes> {
        let size = u32::from_be_bytes(*self.incoming.first_chunk()?) as usize;
        let size = if self.incoming.starts_with(b"AMQP") {
            8
        } else {
            size
        };
        if self.incoming.len() < size {
            return None;
        }
        let unit = self.incoming.split_to(size).freeze();
        match frame(&unit) {
            Some((channel, Performative::Attach(mut attach))) if self.heedless => {
                attach.max_message_size = None;
                Some(encoded(channel, &Performative::Attach(attach)))
            }
            Some((_, Performative::Flow(flow))) if flow.drain => {
                self.drained = true;
                Some(unit)
            }
            _ => Some(unit),
        }
    }

    fn with_drain(&mut self, mut output: BytesMut) -> BytesMut {
        let mut changed = BytesMut::new();
        while let Some(size) = output.first_chunk().map(|size| u32::from_be_bytes(*size)) {
            let unit = output.split_to(size as usize).freeze();
            match frame(&unit) {
                Some((channel, Performative::Flow(mut flow))) if flow.handle.is_some() => {
                    flow.drain = true;
                    self.drain_next = false;
                    changed.extend_from_slice(&encoded(channel, &Performative::Flow(flow)));
                }
                _ => changed.extend_from_slice(&unit),
            }
        }
        changed
    }
}

/// Time passes until the connection believes that its peer is gone.
fn give_up(connection: &mut Connection, clock: Clock) {
    let end = clock.now() + Duration::from_secs(3600);
    connection.close(None, end);
    while let Some(deadline) = connection.deadline() {
        connection.tick(deadline);
    }
}

fn frame(unit: &Bytes) -> Option<(u16, Performative)> {
    const TYPE: usize = 5;
    if unit.starts_with(b"AMQP") || unit[TYPE] != AMQP_TYPE {
        return None;
    }
    let raw = split_frame(&mut BytesMut::from(&unit[..]), u32::MAX).unwrap()?;
    Some((raw.channel, decode_performative(raw.body).unwrap()?))
}

fn encoded(channel: u16, performative: &Performative) -> Bytes {
    let mut out = BytesMut::new();
    encode_performative(&mut out, channel, performative);
    out.freeze()
}
