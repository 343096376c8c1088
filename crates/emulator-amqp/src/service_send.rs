//! Messages that services send to devices: their conversion to messages that wait for their device.
//!
//! Rules: Azure articles "Understand cloud-to-device messaging from an IoT hub" and "Create and read IoT Hub messages".
//!
//! A message without an expiry set by its sender has the hub's default time to live, but does not carry it: the topics of such
//! messages, which the articles on MQTT show, have no `$.exp`; those whose senders set an expiry have one.

use bytes::Bytes;
use drawspan_amqp::engine::{AcceptOptions, Credit};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{Error, condition};
use drawspan_amqp::value::{Map, Value};
use drawspan_emulator_hub::hub::SendError;
use drawspan_hub::address::{self, Address, DeviceFunction};
use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::c2d::{Ack, NewMessage, Refused};
use drawspan_hub_model::limits::Limits;

use super::error::{ARGUMENT_ERROR, refusal};
use super::telemetry::{check_size, malformed};
use crate::limits;

/// The path for messages of services, which a token must cover.
pub(super) const PATH: &str = "/messages/devicebound";

const ACK: &str = "iothub-ack";

/// How a service's link is accepted.
pub(super) fn accept_options(hub: &Limits) -> AcceptOptions {
    AcceptOptions {
        max_message_bytes: Some(hub.c2d_message_bytes),
        slack_bytes: limits::C2D_SLACK_BYTES,
        credit: Some(Credit::Auto(limits::C2D_CREDIT)),
        ..AcceptOptions::default()
    }
}

/// Reads a service's message, or says what is wrong with it.
pub(super) fn read(
    message_format: u32,
    payload: &Bytes,
    hub: &Limits,
    now_unix_ms: u64,
) -> Result<(DeviceId, NewMessage), Error> {
    if message_format != 0 {
        let text = format!("message format {message_format:#x} is not understood here");
        return Err(refusal(
            condition::NOT_IMPLEMENTED,
            ErrorCode::ARGUMENT_INVALID,
            &text,
        ));
    }
    let message = Message::decode(payload).map_err(malformed)?;
    check_size(&message, payload.len(), hub.c2d_message_bytes)?;
    let properties = message.properties.unwrap_or_default();
    let device = addressee(properties.to.as_deref())?;
    let ttl_ms = message.header.and_then(|header| header.ttl_ms);
    let expires = properties
        .absolute_expiry_time
        .map(|at| u64::try_from(at).unwrap_or(0))
        .or(ttl_ms.map(|ttl_ms| now_unix_ms.saturating_add(ttl_ms.into())));
    let application_properties = texts(message.application_properties)?;
    let ack = ack(application_properties.as_ref())?;
    let message_id = id(properties.message_id.as_ref())?;
    id(properties.correlation_id.as_ref())?;
    let outgoing = Message {
        properties: Some(Properties {
            to: Some(to(&device)),
            // Properties of a group are meaningless for a single device.
            group_id: None,
            group_sequence: None,
            reply_to_group_id: None,
            ..properties
        }),
        application_properties,
        body: body(message.body)?,
        ..Message::default()
    };
    let message = NewMessage {
        message_id,
        ack,
        expires_unix_ms: expires,
        generation_id: "".into(),
        payload: outgoing.to_bytes(),
    };
    Ok((device, message))
}

/// Why a message was not taken, as its sender hears it.
pub(super) fn refused(error: SendError) -> Error {
    match error {
        SendError::UnknownDevice => {
            let code = ErrorCode::DEVICE_NOT_FOUND;
            refusal(condition::NOT_FOUND, code, "the device is not registered")
        }
        SendError::Refused(refused @ Refused::QueueFull { .. }) => {
            let condition = condition::RESOURCE_LIMIT_EXCEEDED;
            refusal(condition, refused.code(), &refused.to_string())
        }
        SendError::Refused(refused @ Refused::HubFull) => {
            // Clients treat a resource limit as a full queue, regardless of the code.
            refusal(
                condition::INTERNAL_ERROR,
                refused.code(),
                &refused.to_string(),
            )
        }
        SendError::Store(_) => {
            let text = "the message cannot be stored at the moment";
            refusal(condition::INTERNAL_ERROR, ErrorCode::SERVER_BUSY, text)
        }
    }
}

