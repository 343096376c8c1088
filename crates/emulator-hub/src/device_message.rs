//! A device's message as the hub stores it: what MQTT and HTTPS say by names of their own, as AMQP has it.

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::value::{Map, NotAscii, Symbol, Value};
use drawspan_hub::UtcTime;

/// What the service knows a property of a message as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemProperty {
    /// `message-id`.
    MessageId,
    /// `correlation-id`.
    CorrelationId,
    /// `user-id`.
    UserId,
    /// `to`, the address of the receiver.
    To,
    /// `content-type`; ASCII.
    ContentType,
    /// `content-encoding`; ASCII.
    ContentEncoding,
    /// `absolute-expiry-time`, as RFC 3339 text. Ignored if it is not a time.
    Expiry,
    /// When the sender created it: `iothub-creation-time-utc`.
    CreationTime,
    /// Output of a module: `iothub-outputname`.
    OutputName,
    /// `iothub-message-schema`.
    Schema,
    /// `iothub-interface-id`.
    InterfaceId,
    /// Component of a plug-and-play device: `dt-subject`.
    Component,
    /// Trace id: `Diagnostic-Id`.
    DiagnosticId,
    /// Context of the trace: `Correlation-Context`.
    DiagnosticContext,
    /// The model that the device follows.
    ModelId,
}

/// A message that is being put together.
#[derive(Debug, Default)]
pub struct MessageBuilder {
    properties: Properties,
    own: Map,
    annotations: Map,
}

impl MessageBuilder {
    /// Sets a property that the service knows.
    ///
    /// # Errors
    /// When content type or encoding are not ASCII.
    pub fn set(&mut self, property: SystemProperty, value: &str) -> Result<(), NotAscii> {
        use SystemProperty as Property;
        let properties = &mut self.properties;
        match property {
            Property::MessageId => properties.message_id = Some(MessageId::String(value.into())),
            Property::CorrelationId => {
                properties.correlation_id = Some(MessageId::String(value.into()));
            }
            Property::UserId => {
                properties.user_id = Some(Bytes::copy_from_slice(value.as_bytes()));
            }
            Property::To => properties.to = Some(value.into()),
            Property::ContentType => properties.content_type = Some(Symbol::new(value)?),
            Property::ContentEncoding => properties.content_encoding = Some(Symbol::new(value)?),
            Property::Expiry => {
                let at = UtcTime::parse(value).map(UtcTime::unix_ms);
                properties.absolute_expiry_time = at.ok();
            }
            Property::CreationTime => self.push("iothub-creation-time-utc", value),
            Property::OutputName => self.push("iothub-outputname", value),
            Property::Schema => self.push("iothub-message-schema", value),
            Property::InterfaceId => self.annotate("iothub-interface-id", value),
            Property::Component => self.annotate("dt-subject", value),
            Property::DiagnosticId => self.annotate("Diagnostic-Id", value),
            Property::DiagnosticContext => self.annotate("Correlation-Context", value),
            Property::ModelId => self.annotate("dt-dataschema", value),
        }
        Ok(())
    }

    /// Sets a property of the sender's. The last one of a name counts.
    pub fn push(&mut self, name: &str, value: &str) {
        self.own.0.retain(|(of, _)| of.as_str() != Some(name));
        self.own.0.push((Value::from(name), Value::from(value)));
    }

    fn annotate(&mut self, name: &'static str, value: &str) {
        self.annotations
            .0
            .retain(|(of, _)| of.as_str() != Some(name));
        let name = Value::Symbol(Symbol::from_static(name));
        self.annotations.0.push((name, Value::from(value)));
    }

    /// The message, with this body.
    pub fn build(self, body: Bytes) -> Message {
        let of = |map: Map| map.iter().next().is_some().then_some(map);
        let properties = self.properties;
        Message {
            message_annotations: of(self.annotations),
            properties: (properties != Properties::default()).then_some(properties),
            application_properties: of(self.own),
            body: Body::Data(vec![body]),
            ..Message::default()
        }
    }
}
