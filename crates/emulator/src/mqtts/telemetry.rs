//! A device's message, from topic and payload to what the hub stores.

use bytes::Bytes;
use drawspan_amqp::message::Message;
use drawspan_emulator_hub::device_message::{MessageBuilder, SystemProperty};
use drawspan_mqtt::property_bag::{self, InvalidBag};

/// What a message is beside its properties and its body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kind<'m> {
    /// The client asked for it to be retained, which no hub does.
    pub(super) retain: bool,
    /// It is a will.
    pub(super) will: bool,
    /// The model that its device follows.
    pub(super) model_id: Option<&'m str>,
}

/// The message with the properties in `bag`, as AMQP would have it.
pub(super) fn message(bag: &str, payload: Bytes, kind: Kind<'_>) -> Result<Message, InvalidBag> {
    let mut message = MessageBuilder::default();
    for (name, value) in property_bag::parse(bag)? {
        let value = value.unwrap_or_default();
        match system_property(&name) {
            Some(property) => message.set(property, &value).map_err(|_| InvalidBag)?,
            // The hub says these itself.
            None if name == "$.cdid" || name == "$.cmid" => {}
            None => message.push(&name, &value),
        }
    }
    if kind.retain {
        message.push("mqtt-retain", "true");
    }
    if kind.will {
        message.push("iothub-MessageType", "Will");
    }
    if let Some(model) = kind.model_id {
        let model = message.set(SystemProperty::ModelId, model);
        model.map_err(|_| InvalidBag)?;
    }
    Ok(message.build(payload))
}

/// Whether a message is for an output of its module, which IoT Edge routes.
pub(super) fn is_for_output(message: &Message) -> bool {
    let own = message.application_properties.as_ref();
    own.is_some_and(|own| own.get("iothub-outputname").is_some())
}

fn system_property(name: &str) -> Option<SystemProperty> {
    use SystemProperty as Property;
    Some(match name {
        "$.mid" => Property::MessageId,
        "$.cid" => Property::CorrelationId,
        "$.uid" => Property::UserId,
        "$.to" => Property::To,
        "$.ct" => Property::ContentType,
        "$.ce" => Property::ContentEncoding,
        "$.exp" => Property::Expiry,
        "$.ctime" => Property::CreationTime,
        "$.on" => Property::OutputName,
        "$.schema" => Property::Schema,
        "$.ifid" => Property::InterfaceId,
        // Node's client writes the component's name as a property.
        "$.sub" | "dt-subject" => Property::Component,
        "$.diagid" => Property::DiagnosticId,
        "$.diagctx" => Property::DiagnosticContext,
        _ => return None,
    })
}