fn addressee(to: Option<&str>) -> Result<DeviceId, Error> {
    let nobody = |text: &str| {
        let code = ErrorCode::INVALID_OPERATION;
        refusal(condition::NOT_ALLOWED, code, text)
    };
    let to = to.ok_or_else(|| nobody("the message has no `to`: it names no device"))?;
    match address::parse(to) {
        Ok(Address::Device {
            device,
            module: None,
            function: DeviceFunction::DeviceBound,
        }) => Ok(device),
        Ok(Address::Device {
            module: Some(_),
            function: DeviceFunction::DeviceBound,
            ..
        }) => {
            let text = "modules get no cloud-to-device messages";
            Err(refusal(
                condition::NOT_IMPLEMENTED,
                ErrorCode::INVALID_OPERATION,
                text,
            ))
        }
        _ => Err(nobody(
            "`to` is not of the form /devices/{id}/messages/devicebound",
        )),
    }
}

/// The device's own address, in the hub's spelling.
fn to(device: &DeviceId) -> String {
    let address = Address::device(device, DeviceFunction::DeviceBound).to_string();
    match address.strip_suffix("devicebound") {
        Some(rest) => format!("{rest}deviceBound"),
        None => address,
    }
}

/// An id as text, as feedback and other protocols have it. Over AMQP it keeps its type: the Node client sends as a uuid what
/// looks like one.
fn id(id: Option<&MessageId>) -> Result<Option<String>, Error> {
    let text = id.map(MessageId::to_string);
    let chars = text.as_deref().map_or(0, |text| text.chars().count());
    if chars > limits::MESSAGE_ID_CHARS {
        let limit = limits::MESSAGE_ID_CHARS;
        return Err(wrong(&format!("an id has at most {limit} characters")));
    }
    Ok(text)
}

/// Devices get properties as text: their clients drop or refuse anything else.
fn texts(properties: Option<Map>) -> Result<Option<Map>, Error> {
    let Some(properties) = properties else {
        return Ok(None);
    };
    let mut texts = Map::new();
    for (name, value) in properties.0 {
        let Some(name) = name.as_str() else {
            return Err(wrong("a property's name is not text"));
        };
        let Some(value) = text(&value) else {
            return Err(wrong(&format!(
                "the property `{name}` is not a simple value"
            )));
        };
        texts.push(name, value);
    }
    Ok(Some(texts))
}

fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::Bool(truth) => truth.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Char(letter) => letter.to_string(),
        Value::Timestamp(unix_ms) => drawspan_hub::UtcTime::from_unix_ms(*unix_ms).to_string(),
        Value::Uuid(uuid) => MessageId::Uuid(*uuid).to_string(),
        Value::Ulong(number) => number.to_string(),
        value => match (value.as_str(), value.as_i64()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(number)) => number.to_string(),
            (None, None) => return None,
        },
    })
}

fn ack(properties: Option<&Map>) -> Result<Ack, Error> {
    let wanted = properties
        .and_then(|properties| properties.get(ACK))
        .and_then(Value::as_str);
    match wanted {
        None => Ok(Ack::None),
        Some(text) => {
            Ack::parse(text).ok_or_else(|| wrong("iothub-ack is none, positive, negative or full"))
        }
    }
}

fn body(body: Body) -> Result<Body, Error> {
    match body {
        Body::Data(_) | Body::Empty => Ok(body),
        Body::Value(Value::Binary(bytes)) => Ok(Body::Data(vec![bytes])),
        Body::Value(Value::String(text)) => Ok(Body::Data(vec![text.into()])),
        Body::Value(_) | Body::Sequence(_) => Err(wrong("the body is not data")),
    }
}

fn wrong(text: &str) -> Error {
    refusal(ARGUMENT_ERROR, ErrorCode::ARGUMENT_INVALID, text)
}

#[cfg(test)]
#[path = "service_send_tests.rs"]
mod tests;
