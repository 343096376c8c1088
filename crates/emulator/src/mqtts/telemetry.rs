//! A device's message, from topic and payload to what the hub stores.

use std::borrow::Cow;

use bytes::Bytes;
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::UtcTime;
use drawspan_mqtt::property_bag::{self, InvalidBag};

const MESSAGE_TYPE: &str = "iothub-MessageType";
const RETAIN: &str = "mqtt-retain";

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
    let mut properties = Properties::default();
    let mut own = Map::new();
    let mut annotations = Map::new();
    for (name, value) in property_bag::parse(bag)? {
        let value = value.unwrap_or_default();
        match name.as_ref() {
            "$.mid" => properties.message_id = Some(MessageId::String(value.into_owned())),
            "$.cid" => properties.correlation_id = Some(MessageId::String(value.into_owned())),
            "$.uid" => properties.user_id = Some(value.into_owned().into_bytes().into()),
            "$.to" => properties.to = Some(value.into_owned()),
            "$.ct" => properties.content_type = Some(symbol(value)?),
            "$.ce" => properties.content_encoding = Some(symbol(value)?),
            "$.exp" => {
                let at = UtcTime::parse(&value).map(UtcTime::unix_ms);
                properties.absolute_expiry_time = at.ok();
            }
            "$.ctime" => push(&mut own, "iothub-creation-time-utc", &value),
            "$.on" => push(&mut own, "iothub-outputname", &value),
            "$.schema" => push(&mut own, "iothub-message-schema", &value),
            "$.ifid" => annotate(&mut annotations, "iothub-interface-id", &value),
            // Node's client writes the component's name as a property.
            "$.sub" | "dt-subject" => annotate(&mut annotations, "dt-subject", &value),
            "$.diagid" => annotate(&mut annotations, "Diagnostic-Id", &value),
            "$.diagctx" => annotate(&mut annotations, "Correlation-Context", &value),
            // The hub says these itself.
            "$.cdid" | "$.cmid" => {}
            name => push(&mut own, name, &value),
        }
    }
    if kind.retain {
        push(&mut own, RETAIN, "true");
    }
    if kind.will {
        push(&mut own, MESSAGE_TYPE, "Will");
    }
    if let Some(model) = kind.model_id {
        annotate(&mut annotations, "dt-dataschema", model);
    }
    let of = |map: Map| (map.iter().next().is_some()).then_some(map);
    Ok(Message {
        message_annotations: of(annotations),
        properties: (properties != Properties::default()).then_some(properties),
        application_properties: of(own),
        body: Body::Data(vec![payload]),
        ..Message::default()
    })
}

/// A word, which is ASCII.
fn symbol(value: Cow<'_, str>) -> Result<Symbol, InvalidBag> {
    Symbol::new(value).map_err(|_| InvalidBag)
}

/// The last property of a name counts.
fn push(map: &mut Map, name: &str, value: &str) {
    map.0.retain(|(of, _)| of.as_str() != Some(name));
    map.0.push((Value::from(name), Value::from(value)));
}

fn annotate(map: &mut Map, name: &'static str, value: &str) {
    map.0.retain(|(of, _)| of.as_str() != Some(name));
    map.0
        .push((Value::Symbol(Symbol::from_static(name)), Value::from(value)));
}
