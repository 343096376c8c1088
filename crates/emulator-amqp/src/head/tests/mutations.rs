//! Recorded input of official clients, damaged: nothing panics, nothing grows, and nothing leaks.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use drawspan_amqp::engine::Closed;
use drawspan_amqp::frame::{decode_performative, split_frame};
use drawspan_amqp::performative::Performative;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::address::{self, Address};
use drawspan_hub_model::event::DisconnectReason;
use drawspan_net::Handler as _;

use super::{End, HUB, hub, owner, shared};
use crate::Shared;

const ROUNDS: usize = 6_000;
/// Conversations at one hub before it is replaced, so that its log stays short.
const ROUNDS_PER_HUB: usize = 200;
/// More than what one wake-up reads from the log for a reader, and what is written before that.
const OUTPUT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a client sent over one connection: protocol headers and frames.
type Conversation = Vec<Vec<u8>>;

#[test]
fn damaged_conversations_do_no_harm() {
    let recorded = conversations();
    let devices: BTreeSet<String> = recorded
        .iter()
        .flatten()
        .filter_map(|unit| device_in(unit))
        .collect();
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    assert!(
        recorded.len() > 15 && devices.len() > 5,
        "{} {devices:?}",
        recorded.len()
    );

    let mut seen = Seen::default();
    let mut random = Random(1);
    for _ in 0..ROUNDS / ROUNDS_PER_HUB {
        let hub = hub(&devices);
        let shared = shared(&hub);
        for _ in 0..ROUNDS_PER_HUB {
            let mut conversation = random.choice(&recorded).clone();
            for _ in 0..random.below(4) {
                let from: &Conversation = random.choice(&recorded);
                let other = random.choice(from).clone();
                damage(&mut conversation, &other, &mut random);
            }
            talk(&hub, &shared, &conversation, &mut random, &mut seen);
            assert!(
                hub.sessions().is_empty() && shared.readers.is_empty(),
                "something is left behind"
            );
        }
        seen.stored += hub.partition(0).unwrap().next_sequence;
    }
    // Otherwise the damage is too coarse or too fine to test anything.
    assert!(
        seen.taken > ROUNDS / 10 && seen.broken > ROUNDS / 10,
        "{seen:?}"
    );
    assert!(
        seen.stored > 1_000 && seen.written_bytes > 4 * 1024 * 1024,
        "{seen:?}"
    );
}

#[derive(Debug, Default)]
struct Seen {
    taken: usize,
    broken: usize,
    stored: u64,
    written_bytes: usize,
}

/// One conversation, in pieces of any size, with time that passes.
fn talk(
    hub: &Arc<Hub>,
    shared: &Arc<Shared>,
    conversation: &Conversation,
    random: &mut Random,
    seen: &mut Seen,
) {
    let mut end = End::new(shared);
    // Recorded tokens are dead, so that a live one stands in for them.
    end.put(hub, &owner(HUB, 3600));
    let bytes = conversation.concat();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (piece, later) = rest.split_at((1 + random.below(700)).min(rest.len()));
        rest = later;
        let output = end.take(piece);
        assert!(
            output.len() <= OUTPUT_MAX_BYTES,
            "{} bytes to write",
            output.len()
        );
        assert!(end.connection.waiting_bytes() <= OUTPUT_MAX_BYTES);
        seen.written_bytes += output.len();
        end.now += Duration::from_millis(random.below(200) as u64);
        if end
            .head
            .deadline()
            .is_some_and(|deadline| deadline <= end.now)
        {
            end.head.on_deadline(&mut end.connection, end.now);
        }
    }
    match &end.closed {
        None | Some(Closed::ByPeer(_)) => seen.taken += 1,
        Some(_) => seen.broken += 1,
    }
    end.head.leave(DisconnectReason::ClientClosed);
}

fn damage(conversation: &mut Conversation, other: &[u8], random: &mut Random) {
    let at = random.below(conversation.len());
    match random.below(8) {
        0 => drop(conversation.remove(at)),
        1 => conversation.insert(at, other.to_vec()),
        2 => {
            let again = conversation[at].clone();
            conversation.insert(at, again);
        }
        3 => conversation.swap(at, random.below(at + 1)),
        _ => damage_unit(&mut conversation[at], other, random),
    }
    if conversation.is_empty() {
        conversation.push(other.to_vec());
    }
}

fn damage_unit(unit: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    // Mostly behind the frame's header, and with its size put right, so that more than the header is looked at.
    let header = if random.below(8) == 0 {
        0
    } else {
        8.min(unit.len() - 1)
    };
    let at = header + random.below(unit.len() - header);
    match random.below(6) {
        0 => unit[at] ^= 1 << random.below(8),
        1 => unit[at] = random.next().to_be_bytes()[7],
        2 => unit.truncate(at.max(1)),
        3 => {
            let part = &other[random.below(other.len())..];
            unit.splice(at..at, part.iter().copied());
        }
        4 => {
            let end = (at + 1 + random.below(8)).min(unit.len());
            unit.drain(at..end);
        }
        _ => {
            unit[at] = [
                0x00, 0x40, 0x41, 0x42, 0x43, 0x45, 0x53, 0xa1, 0xc0, 0xd0, 0xf0,
            ][random.below(11)]
        }
    }
    if header > 0 && unit.len() >= 8 && !unit.starts_with(b"AMQP") {
        let size = u32::try_from(unit.len()).unwrap();
        unit[..4].copy_from_slice(&size.to_be_bytes());
    }
}

fn conversations() -> Vec<Conversation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../amqp/tests/frames");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let mut conversations: Vec<Conversation> = Vec::new();
    for path in files {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            if line.starts_with('#') {
                conversations.push(Vec::new());
            // A frame of which only the beginning was recorded cannot be used here.
            } else if let Some(hex) = line
                .strip_prefix("client ")
                .filter(|hex| !hex.contains('…'))
            {
                conversations.last_mut().unwrap().push(from_hex(hex));
            }
        }
    }
    conversations.retain(|conversation| !conversation.is_empty());
    conversations
}

/// The device whose link a frame attaches.
fn device_in(unit: &[u8]) -> Option<String> {
    let frame = split_frame(&mut BytesMut::from(unit), u32::MAX).ok()??;
    let Ok(Some(Performative::Attach(attach))) = decode_performative(frame.body) else {
        return None;
    };
    match address::parse(attach.target.as_ref()?.address.as_deref()?).ok()? {
        Address::Device { device, .. } => Some(device.as_str().to_owned()),
        _ => None,
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap();
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap())
        .collect()
}

/// Xorshift with the usual multiplier.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn choice<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
