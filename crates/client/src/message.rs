//! Telemetry on the wire.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::Telemetry;
use drawspan_hub::telemetry::COMPONENT_ANNOTATION;

/// Encodes a message as the hub's own clients do: one data section, component as message annotation.
pub fn encode(telemetry: &Telemetry) -> Bytes {
    let mut out = BytesMut::with_capacity(telemetry.size_bytes() + ROOM_FOR_NAMES_BYTES);
    message(telemetry).encode(&mut out);
    out.freeze()
}

/// Section headers and names in addition to what [`Telemetry::size_bytes`] counts.
const ROOM_FOR_NAMES_BYTES: usize = 96;

fn message(telemetry: &Telemetry) -> Message {
    let component = telemetry.component.as_deref().map(|component| {
        Map(vec![(
            Value::Symbol(Symbol::from_static(COMPONENT_ANNOTATION)),
            Value::from(component),
        )])
    });
    let properties: Vec<_> = telemetry
        .application_properties()
        .map(|(name, value)| (Value::from(name), Value::from(&*value)))
        .collect();
    Message {
        message_annotations: component,
        properties: Some(Properties {
            message_id: telemetry.message_id.clone().map(MessageId::String),
            correlation_id: telemetry.correlation_id.clone().map(MessageId::String),
            content_type: telemetry
                .content_type
                .as_deref()
                .and_then(|text| Symbol::new(text).ok()),
            content_encoding: telemetry
                .content_encoding
                .as_deref()
                .and_then(|text| Symbol::new(text).ok()),
            ..Properties::default()
        }),
        application_properties: (!properties.is_empty()).then_some(Map(properties)),
        body: Body::Data(vec![telemetry.body.clone()]),
        ..Message::default()
    }
}
