//! A message to a device, as a service encodes it.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message as Amqp, MessageId, Properties};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::DeviceId;
use drawspan_hub::address::{Address, DeviceFunction};

/// A message to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The device.
    pub device: DeviceId,
    /// Names it; at most 128 characters.
    pub message_id: Option<String>,
    /// The body, at most 64 KB with its properties.
    pub body: Bytes,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Application properties.
    pub properties: Vec<(String, String)>,
    /// When the hub is to forget it, in milliseconds since 1970. In an hour if absent.
    pub expires_unix_ms: Option<i64>,
}

impl Message {
    /// A message without anything else.
    #[must_use]
    pub fn new(device: DeviceId, body: impl Into<Bytes>) -> Self {
        Self {
            device,
            message_id: None,
            body: body.into(),
            content_type: None,
            properties: Vec::new(),
            expires_unix_ms: None,
        }
    }

    /// As the official service clients write it: the device stands in `to`.
    pub(super) fn encode(&self) -> Bytes {
        let properties = self.properties.iter();
        let properties: Vec<_> = properties
            .map(|(name, value)| (Value::from(name.as_str()), Value::from(value.as_str())))
            .collect();
        let content_type = self.content_type.as_deref();
        Amqp {
            properties: Some(Properties {
                message_id: self.message_id.clone().map(MessageId::String),
                to: Some(Address::device(&self.device, DeviceFunction::DeviceBound).to_string()),
                content_type: content_type.and_then(|text| Symbol::new(text).ok()),
                absolute_expiry_time: self.expires_unix_ms,
                ..Properties::default()
            }),
            application_properties: (!properties.is_empty()).then_some(Map(properties)),
            body: Body::Data(vec![self.body.clone()]),
            ..Amqp::default()
        }
        .to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_device_and_what_was_given() {
        let message = Message {
            message_id: Some("m".into()),
            content_type: Some("application/json".into()),
            properties: vec![("a".into(), "b".into())],
            expires_unix_ms: Some(5),
            ..Message::new(DeviceId::parse("d#1").unwrap(), "{}")
        };
        let read = Amqp::decode(&message.encode()).unwrap();
        let properties = read.properties.unwrap();
        assert_eq!(
            properties.to.as_deref(),
            Some("/devices/d%231/messages/devicebound")
        );
        assert_eq!(properties.message_id, Some(MessageId::String("m".into())));
        assert_eq!(properties.absolute_expiry_time, Some(5));
        assert_eq!(
            properties.content_type.unwrap().as_str(),
            "application/json"
        );
        let application = read.application_properties.unwrap();
        assert_eq!(application.get("a").and_then(Value::as_str), Some("b"));
        assert_eq!(read.body, Body::Data(vec!["{}".into()]));
    }
}
