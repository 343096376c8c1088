//! What receivers read, and a device that asks for its messages: one JSON object per event, with the original bridge's members.
//!
//! JSON that came from outside is passed on byte for byte. What is no JSON goes as Base64, and a member beside it says so.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bytes::Bytes;
use drawspan_bridge::events::Content;
use drawspan_gateway::Held;
use drawspan_hub::{DeviceId as Device, UtcTime};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::encoded::{Encoded, encoded};
use crate::words::{Connection, DeviceId, JsonObject, Reason, Time};

const C2D_MESSAGE: &str = "C2DMessage";

/// Desired properties of a device changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DesiredPropertyUpdate<'a> {
    /// Always `DesiredPropertyUpdate`.
    event_type: &'static str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    device_received_at: Time,
    /// The change, with `$version`.
    #[schema(value_type = JsonObject)]
    desired_properties: Encoded<'a>,
    /// True where these are all desired properties: they are the first that the subscription gets, or changes may have been missed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    full_state: Option<bool>,
}

/// A message for a device.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct C2DMessage<'a> {
    /// Always `C2DMessage`.
    event_type: &'static str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    device_received_at: Time,
    /// The body: JSON as it is, anything else as base64 text.
    #[schema(value_type = Value)]
    message_body: Encoded<'a>,
    /// `base64` where the body is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message_body_encoding: Option<&'static str>,
    /// The sender's properties.
    #[serde(serialize_with = "properties")]
    #[schema(value_type = HashMap<String, String>)]
    properties: &'a [(String, String)],
    /// The sender's name for the message.
    #[schema(required)]
    message_id: Option<&'a str>,
    /// When it expires; `0001-01-01T00:00:00Z` where its sender did not say. (The original's spelling.)
    #[serde(rename = "expirtyTimeUtC", serialize_with = "expiry")]
    #[schema(value_type = String, format = DateTime)]
    expiry: Option<UtcTime>,
}

/// A cloud-to-device message, held for the device until it is settled or `lockedUntil` is over. Its members are those of the event
/// `C2DMessage`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldMessage<'a> {
    /// Always `C2DMessage`.
    event_type: &'static str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    device_received_at: Time,
    /// The body: JSON as it is, anything else as base64 text.
    #[schema(value_type = Value)]
    message_body: Encoded<'a>,
    /// `base64` where the body is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message_body_encoding: Option<&'static str>,
    /// The sender's properties.
    #[serde(serialize_with = "properties")]
    #[schema(value_type = HashMap<String, String>)]
    properties: &'a [(String, String)],
    /// The sender's name for the message.
    #[schema(required)]
    message_id: Option<&'a str>,
    /// When it expires; `0001-01-01T00:00:00Z` where its sender did not say. (The original's spelling.)
    #[serde(rename = "expirtyTimeUtC", serialize_with = "expiry")]
    #[schema(value_type = String, format = DateTime)]
    expiry: Option<UtcTime>,
    /// Names the message in `complete`, `abandon` and `reject`.
    lock_token: &'a str,
    locked_until: Time,
}

/// Somebody calls a method of a device and waits for the answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectMethodInvocation<'a> {
    /// Always `DirectMethodInvocation`.
    event_type: &'static str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    device_received_at: Time,
    /// Which method.
    method_name: &'a str,
    /// The payload: JSON, null where there is none, anything else as base64 text.
    #[schema(value_type = Value)]
    request_data: Encoded<'a>,
    /// `base64` where the payload is no JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_data_encoding: Option<&'static str>,
}

/// The connection of a device changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatusChange<'a> {
    /// Always `ConnectionStatusChange`.
    event_type: &'static str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    device_received_at: Time,
    status: Connection,
    reason: Reason,
    /// Changes before this one that were left out, because too many waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    skipped: Option<u32>,
}

/// What the method came to. Names of members are taken in any case; without this body the method answers 200 without a payload.
#[allow(
    dead_code,
    reason = "the receiver sends it; the controller reads it by hand"
)]
#[derive(Debug, ToSchema)]
pub struct MethodAnswer {
    /// Status of the method; 200 when it is absent.
    status: Option<i32>,
    /// Anything.
    payload: Option<Value>,
}

/// The JSON of an event, as its receiver reads it.
#[must_use]
pub fn body(device: &Device, received_at: UtcTime, content: &Content) -> Bytes {
    let device_id = device.as_str();
    let device_received_at = Time(received_at);
    match content {
        Content::Status {
            status,
            reason,
            skipped,
        } => json(&ConnectionStatusChange {
            event_type: "ConnectionStatusChange",
            device_id,
            device_received_at,
            status: Connection(*status),
            reason: Reason(*reason),
            skipped: Some(*skipped).filter(|skipped| *skipped > 0),
        }),
        Content::Desired {
            properties,
            full_state,
        } => json(&DesiredPropertyUpdate {
            event_type: "DesiredPropertyUpdate",
            device_id,
            device_received_at,
            desired_properties: encoded(properties).0,
            full_state: full_state.then_some(true),
        }),
        Content::Method { name, payload } => {
            let (request_data, request_data_encoding) = match payload.as_ref() {
                b"" => (Encoded::Null, None),
                payload => encoded(payload),
            };
            json(&DirectMethodInvocation {
                event_type: "DirectMethodInvocation",
                device_id,
                device_received_at,
                method_name: name,
                request_data,
                request_data_encoding,
            })
        }
        Content::C2d(message) => {
            let (message_body, message_body_encoding) = encoded(&message.body);
            json(&C2DMessage {
                event_type: C2D_MESSAGE,
                device_id,
                device_received_at,
                message_body,
                message_body_encoding,
                properties: &message.properties,
                message_id: message.message_id.as_deref(),
                expiry: message.expiry,
            })
        }
        Content::Replay { event, .. } => event.clone(),
    }
}

/// The JSON of a message that a device asked for: the event's members, and how the message is settled.
#[must_use]
pub fn held(device: &Device, held: &Held) -> Bytes {
    let message = &held.message;
    let (message_body, message_body_encoding) = encoded(&message.body);
    json(&HeldMessage {
        event_type: C2D_MESSAGE,
        device_id: device.as_str(),
        device_received_at: Time(held.received_at),
        message_body,
        message_body_encoding,
        properties: &message.properties,
        message_id: message.message_id.as_deref(),
        expiry: message.expiry,
        lock_token: &held.lock_token,
        locked_until: Time(held.locked_until),
    })
}

/// Texts and JSON that was checked: writing them into memory does not fail.
fn json(event: &impl Serialize) -> Bytes {
    serde_json::to_vec(event).unwrap_or_default().into()
}

/// Receivers of the original read a time here that may not be null; where the message has none it is .NET's least one.
fn expiry<S: Serializer>(time: &Option<UtcTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_str("0001-01-01T00:00:00Z"),
    }
}

/// An object; of a name that is there twice the last value counts.
fn properties<S: Serializer>(
    properties: &[(String, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let places = properties.iter().enumerate();
    let last: HashMap<&str, usize> = places.map(|(at, (name, _))| (name.as_str(), at)).collect();
    let places = properties.iter().enumerate();
    let counting = places.filter(|(at, (name, _))| last.get(name.as_str()) == Some(at));
    serializer.collect_map(counting.map(|(_, (name, value))| (name, value)))
}
