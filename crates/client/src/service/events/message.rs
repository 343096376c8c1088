//! An event of the endpoint: a device's message, and the annotations of the hub.

use bytes::Bytes;
use drawspan_amqp::codec::DecodeError;
use drawspan_amqp::message::{Body, Message};
use drawspan_amqp::value::{Map, Value};

/// A message that a device sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TelemetryEvent {
    /// The sender; absent in events of the hub itself.
    pub device: Option<String>,
    /// When the hub took it, milliseconds since 1970.
    pub enqueued_unix_ms: Option<i64>,
    /// The kind: `Telemetry`, `twinChangeEvents`, …
    pub source: Option<String>,
    /// The component that sent it.
    pub component: Option<String>,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Application properties set by the sender.
    pub properties: Vec<(String, String)>,
    /// The body; absent if it is not bytes.
    pub body: Option<Bytes>,
}

impl TelemetryEvent {
    pub(super) fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let message = Message::decode(bytes)?;
        let annotations = message.message_annotations.unwrap_or_default();
        let text = |name: &str| {
            let value = annotations.get_symbol(name)?;
            value.as_str().map(str::to_owned)
        };
        let time = |name: &str| match annotations.get_symbol(name) {
            Some(Value::Timestamp(unix_ms)) => Some(*unix_ms),
            _ => None,
        };
        let properties = message.application_properties.unwrap_or_default();
        let content_type = message.properties.and_then(|known| known.content_type);
        Ok(Self {
            device: text("iothub-connection-device-id"),
            enqueued_unix_ms: time("iothub-enqueuedtime").or(time("x-opt-enqueued-time")),
            source: text("iothub-message-source"),
            component: text("dt-subject"),
            content_type: content_type.map(|symbol| symbol.as_str().to_owned()),
            properties: pairs(&properties),
            body: match message.body {
                Body::Data(parts) => Some(parts.concat().into()),
                Body::Empty => Some(Bytes::new()),
                Body::Sequence(_) | Body::Value(_) => None,
            },
        })
    }
}

fn pairs(properties: &Map) -> Vec<(String, String)> {
    let pair = |(name, value): &(Value, Value)| (text(name), text(value));
    properties.iter().map(pair).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        other => match (other.as_str(), other.as_i64()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(number)) => number.to_string(),
            (None, None) => format!("{other:?}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use drawspan_amqp::message::Properties;
    use drawspan_amqp::value::Symbol;

    use super::*;

    #[test]
    fn an_event_tells_who_sent_what_and_when() {
        let symbol = |name| Value::Symbol(Symbol::from_static(name));
        let message = Message {
            message_annotations: Some(Map(vec![
                (symbol("iothub-connection-device-id"), Value::from("d1")),
                (symbol("iothub-enqueuedtime"), Value::Timestamp(5)),
                (symbol("iothub-message-source"), Value::from("Telemetry")),
                (symbol("dt-subject"), Value::from("pump")),
            ])),
            properties: Some(Properties {
                content_type: Some(Symbol::from_static("application/json")),
                ..Properties::default()
            }),
            application_properties: Some(Map(vec![
                (Value::from("room"), Value::from("12")),
                (Value::from("n"), Value::Int(3)),
            ])),
            ..Message::from_data("{}")
        };
        let event = TelemetryEvent::decode(&message.to_bytes()).unwrap();
        let expected = TelemetryEvent {
            device: Some("d1".into()),
            enqueued_unix_ms: Some(5),
            source: Some("Telemetry".into()),
            component: Some("pump".into()),
            content_type: Some("application/json".into()),
            properties: vec![("room".into(), "12".into()), ("n".into(), "3".into())],
            body: Some("{}".into()),
        };
        assert_eq!(event, expected);
        let value = Message::from_value(1).to_bytes();
        assert_eq!(TelemetryEvent::decode(&value).unwrap().body, None);
        assert!(TelemetryEvent::decode(&Bytes::from_static(b"?")).is_err());
    }
}
