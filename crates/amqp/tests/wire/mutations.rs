//! Damaged frames: recorded ones, mostly damaged once, some up to four times. Nothing panics, and what is understood in spite
//! of the damage takes no more memory than its bytes justify.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::codec::{DecodeError, decode_value};
use drawspan_amqp::frame::{FrameKind, decode_performative, decode_sasl, split_frame};
use drawspan_amqp::message::{Message, batch};
use drawspan_amqp::performative::Performative;

use crate::footprint::Footprint;
use crate::recorded::frames;

const ROUNDS: usize = 250_000;
/// A value takes 40 bytes in memory and one at least on the wire; a text takes as many as on the wire.
const HEAP_BYTES_PER_BYTE: usize = 64;
/// The fixed parts of the largest performative, an attach with both termini, and 64 spare values.
const HEAP_BYTES_PER_FRAME: usize = 4096;

#[test]
fn damaged_frames_do_no_harm() {
    let recorded: Vec<Vec<u8>> = frames()
        .into_iter()
        .map(|frame| frame.bytes.to_vec())
        .collect();
    let mut seen = Seen::default();
    for seed in 1..=4 {
        let mut random = Random(seed);
        for _ in 0..ROUNDS / 4 {
            let mut frame = random.choice(&recorded).clone();
            let times = if random.below(4) == 0 {
                random.below(4)
            } else {
                0
            };
            for _ in 0..=times {
                let other = random.choice(&recorded);
                damage(&mut frame, other, &mut random);
            }
            if random.below(4) > 0 {
                repair_size(&mut frame);
            }
            feed(&frame, &mut seen);
        }
    }
    // Otherwise the damage is too coarse or too fine to test anything.
    for count in [
        seen.refused_frames,
        seen.refused_bodies,
        seen.bodies,
        seen.refused_messages,
        seen.messages,
    ] {
        assert!(count > ROUNDS / 100, "{seen:?}");
    }
}

#[derive(Debug, Default)]
struct Seen {
    refused_frames: usize,
    refused_bodies: usize,
    bodies: usize,
    refused_messages: usize,
    messages: usize,
}

fn feed(frame: &[u8], seen: &mut Seen) {
    let _ = decode_value(&Bytes::copy_from_slice(frame.get(8..).unwrap_or_default()));
    let Ok(Some(raw)) = split_frame(&mut BytesMut::from(frame), 65_536) else {
        seen.refused_frames += 1;
        return;
    };
    let limit = HEAP_BYTES_PER_BYTE * frame.len() + HEAP_BYTES_PER_FRAME;
    if raw.kind == FrameKind::Sasl {
        if let Ok(sasl) = decode_sasl(raw.body) {
            assert!(sasl.heap_bytes() <= limit, "{sasl:?}");
        }
        return;
    }
    let Ok(performative) = decode_performative(raw.body) else {
        seen.refused_bodies += 1;
        return;
    };
    seen.bodies += 1;
    assert!(performative.heap_bytes() <= limit, "{performative:?}");
    let Some(Performative::Transfer(transfer)) = performative else {
        return;
    };
    batch(&transfer.payload).for_each(drop);
    match Message::decode(&transfer.payload) {
        Ok(message) => {
            seen.messages += 1;
            assert!(message.heap_bytes() <= limit, "{message:?}");
        }
        Err(_) => seen.refused_messages += 1,
    }
}

fn damage(frame: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if frame.is_empty() {
        return;
    }
    let at = random.below(frame.len());
    match random.below(9) {
        0 => frame.truncate(at),
        1 => frame[at] ^= 1 << random.below(8),
        2 => frame[at] = random.byte(),
        // Sizes and counts that are too large.
        3 => overwrite(frame, at, &[0xff, 0xff, 0xff, 0xfe]),
        4 => frame[at] = frame[at].wrapping_add(1 + random.byte() % 16),
        // The end of another frame.
        5 => {
            frame.truncate(at);
            frame.extend_from_slice(&other[random.below(other.len())..]);
        }
        // A constructor of any kind, honest ones most.
        6 => {
            frame[at] = [
                0x00, 0x40, 0x41, 0x43, 0x45, 0x53, 0xa1, 0xa3, 0xc0, 0xc1, 0xd0, 0xd1, 0xe0, 0xf0,
            ][random.below(14)]
        }
        7 => insert(frame, at, &bomb(random)),
        _ => insert(frame, at, &other[..random.below(other.len())]),
    }
}

/// Announces much with little.
fn bomb(random: &mut Random) -> Vec<u8> {
    let depth = 1 + random.below(100);
    match random.below(6) {
        0 => [0x00, 0x53, 0x01].repeat(depth),
        1 => [0xd0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].repeat(depth),
        2 => [0xc0, 0xff, 0xff].repeat(depth),
        3 => vec![
            0xd1, 0x00, 0x00, 0x00, 0x09, 0xff, 0xff, 0xff, 0xfe, 0x40, 0x40, 0x40, 0x40, 0x40,
        ],
        4 => vec![0xf0, 0x00, 0x00, 0x00, 0x05, 0xff, 0xff, 0xff, 0xff, 0x40],
        _ => vec![0xe0, 0x02, random.byte(), 0x45],
    }
}

fn insert(frame: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    frame.splice(at..at, bytes.iter().copied());
}

fn overwrite(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame[at..]
        .iter_mut()
        .zip(bytes)
        .for_each(|(old, new)| *old = *new);
}

/// Makes the header say the frame's size, so that the damage behind it is looked at.
fn repair_size(frame: &mut [u8]) {
    if frame.len() < 8 {
        return;
    }
    let size = u32::try_from(frame.len()).unwrap();
    overwrite(frame, 0, &size.to_be_bytes());
    overwrite(frame, 4, &[2]);
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

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[7]
    }

    fn choice<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// The worst that a frame of the largest size can make of its bytes.
#[test]
fn the_worst_frames_stay_within_the_bound() {
    const LEN: usize = 65_000;
    let nulls = |count: u32, body: usize| {
        [
            &[0xd0][..],
            &u32::try_from(body + 4).unwrap().to_be_bytes(),
            &count.to_be_bytes(),
            &vec![0x40; body],
        ]
        .concat()
    };
    // As many values as bytes.
    check_bound(&nulls(u32::try_from(LEN).unwrap(), LEN));
    // Every level announces as many as there are bytes left.
    let mut nested = Vec::new();
    for level in 0..31 {
        let left = u32::try_from(LEN - level * 9).unwrap();
        nested.extend_from_slice(
            &[&[0xd0][..], &left.to_be_bytes(), &(left - 4).to_be_bytes()].concat(),
        );
    }
    nested.resize(LEN + 5, 0x40);
    // Refused for that, before all of it is reserved.
    assert_eq!(
        decode_value(&nested.into()),
        Err(DecodeError::CountExceedsBuffer)
    );
    // Small arrays of many items without width.
    let array = [0xe0, 2, 3, 0x45];
    let count = u32::try_from(LEN / 4).unwrap();
    let arrays = [
        &[0xd0][..],
        &u32::try_from(LEN + 4).unwrap().to_be_bytes(),
        &count.to_be_bytes(),
        &array.repeat(LEN / 4),
    ]
    .concat();
    check_bound(&arrays);
}

fn check_bound(encoded: &[u8]) {
    let value = decode_value(&Bytes::copy_from_slice(encoded)).unwrap();
    let heap_bytes = value.heap_bytes();
    assert!(
        heap_bytes <= HEAP_BYTES_PER_BYTE * encoded.len(),
        "{heap_bytes}"
    );
}
