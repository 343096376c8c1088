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
use drawspan_emulator_hub::test_hub::damage::{Conversation, Random, damage, damage_bytes, rounds};
use drawspan_hub::address::{self, Address};
use drawspan_hub_model::event::DisconnectReason;
use drawspan_net::Handler as _;

use super::{End, HUB, hub, owner, registering, shared};
use crate::Shared;

/// A million in `cargo xtask test --full`.
const ROUNDS: usize = 6_000;
/// Conversations at one hub before it is replaced, so that its log stays short.
const ROUNDS_PER_HUB: usize = 200;
/// More than what one wake-up reads from the log for a reader, and what is written before that.
const OUTPUT_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Constructors of AMQP values.
const TELLING: &[u8] = &[
    0x00, 0x40, 0x41, 0x42, 0x43, 0x45, 0x53, 0xa1, 0xc0, 0xd0, 0xf0,
];

#[tokio::test]
async fn damaged_conversations_do_no_harm() {
    let mut recorded = conversations();
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

    let registering = units(&registering::sent(&shared(&hub(&[]))).await);
    assert!(registering.len() > 8, "{registering:?}");
    // As often as all others together.
    recorded.extend(vec![registering; recorded.len()]);

    let mut seen = Seen::default();
    let mut random = Random::new(1);
    let rounds = rounds(ROUNDS);
    for _ in 0..rounds.div_ceil(ROUNDS_PER_HUB) {
        let hub = hub(&devices);
        let shared = shared(&hub);
        for _ in 0..ROUNDS_PER_HUB {
            let mut conversation = random.choice(&recorded).clone();
            for _ in 0..random.below(4) {
                let from: &Conversation = random.choice(&recorded);
                let other = random.choice(from).clone();
                damage(&mut conversation, &other, &mut random, |frame, random| {
                    damage_frame(frame, &other, random);
                });
            }
            talk(&hub, &shared, &conversation, &mut random, &mut seen);
            // Registrations that are under way come to their end.
            tokio::task::yield_now().await;
            assert!(
                hub.sessions().is_empty() && shared.readers.is_empty(),
                "something is left behind"
            );
        }
        seen.stored += hub.partition(0).unwrap().next_sequence;
        seen.registered += shared.dps.observations().registrations;
    }
    // Otherwise the damage is too coarse or too fine to test anything.
    assert!(
        seen.taken > rounds / 10 && seen.broken > rounds / 10,
        "{seen:?}"
    );
    assert!(
        seen.stored > 500 && seen.registered > 500 && seen.written_bytes > 2 * 1024 * 1024,
        "{seen:?}"
    );
}

#[derive(Debug, Default)]
struct Seen {
    taken: usize,
    broken: usize,
    stored: u64,
    registered: u64,
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

fn damage_frame(frame: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    // Mostly behind the frame's header, and with its size put right, so that more than the header is looked at.
    let header = if random.below(8) == 0 {
        0
    } else {
        8.min(frame.len() - 1)
    };
    damage_bytes(frame, header, other, TELLING, random);
    if header > 0 && frame.len() >= 8 && !frame.starts_with(b"AMQP") {
        let size = u32::try_from(frame.len()).unwrap();
        frame[..4].copy_from_slice(&size.to_be_bytes());
    }
}

/// Protocol headers and frames, one by one.
fn units(mut bytes: &[u8]) -> Conversation {
    let mut units = Vec::new();
    while let Some(size) = bytes.first_chunk::<4>() {
        let size = match size {
            b"AMQP" => 8,
            size => u32::from_be_bytes(*size) as usize,
        };
        let (unit, rest) = bytes.split_at(size);
        units.push(unit.to_vec());
        bytes = rest;
    }
    units
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
