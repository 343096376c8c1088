//! A message as its device receives it: the stored message with the hub's annotations.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::message::Message;
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::guid;
use drawspan_hub_model::c2d::{LockToken, QueuedMessage};

/// About what the annotations take.
const ANNOTATIONS_BYTES: usize = 256;

/// Encodes a message that is handed out under `token`. The types of the annotations are those that clients look for.
pub(super) fn encode(message: &QueuedMessage, token: LockToken) -> Bytes {
    let time = i64::try_from(message.item.enqueued_unix_ms).unwrap_or(i64::MAX);
    let count = u8::try_from(message.delivery_count).unwrap_or(u8::MAX);
    let annotations = [
        ("x-opt-sequence-number", Value::Ulong(message.sequence)),
        ("x-opt-lock-token", Value::String(guid::text(token))),
        ("iothub-enqueuedtime", Value::Timestamp(time)),
        ("iothub-deliverycount", Value::Ubyte(count)),
    ];
    let annotations = annotations
        .into_iter()
        .map(|(name, value)| (Value::Symbol(Symbol::from_static(name)), value));
    let mut encoded = BytesMut::with_capacity(message.item.payload.len() + ANNOTATIONS_BYTES);
    Message {
        message_annotations: Some(Map(annotations.collect())),
        ..Message::default()
    }
    .encode(&mut encoded);
    encoded.extend_from_slice(&message.item.payload);
    encoded.freeze()
}
