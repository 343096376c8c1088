//! Recorded input of official clients, and damaged versions of it, fed to a server whose embedder accepts everything.

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;

use super::message;
use crate::engine::{AcceptOptions, Closed, Config, Connection, Credit, Event};
use crate::frame;
use crate::limits;
use crate::performative::{DeliveryState, Performative, SaslCode};
use crate::value::Symbol;

const CONVERSATIONS: usize = 20_000;
const MECHANISMS: [&str; 4] = ["ANONYMOUS", "PLAIN", "EXTERNAL", "MSSBCBS"];

/// The frames and headers of a client on one connection.
struct Conversation {
    place: String,
    parts: Vec<Vec<u8>>,
    /// Frames of which only the beginning was recorded are missing.
    is_whole: bool,
}

fn conversations() -> Vec<Conversation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frames");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        for (index, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.starts_with("# connection") {
                found.push(Conversation {
                    place: format!("{name}:{}", index + 1),
                    parts: Vec::new(),
                    is_whole: true,
                });
            }
            let (Some(conversation), Some(hex)) = (found.last_mut(), line.strip_prefix("client "))
            else {
                continue;
            };
            match hex.contains('…') {
                true => conversation.is_whole = false,
                false => conversation.parts.push(bytes(hex)),
            }
        }
    }
    found.retain(|conversation| !conversation.parts.is_empty());
    found
}

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(pair).collect()
}

/// A server that takes every link, settles every delivery, and sends whenever it may.
struct Server {
    connection: Connection,
    output: BytesMut,
    events: usize,
    deliveries: usize,
    closed: Option<Closed>,
}

