//! What receivers read: one JSON object per event, with the original bridge's members.
//!
//! JSON that came from outside is passed on byte for byte. What is no JSON goes as Base64, and a member beside it says so.

pub mod described;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bytes::Bytes;
use drawspan_bridge::events::Content;
use drawspan_gateway::Held;
use drawspan_hub::{C2dMessage, DeviceId, UtcTime};
use serde::{Serialize, Serializer};

use crate::encoded::{Encoded, encoded};

/// What every event begins with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, M> {
    event_type: &'static str,
    device_id: &'a str,
    #[serde(serialize_with = "time")]
    device_received_at: UtcTime,
    #[serde(flatten)]
    members: M,
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Desired<'a> {
    desired_properties: Encoded<'a>,
    #[serde(skip_serializing_if = "is_false")]
    full_state: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Method<'a> {
    method_name: &'a str,
    request_data: Encoded<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_data_encoding: Option<&'static str>,
}

/// The members of a cloud-to-device message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct C2d<'a> {
    message_body: Encoded<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_body_encoding: Option<&'static str>,
    #[serde(serialize_with = "properties")]
    properties: &'a [(String, String)],
    message_id: Option<&'a str>,
    /// So spelled by the original, whose receivers expect it so.
    #[serde(rename = "expirtyTimeUtC", serialize_with = "expiry")]
    expiry: Option<UtcTime>,
}

/// A message that waits for a device to settle it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pulled<'a> {
    #[serde(flatten)]
    message: C2d<'a>,
    lock_token: &'a str,
    #[serde(serialize_with = "time")]
    locked_until: UtcTime,
}

/// The JSON of an event, as its receiver reads it.
#[must_use]
pub fn body(device: &DeviceId, received_at: UtcTime, content: &Content) -> Bytes {
    match content {
        Content::Status {
            status,
            reason,
            skipped,
        } => {
            let members = Status {
                status: status.as_str(),
                reason: reason.as_str(),
                skipped: *skipped,
            };
            envelope("ConnectionStatusChange", device, received_at, members)
        }
        Content::Desired {
            properties,
            full_state,
        } => {
            let members = Desired {
                desired_properties: encoded(properties).0,
                full_state: *full_state,
            };
            envelope("DesiredPropertyUpdate", device, received_at, members)
        }
        Content::Method { name, payload } => {
            let (request_data, request_data_encoding) = match payload.as_ref() {
                b"" => (Encoded::Null, None),
                payload => encoded(payload),
            };
            let members = Method {
                method_name: name,
                request_data,
                request_data_encoding,
            };
            envelope("DirectMethodInvocation", device, received_at, members)
        }
        Content::C2d(message) => envelope("C2DMessage", device, received_at, c2d(message)),
        Content::Replay { event, .. } => event.clone(),
    }
}

/// The JSON of a message that a device asked for: the event's members, and how the message is settled.
#[must_use]
pub fn held(device: &DeviceId, held: &Held) -> Bytes {
    let members = Pulled {
        message: c2d(&held.message),
        lock_token: &held.lock_token,
        locked_until: held.locked_until,
    };
    envelope("C2DMessage", device, held.received_at, members)
}

fn c2d(message: &C2dMessage) -> C2d<'_> {
    let (message_body, message_body_encoding) = encoded(&message.body);
    C2d {
        message_body,
        message_body_encoding,
        properties: &message.properties,
        message_id: message.message_id.as_deref(),
        expiry: message.expiry,
    }
}

fn envelope(
    event_type: &'static str,
    device: &DeviceId,
    device_received_at: UtcTime,
    members: impl Serialize,
) -> Bytes {
    let envelope = Envelope {
        event_type,
        device_id: device.as_str(),
        device_received_at,
        members,
    };
    // Texts and JSON that was checked: writing them into memory does not fail.
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

fn time<S: Serializer>(time: &UtcTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
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

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks so
const fn is_false(value: &bool) -> bool {
    !*value
}
