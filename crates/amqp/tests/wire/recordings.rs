//! Every frame that official clients were seen to send is understood, and survives being written again.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::codec::DecodeError;
use drawspan_amqp::frame::{
    FrameKind, decode_performative, decode_sasl, encode_performative, encode_sasl, split_frame,
};
use drawspan_amqp::message::{BATCH_MESSAGE_FORMAT, Message, batch, sections};
use drawspan_amqp::performative::{Performative, Transfer};

use crate::recorded::{Recorded, frames};

#[test]
fn every_recorded_frame_is_read_and_survives_rewriting() {
    let mut from_clients = 0;
    for frame in frames().into_iter().filter(|frame| !frame.is_cut) {
        let place = &frame.place;
        let mut input = frame.bytes.clone();
        let raw = split_frame(&mut input, u32::MAX)
            .unwrap()
            .unwrap_or_else(|| panic!("{place}: incomplete"));
        assert!(
            input.is_empty(),
            "{place}: {} bytes behind the frame",
            input.len()
        );
        let mut out = BytesMut::new();
        if raw.kind == FrameKind::Sasl {
            let sasl = decode_sasl(raw.body).unwrap_or_else(|error| panic!("{place}: {error}"));
            encode_sasl(&mut out, &sasl);
            assert_eq!(
                decode_sasl(split_frame(&mut out, u32::MAX).unwrap().unwrap().body),
                Ok(sasl),
                "{place}"
            );
        } else {
            let performative =
                decode_performative(raw.body).unwrap_or_else(|error| panic!("{place}: {error}"));
            let Some(performative) = performative else {
                continue;
            };
            encode_performative(&mut out, raw.channel, &performative);
            let again = split_frame(&mut out, u32::MAX).unwrap().unwrap();
            assert_eq!(again.channel, raw.channel, "{place}");
            assert_eq!(
                decode_performative(again.body),
                Ok(Some(performative)),
                "{place}"
            );
        }
        from_clients += usize::from(frame.from_client);
    }
    assert!(from_clients > 600, "only {from_clients}");
}

#[test]
fn every_recorded_message_is_read_and_survives_rewriting() {
    let mut messages = 0;
    for frame in frames().iter().filter(|frame| !frame.is_cut) {
        let Some(transfer) = transfer(frame) else {
            continue;
        };
        if transfer.more || transfer.delivery_id.is_none() {
            continue;
        }
        check_message(&frame.place, &transfer.payload);
        if transfer.message_format == Some(BATCH_MESSAGE_FORMAT) {
            for inner in batch(&transfer.payload) {
                check_message(&frame.place, &inner.unwrap());
            }
        }
        messages += 1;
    }
    assert!(messages > 100, "only {messages}");
}

fn check_message(place: &str, encoded: &Bytes) {
    let message = Message::decode(encoded).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(Message::decode(&message.to_bytes()), Ok(message), "{place}");
    let raw: Vec<_> = sections(encoded)
        .map(|section| section.unwrap().raw)
        .collect();
    assert_eq!(
        &raw.concat()[..],
        &encoded[..],
        "{place}: sections do not add up"
    );
}

#[test]
fn cut_recordings_are_incomplete_frames_with_truncated_messages() {
    let cut: Vec<_> = frames().into_iter().filter(|frame| frame.is_cut).collect();
    assert!(!cut.is_empty());
    for frame in cut {
        assert_eq!(
            split_frame(&mut frame.bytes.clone(), u32::MAX),
            Ok(None),
            "{}",
            frame.place
        );
        let transfer =
            transfer(&frame).unwrap_or_else(|| panic!("{}: not a transfer", frame.place));
        assert_eq!(
            Message::decode(&transfer.payload),
            Err(DecodeError::Truncated),
            "{}",
            frame.place
        );
    }
}

/// The transfer in a frame, even if the frame was cut.
fn transfer(frame: &Recorded) -> Option<Transfer> {
    const TYPE: usize = 5;
    let body = frame.bytes.clone().freeze().slice(8..);
    match decode_performative(body) {
        Ok(Some(Performative::Transfer(transfer))) if frame.bytes[TYPE] == 0 => Some(transfer),
        _ => None,
    }
}
