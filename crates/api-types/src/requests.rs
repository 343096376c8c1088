//! Bodies of requests, as the API's document describes them. The handlers parse bodies by hand, so that `data` is passed on byte for
//! byte; examples here, and property tests from outside, check that they accept what is described.

#![allow(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::words::{CallbackUrl, DeviceId, JsonObject, ModelId};

/// A message of a device. Names of members are taken in any case; unknown members are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Message {
    /// Body of the message, passed on to the hub byte for byte, as `application/json` in `utf-8`.
    data: JsonObject,
    /// Application properties. A message may have 262,144 bytes in all, including `data`.
    properties: Option<BTreeMap<String, String>>,
    /// IoT Plug and Play component that sends the message (`dt-subject`).
    component_name: Option<String>,
    /// Creation time of the message; UTC unless it has an offset.
    #[schema(value_type = Option<String>, format = DateTime)]
    creation_time_utc: Option<String>,
}

/// Messages of many devices. Each succeeds or fails by itself; messages of one device keep their order.
#[derive(ToSchema)]
pub struct Batch {
    /// The messages.
    #[schema(min_items = 1, max_items = 500)]
    messages: Vec<BatchedMessage>,
}

/// A message with the id of its device.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct BatchedMessage {
    device_id: DeviceId,
    /// As in `Message`.
    data: JsonObject,
    /// As in `Message`.
    properties: Option<BTreeMap<String, String>>,
    /// As in `Message`.
    component_name: Option<String>,
    /// As in `Message`.
    #[schema(value_type = Option<String>, format = DateTime)]
    creation_time_utc: Option<String>,
}

/// A change of reported properties.
#[derive(ToSchema)]
pub struct ReportedPatch {
    /// Properties to merge into the reported ones; null removes a property.
    patch: JsonObject,
}

/// Data for the registration at DPS.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Registration {
    #[schema(nullable)]
    model_id: Option<ModelId>,
}

/// A subscription to create for one device.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Subscribe {
    callback_url: CallbackUrl,
}

/// A subscription to create for many devices.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct FleetSubscribe {
    callback_url: CallbackUrl,
    /// Whether the devices are kept connected for this subscription. Otherwise their events arrive only while they are connected for another reason.
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

/// An example of a fleet subscription.
#[must_use]
pub fn fleet_subscribe() -> Value {
    json!({ "callbackUrl": "https://example.com/events?code=secret", "keepConnected": true })
}
