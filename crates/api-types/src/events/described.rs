//! What is posted to callbacks, as it is described.

#![allow(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use crate::words::{Connection, DeviceId, JsonObject, Reason, Time};

/// Desired properties of a device changed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct DesiredPropertyUpdate {
    /// Always `DesiredPropertyUpdate`.
    event_type: String,
    device_id: DeviceId,
    device_received_at: Time,
    /// The change, with `$version`.
    desired_properties: JsonObject,
    /// True where these are all desired properties: they are the first that the subscription gets, or changes may have been missed.
    #[schema(nullable = false)]
    full_state: Option<bool>,
}

/// A message for a device.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct C2DMessage {
    /// Always `C2DMessage`.
    event_type: String,
    device_id: DeviceId,
    device_received_at: Time,
    /// The body: JSON as it is, anything else as base64 text.
    message_body: Value,
    /// `base64` where the body is no JSON.
    #[schema(nullable = false)]
    message_body_encoding: Option<String>,
    /// The sender's properties.
    properties: BTreeMap<String, String>,
    /// The sender's name for the message.
    #[schema(required)]
    message_id: Option<String>,
    /// When it expires; `0001-01-01T00:00:00Z` where its sender did not say. (The original's spelling.)
    #[schema(rename = "expirtyTimeUtC", format = DateTime)]
    expiry: String,
}

/// Somebody calls a method of a device and waits for the answer.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct DirectMethodInvocation {
    /// Always `DirectMethodInvocation`.
    event_type: String,
    device_id: DeviceId,
    device_received_at: Time,
    /// Which method.
    method_name: String,
    /// The payload: JSON, null where there is none, anything else as base64 text.
    request_data: Value,
    /// `base64` where the payload is no JSON.
    #[schema(nullable = false)]
    request_data_encoding: Option<String>,
}

/// What the method came to. Names of members are taken in any case; without this body the method answers 200 without a payload.
#[derive(ToSchema)]
pub struct MethodAnswer {
    /// Status of the method; 200 when it is absent.
    status: Option<i32>,
    /// Anything.
    payload: Option<Value>,
}

/// The connection of a device changed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ConnectionStatusChange {
    /// Always `ConnectionStatusChange`.
    event_type: String,
    device_id: DeviceId,
    device_received_at: Time,
    status: Connection,
    reason: Reason,
    /// Changes before this one that were left out, because too many waited.
    #[schema(nullable = false, minimum = 1)]
    skipped: Option<u32>,
}
