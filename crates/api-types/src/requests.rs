//! What requests carry. The handlers read these by hand, so that `data` goes on byte for byte; that they take what is described
//! here is tested by examples, and by property tests from outside.

#![allow(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::words::{CallbackUrl, DeviceId, JsonObject, ModelId};

/// A message of a device. Names of members are taken in any case; unknown members are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Message {
    /// The message itself. It reaches the hub byte for byte as it stands here, as `application/json` in `utf-8`.
    data: JsonObject,
    /// Application properties. Together with `data` and the rest a message has 262,144 bytes at most.
    properties: Option<BTreeMap<String, String>>,
    /// The IoT Plug and Play component that speaks (`dt-subject`).
    component_name: Option<String>,
    /// When the message was made. Without an offset it is UTC.
    #[schema(value_type = Option<String>, format = DateTime)]
    creation_time_utc: Option<String>,
}

/// Messages of many devices. Each has its own fate; those of one device keep their order.
#[derive(ToSchema)]
pub struct Batch {
    /// The messages.
    #[schema(min_items = 1, max_items = 500)]
    messages: Vec<BatchedMessage>,
}

/// A message and whose it is.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct BatchedMessage {
    device_id: DeviceId,
    /// As of a single message.
    data: JsonObject,
    /// As of a single message.
    properties: Option<BTreeMap<String, String>>,
    /// As of a single message.
    component_name: Option<String>,
    /// As of a single message.
    #[schema(value_type = Option<String>, format = DateTime)]
    creation_time_utc: Option<String>,
}

/// A change of reported properties.
#[derive(ToSchema)]
pub struct ReportedPatch {
    /// Merged into what is reported; a member that is null is removed.
    patch: JsonObject,
}

/// What is told to DPS.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Registration {
    #[schema(nullable)]
    model_id: Option<ModelId>,
}

/// Where the events of a device go.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Subscribe {
    callback_url: CallbackUrl,
}

/// Where the events of many devices go.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct FleetSubscribe {
    callback_url: CallbackUrl,
    /// Whether the devices stay connected for it. Without it their events arrive while they are connected for another reason.
    keep_connected: Option<bool>,
}

/// An example of a message.
#[must_use]
pub fn message() -> Value {
    json!({
        "data": { "temperature": 21.5 },
        "properties": { "room": "12" },
        "componentName": "pump",
        "creationTimeUtc": "2026-11-22T10:20:30Z"
    })
}

/// An example of a batch.
#[must_use]
pub fn batch() -> Value {
    json!({ "messages": [
        { "deviceId": "sensor-1", "data": { "temperature": 21.5 } },
        { "deviceId": "sensor-2", "data": { "temperature": 19 }, "properties": { "room": "14" } }
    ] })
}

/// An example of a change of reported properties.
#[must_use]
pub fn patch() -> Value {
    json!({ "patch": { "firmware": "1.4.2", "obsolete": null } })
}

/// An example of a registration.
#[must_use]
pub fn registration() -> Value {
    json!({ "modelId": "dtmi:com:example:Pump;1" })
}

/// An example of a subscription of one device.
#[must_use]
pub fn subscribe() -> Value {
    json!({ "callbackUrl": "https://example.com/events?code=secret" })
}

/// An example of a subscription of many devices.
#[must_use]
pub fn fleet_subscribe() -> Value {
    json!({ "callbackUrl": "https://example.com/events?code=secret", "keepConnected": true })
}