impl Server {
    fn new() -> Self {
        let mechanisms = MECHANISMS.map(Symbol::from_static).to_vec();
        Self {
            connection: Connection::server(Config::default(), mechanisms, Duration::ZERO),
            output: BytesMut::new(),
            events: 0,
            deliveries: 0,
            closed: None,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.connection.input().extend_from_slice(bytes);
        self.connection.received(Duration::ZERO);
        while let Some(event) = self.connection.poll_event(Duration::ZERO) {
            assert_eq!(self.closed, None, "nothing follows the end");
            self.events += 1;
            self.on_event(event);
        }
        // At most one incomplete frame waits, and nothing after the end.
        let bound = limits::MAX_FRAME_BYTES as usize + bytes.len();
        assert!(self.connection.input().len() <= bound);
        assert!(self.connection.queued_bytes <= limits::MAX_QUEUED_BYTES);
        assert_eq!(self.connection.is_done(), self.closed.is_some());
    }

    /// Takes what there is to write.
    fn write(&mut self) {
        let output = self.connection.poll_output();
        assert!(output.len() < limits::OUTPUT_HARD_BYTES);
        self.output.unsplit(output.split());
    }

    fn on_event(&mut self, event: Event) {
        let connection = &mut self.connection;
        match event {
            Event::SaslInit { .. } => connection.sasl_outcome(SaslCode::Ok, Duration::ZERO),
            Event::AttachRequested { link, .. } => {
                let options = AcceptOptions {
                    credit: Some(Credit::Auto(10)),
                    ..AcceptOptions::default()
                };
                connection.accept(link, options).unwrap();
                send(connection, link);
            }
            Event::Credit { link, drain, .. } => {
                send(connection, link);
                if drain {
                    // The link may be waiting for the answer to its attach.
                    let _ = connection.drained(link);
                }
            }
            Event::Delivery {
                link,
                delivery,
                settled: false,
                ..
            }
            | Event::DeliveryTooLarge {
                link,
                delivery,
                settled: false,
            } => {
                self.deliveries += 1;
                connection
                    .settle(link, delivery, DeliveryState::Accepted)
                    .unwrap();
            }
            Event::Delivery { .. } => self.deliveries += 1,
            Event::Outcome {
                link,
                delivery,
                settled: false,
                state,
                ..
            } => {
                let session = connection.session_of(link).unwrap();
                connection.settle_sent(session, delivery, state).unwrap();
            }
            Event::Closed(closed) => self.closed = Some(closed),
            _ => {}
        }
    }

    /// What the server said, in performatives.
    fn said(&mut self) -> Vec<Performative> {
        let mut said = Vec::new();
        while !self.output.is_empty() {
            if self.output.starts_with(b"AMQP") {
                let _ = self.output.split_to(8);
                continue;
            }
            let raw = frame::split_frame(&mut self.output, u32::MAX).unwrap();
            let raw = raw.expect("whole frames");
            if raw.kind == frame::FrameKind::Amqp {
                said.extend(frame::decode_performative(raw.body).unwrap());
            }
        }
        said
    }
}

/// At most three at a time, however much credit there is.
fn send(connection: &mut Connection, link: crate::engine::LinkId) {
    for context in 0..3 {
        if connection.send(link, &message(context, &[7; 700])).is_err() {
            return;
        }
    }
}

#[test]
fn official_clients_break_no_rule() {
    let (mut deliveries, mut whole) = (0, 0);
    for conversation in conversations() {
        let mut server = Server::new();
        for part in &conversation.parts {
            server.feed(part);
            server.write();
        }
        deliveries += server.deliveries;
        let place = conversation.place;
        let closed = server.closed.clone();
        assert!(
            matches!(closed, None | Some(Closed::ByPeer(None))),
            "{place}: {closed:?}"
        );
        if !conversation.is_whole {
            continue;
        }
        whole += 1;
        for performative in server.said() {
            let error = match &performative {
                Performative::Detach(detach) => &detach.error,
                Performative::End(end) => &end.error,
                Performative::Close(close) => &close.error,
                _ => &None,
            };
            assert_eq!(*error, None, "{place}");
        }
    }
    assert!(whole > 20 && deliveries > 60, "{whole}, {deliveries}");
}

#[test]
fn damaged_conversations_end_in_a_name_or_go_on() {
    let recorded = conversations();
    let mut random = Random(1);
    let (mut violations, mut others, mut went_on) = (0, 0, 0);
    for _ in 0..CONVERSATIONS {
        let conversation = &recorded[random.below(recorded.len())];
        let mut parts: Vec<Vec<u8>> = conversation.parts.iter().take(40).cloned().collect();
        for _ in 0..1 + random.below(3) {
            damage(&mut parts, &mut random);
        }
        let mut server = Server::new();
        let chunk = [usize::MAX, 50, 3][random.below(3)];
        // Some peers do not read.
        let reads = random.below(8) > 0;
        for piece in parts
            .iter()
            .flat_map(|part| part.chunks(chunk.min(part.len().max(1))))
        {
            server.feed(piece);
            if reads {
                server.write();
            }
        }
        // In every state, it gives up on a silent peer.
        while let Some(deadline) = server.connection.deadline() {
            server.connection.tick(deadline);
        }
        let before = server.closed.clone();
        server.feed(&[]);
        server.write();
        match before {
            Some(Closed::Violation(error)) => {
                assert!(error.description.is_some_and(|text| !text.is_empty()));
                violations += 1;
            }
            Some(_) => others += 1,
            None => went_on += 1,
        }
        assert!(server.closed.is_some());
    }
    // Otherwise the damage is too coarse or too fine to test anything.
    for count in [violations, others, went_on] {
        assert!(
            count > CONVERSATIONS / 50,
            "{violations}, {others}, {went_on}"
        );
    }
}

fn damage(parts: &mut Vec<Vec<u8>>, random: &mut Random) {
    if parts.is_empty() {
        return;
    }
    let at = random.below(parts.len());
    match random.below(8) {
        0 if parts.len() > 1 => drop(parts.remove(at)),
        1 => parts.insert(at, parts[at].clone()),
        2 => {
            let other = random.below(parts.len());
            parts.swap(at, other);
        }
        kind => {
            let part = &mut parts[at];
            let place = random.below(part.len().max(1));
            let Some(byte) = part.get_mut(place) else {
                return;
            };
            match kind {
                3 => *byte ^= 1 << random.below(8),
                4 => *byte = random.below(256) as u8,
                // The channel, a handle or a number of another frame, as likely as not.
                5 => *byte = random.below(4) as u8,
                6 => {
                    part.truncate(place.max(8));
                    repair_size(part);
                }
                _ => {
                    part.insert(place, [0x40, 0x43, 0x45, 0xff][random.below(4)]);
                    repair_size(part);
                }
            }
        }
    }
}

/// Makes a frame's header say its size, so that what is behind it is looked at.
fn repair_size(part: &mut [u8]) {
    let size = u32::try_from(part.len()).unwrap().to_be_bytes();
    if let Some(place) = part.get_mut(..4).filter(|place| **place != *b"AMQP") {
        place.copy_from_slice(&size);
    }
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}
