//! The size of a message as an IoT hub counts it.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message, MessageId};
use drawspan_amqp::value::{Map, Symbol, Value};

/// The size that the hub counts: the body, the values of system properties, names and values of the sender's.
pub fn counted_bytes(message: &Message) -> u64 {
    let body: usize = match &message.body {
        Body::Data(parts) => parts.iter().map(Bytes::len).sum(),
        Body::Value(value) => size(value),
        Body::Sequence(parts) => parts.iter().flatten().map(size).sum(),
        Body::Empty => 0,
    };
    let entries = message.application_properties.iter().flat_map(Map::iter);
    let own: usize = entries.map(|(name, value)| size(name) + size(value)).sum();
    let system = message.properties.as_ref().map_or(0, |properties| {
        let id = |id: &Option<MessageId>| id.clone().map_or(0, |id| size(&id.into()));
        let word = |word: &Option<Symbol>| word.as_ref().map_or(0, |word| word.as_str().len());
        let to = properties.to.as_ref().map_or(0, String::len);
        id(&properties.message_id)
            + id(&properties.correlation_id)
            + word(&properties.content_type)
            + word(&properties.content_encoding)
            + properties.user_id.as_ref().map_or(0, Bytes::len)
            + to
    });
    (body + own + system) as u64
}

/// Bytes of text and binaries; of anything else, what it takes as a number.
fn size(value: &Value) -> usize {
    const NUMBER_BYTES: usize = 8;
    match value {
        Value::Null => 0,
        Value::Binary(bytes) => bytes.len(),
        Value::List(values) => values.iter().map(size).sum(),
        Value::Map(map) => map.iter().map(|(key, value)| size(key) + size(value)).sum(),
        value => value.as_str().map_or(NUMBER_BYTES, str::len),
    }
}
