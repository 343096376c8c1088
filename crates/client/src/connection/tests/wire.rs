//! A wire between client and hub on which frames are lost or changed.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use drawspan_amqp::frame::{self, split_frame};
use drawspan_amqp::performative::Performative;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

/// Whose frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Client,
    Hub,
}

/// The action for a frame.
pub(super) enum FrameAction {
    Passes,
    IsLost,
    Becomes(Performative),
}

/// Decides by sender, channel and frame.
pub(super) type Decide = Box<dyn FnMut(Of, u16, Performative) -> FrameAction + Send>;

const PROTOCOL_HEADER_BYTES: usize = 8;
const BUFFER_BYTES: usize = 64 * 1_024;

/// Joins two streams, of which the hub has the other end of `hub`. Returns the client's.
pub(super) fn join(hub: DuplexStream, decide: Decide) -> DuplexStream {
    let (client, ours) = duplex(BUFFER_BYTES);
    let decide = Arc::new(Mutex::new(decide));
    let (from_hub, to_hub) = split(hub);
    let (from_client, to_client) = split(ours);
    tokio::spawn(carry(Of::Client, from_client, to_hub, Arc::clone(&decide)));
    tokio::spawn(carry(Of::Hub, from_hub, to_client, decide));
    client
}

async fn carry(
    of: Of,
    mut from: ReadHalf<DuplexStream>,
    mut to: WriteHalf<DuplexStream>,
    decide: Arc<Mutex<Decide>>,
) {
    let mut input = BytesMut::new();
    let mut output = BytesMut::new();
    let mut begun = false;
    while from.read_buf(&mut input).await.is_ok_and(|count| count > 0) {
        if !begun && input.len() >= PROTOCOL_HEADER_BYTES {
            output.extend_from_slice(&input.split_to(PROTOCOL_HEADER_BYTES));
            begun = true;
        }
        while begun
            && pass(&mut input, &mut output, |channel, performative| {
                decide.lock().unwrap()(of, channel, performative)
            })
        {}
        if to.write_all_buf(&mut output).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// Passes a frame on, if there is a whole one.
fn pass(
    input: &mut BytesMut,
    output: &mut BytesMut,
    decide: impl FnOnce(u16, Performative) -> FrameAction,
) -> bool {
    let mut whole = input.clone();
    let Some(frame) = split_frame(input, u32::MAX).unwrap() else {
        return false;
    };
    whole.truncate(whole.len() - input.len());
    let performative = frame::decode_performative(frame.body).unwrap();
    match performative.map(|performative| decide(frame.channel, performative)) {
        Some(FrameAction::IsLost) => {}
        Some(FrameAction::Becomes(other)) => {
            frame::encode_performative(output, frame.channel, &other)
        }
        Some(FrameAction::Passes) | None => output.extend_from_slice(&whole),
    }
    true
}
