//! Events as JSON objects with the original bridge's members, for receivers and for devices that poll for their messages.
//!
//! JSON from outside is passed on byte for byte. Other payloads are encoded in Base64, which a second member states.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bytes::Bytes;
use drawspan_bridge::events::Content;
use drawspan_gateway::Held;
use drawspan_hub::{C2dMessage as Message, DeviceId as Device, UtcTime};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::encoded::{Encoded, encoded};
use crate::words::{Connection, DeviceId, JsonObject, Reason, Time};

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
    /// True if `desiredProperties` holds all desired properties: at the start of a subscription, and after missed changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    full_state: Option<bool>,
}

/// A cloud-to-device message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct C2DMessage<'a> {
    /// Always `C2DMessage`.
    event_type: &'static str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    device_received_at: Time,
    /// Body of the message: JSON, passed on unchanged, or a Base64 string.
    #[schema(value_type = Value)]
    message_body: Encoded<'a>,
    /// `base64` if the body is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message_body_encoding: Option<&'static str>,
    /// Application properties set by the sender.
    #[serde(serialize_with = "properties")]
    #[schema(value_type = HashMap<String, String>)]
    properties: &'a [(String, String)],
    /// Message id set by the sender; null if the sender set no id.
    #[schema(required)]
    message_id: Option<&'a str>,
    /// Expiry of the message; `0001-01-01T00:00:00Z` if the sender set none. (The spelling is the original's.)
    #[serde(rename = "expirtyTimeUtC", serialize_with = "expiry")]
    #[schema(value_type = String, format = DateTime)]
    expiry: Option<UtcTime>,
}

impl<'a> C2DMessage<'a> {
    /// The event of a message that arrived for the device.
    fn new(device_id: &'a str, device_received_at: Time, message: &'a Message) -> Self {
        let (message_body, message_body_encoding) = encoded(&message.body);
        Self {
            event_type: "C2DMessage",
            device_id,
            device_received_at,
            message_body,
            message_body_encoding,
            properties: &message.properties,
            message_id: message.message_id.as_deref(),
            expiry: message.expiry,
        }
    }
}

/// A cloud-to-device message, held for the device until it is settled or `lockedUntil` has passed. Its members are those of the event
/// `C2DMessage`, and its lock.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldMessage<'a> {
    #[serde(flatten)]
    message: C2DMessage<'a>,
    /// Token that identifies the message in `complete`, `abandon` and `reject`.
    lock_token: &'a str,
    locked_until: Time,
}

/// A direct method of a device was called; the caller waits for the answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectMethodInvocation<'a> {
    /// Always `DirectMethodInvocation`.
    event_type: &'static str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    device_received_at: Time,
    /// Name of the method.
    method_name: &'a str,
    /// Payload of the method: JSON, passed on unchanged, or a Base64 string. Null if the caller sent none.
    #[schema(value_type = Value)]
    request_data: Encoded<'a>,
    /// `base64` if the payload is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_data_encoding: Option<&'static str>,
}

/// The connection status of a device changed.
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
    /// Number of earlier changes that were left out because too many waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    skipped: Option<u32>,
}

/// The answer of a method. Names of members match in any case; an empty body means 200 without payload.
#[allow(
    dead_code,
    reason = "the receiver sends it; the controller parses it by hand"
)]
#[derive(Debug, ToSchema)]
pub struct MethodAnswer {
    /// Status of the method; 200 if absent.
    status: Option<i32>,
    /// Payload of the answer: any JSON value.
    payload: Option<Value>,
}

/// Serialises an event for its receiver.
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
        Content::C2d(message) => json(&C2DMessage::new(device_id, device_received_at, message)),
        Content::Replay { event, .. } => event.clone(),
    }
}

/// Serialises a message that a device polled for: the members of the event, and the lock by which it is settled.
#[must_use]
pub fn held(device: &Device, held: &Held) -> Bytes {
    json(&HeldMessage {
        message: C2DMessage::new(device.as_str(), Time(held.received_at), &held.message),
        lock_token: &held.lock_token,
        locked_until: Time(held.locked_until),
    })
}

/// Serialises into memory. This cannot fail: the values are texts and valid JSON.
fn json(event: &impl Serialize) -> Bytes {
    serde_json::to_vec(event).unwrap_or_default().into()
}

/// Serialises an expiry. Receivers written for the original expect a time that is not null, so a missing one is .NET's minimum.
fn expiry<S: Serializer>(time: &Option<UtcTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_str("0001-01-01T00:00:00Z"),
    }
}

/// Serialises properties as an object. The last value of a repeated name counts.
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
