//! Decoding of messages from the hub.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::DeliveryTag;
use drawspan_amqp::value::{Symbol, Value};
use drawspan_hub::{C2dMessage, UtcTime};

/// The bytes of a body, copied, so that the data around them need not be kept.
pub(super) fn data(body: &Body) -> Bytes {
    match body {
        Body::Data(parts) => match parts.as_slice() {
            [only] => Bytes::copy_from_slice(only),
            parts => parts.concat().into(),
        },
        Body::Value(Value::String(text)) => Bytes::copy_from_slice(text.as_bytes()),
        Body::Value(Value::Binary(bytes)) => Bytes::copy_from_slice(bytes),
        Body::Empty | Body::Value(_) | Body::Sequence(_) => Bytes::new(),
    }
}

/// A cloud-to-device message.
pub(super) fn c2d(message: &Message, tag: &DeliveryTag) -> C2dMessage {
    let mut parsed = C2dMessage {
        body: data(&message.body),
        lock_token: tag.as_bytes().try_into().ok(),
        delivery_count: message
            .header
            .as_ref()
            .map_or(0, |header| header.delivery_count),
        ..C2dMessage::default()
    };
    if let Some(properties) = &message.properties {
        standard(&mut parsed, properties);
    }
    let annotation = |name: &str| message.message_annotations.as_ref()?.get(name);
    parsed.sequence_number = annotation("x-opt-sequence-number").and_then(Value::as_u64);
    parsed.enqueued = annotation("iothub-enqueuedtime").and_then(time);
    let count = annotation("iothub-deliverycount").and_then(Value::as_u64);
    if let Some(count) = count.and_then(|count| u32::try_from(count).ok()) {
        parsed.delivery_count = count;
    }
    for (name, value) in message.application_properties.iter().flatten() {
        // IoT Hub sends text only; the .NET client ignores other types, too.
        if let (Some(name), Value::String(value)) = (name.as_str(), value) {
            application(&mut parsed, name, value);
        }
    }
    parsed
}

fn standard(parsed: &mut C2dMessage, properties: &Properties) {
    let id = |id: &Option<MessageId>| id.as_ref().map(MessageId::to_string);
    let word = |symbol: &Option<Symbol>| symbol.as_ref().map(|symbol| symbol.as_str().to_owned());
    parsed.message_id = id(&properties.message_id);
    parsed.correlation_id = id(&properties.correlation_id);
    parsed.user_id = properties.user_id.as_deref().map(Bytes::copy_from_slice);
    parsed.to.clone_from(&properties.to);
    parsed.expiry = properties.absolute_expiry_time.map(UtcTime::from_unix_ms);
    parsed.content_type = word(&properties.content_type);
    parsed.content_encoding = word(&properties.content_encoding);
}

/// Two names among the sender's properties are the hub's.
fn application(parsed: &mut C2dMessage, name: &str, value: &str) {
    match name {
        "iothub-ack" => parsed.ack = Some(value.to_owned()),
        "iothub-creation-time-utc" => parsed.creation_time = UtcTime::parse(value).ok(),
        _ => parsed.properties.push((name.to_owned(), value.to_owned())),
    }
}

fn time(value: &Value) -> Option<UtcTime> {
    match value {
        Value::Timestamp(ms) => Some(UtcTime::from_unix_ms(*ms)),
        _ => None,
    }
}
