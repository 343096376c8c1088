//! What is posted to callbacks. OpenAPI 3.1 calls these webhooks.

#![allow(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;

use super::words::{Connection, DeviceId, JsonObject, Reason, Time};

/// Desired properties of a device changed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct DesiredPropertyUpdate {
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
pub(super) struct C2DMessage {
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
pub(super) struct DirectMethodInvocation {
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
pub(super) struct MethodAnswer {
    /// Status of the method; 200 when it is absent.
    status: Option<i32>,
    /// Anything.
    payload: Option<Value>,
}

/// The connection of a device changed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct ConnectionStatusChange {
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

/// The part of the document.
pub(super) fn webhooks() -> Value {
    let taken = json!({ "2XX": { "description": "Taken." }, "default": { "description": "Not taken; what is worth another attempt is tried again." } });
    let mut method = taken.clone();
    method["2XX"] = json!({
        "description": "What the method came to.",
        "content": content("MethodAnswer"),
    });
    method["default"] = json!({ "description": "The method answers 500." });
    let message = json!({
        "2XX": { "description": "Taken: the message is completed." },
        "4XX": { "description": "Refused: the message is rejected. (408, 425 and 429 are tried again.)" },
        "default": { "description": "Not taken: the message is abandoned, and the hub delivers it again." },
    });
    json!({
        "DesiredPropertyUpdate": webhook("DesiredPropertyUpdate", "Desired properties of a device changed.", &taken),
        "C2DMessage": webhook("C2DMessage", "A message for a device.", &message),
        "DirectMethodInvocation": webhook("DirectMethodInvocation", "Somebody calls a method of a device.", &method),
        "ConnectionStatusChange": webhook("ConnectionStatusChange", "The connection of a device changed.", &taken),
    })
}

fn webhook(name: &str, summary: &str, responses: &Value) -> Value {
    let header = |name: &str, description: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" },
        })
    };
    json!({ "post": {
        "operationId": format!("On{name}"),
        "summary": summary,
        "description": "Posted to the callback URL of a subscription, once or more often; `webhook-id` is the same each time.",
        "tags": ["Subscriptions"],
        "security": [],
        "parameters": [
            header("webhook-id", "The same for each attempt."),
            header("webhook-timestamp", "Unix time of the attempt, in seconds."),
        ],
        "requestBody": { "required": true, "content": content(name) },
        "responses": responses,
    } })
}

fn content(name: &str) -> Value {
    json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } })
}
