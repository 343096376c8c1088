//! What answers carry. That the handlers answer so is tested, operation by operation.

#![allow(dead_code, reason = "described, never made")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use crate::words::{
    CallbackUrl, Connection, DeviceId, JsonObject, Prefix, Progress, Reason, State,
    SubscriptionKind, Time,
};

/// A twin: what the cloud wants, and what the device says. Each side has its `$version`.
#[derive(ToSchema)]
pub struct TwinAnswer {
    twin: Twin,
}

/// A twin.
#[derive(ToSchema)]
pub struct Twin {
    properties: TwinProperties,
}

/// Both sides of a twin.
#[derive(ToSchema)]
pub struct TwinProperties {
    /// What the cloud wants.
    desired: JsonObject,
    /// What the device says.
    reported: JsonObject,
}

/// A subscription of one device.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Subscription {
    device_id: DeviceId,
    subscription_type: SubscriptionKind,
    callback_url: CallbackUrl,
    created_at: Time,
    #[schema(nullable = false)]
    status: Option<Progress>,
}

/// A subscription of many devices.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct FleetSubscription {
    prefix: Prefix,
    subscription_type: SubscriptionKind,
    callback_url: CallbackUrl,
    /// Whether the devices stay connected for it.
    keep_connected: bool,
    created_at: Time,
}

/// All fleet subscriptions.
#[derive(ToSchema)]
pub struct FleetSubscriptions {
    subscriptions: Vec<FleetSubscription>,
}

/// The public words for a connection.
#[derive(ToSchema)]
pub struct ConnectionAnswer {
    status: Connection,
    reason: Reason,
}

/// A cloud-to-device message, held for the device until it is settled or `lockedUntil` is over. Its members are those of the event
/// `C2DMessage`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct HeldMessage {
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
    #[schema(required)]
    /// The sender's name for the message.
    message_id: Option<String>,
    /// When it expires; `0001-01-01T00:00:00Z` where its sender did not say. (The original's spelling.)
    #[schema(rename = "expirtyTimeUtC", format = DateTime)]
    expiry: String,
    /// Names the message in `complete`, `abandon` and `reject`.
    lock_token: String,
    locked_until: Time,
}

/// What came of a batch.
#[derive(ToSchema)]
pub struct BatchAnswer {
    /// Messages that the hub accepted.
    #[schema(minimum = 0)]
    accepted: u32,
    /// Messages that it did not.
    #[schema(minimum = 0)]
    failed: u32,
    /// One per message, in the order of the request.
    results: Vec<BatchResult>,
}

/// What came of one message.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct BatchResult {
    /// As it was sent; null where it was no text.
    #[schema(required)]
    device_id: Option<String>,
    /// The status that the message would have had alone.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// When to try again, in seconds.
    #[schema(nullable = false, minimum = 1)]
    retry_after: Option<u64>,
    #[schema(nullable = false)]
    problem: Option<Problem>,
}

/// A page of devices.
#[derive(ToSchema)]
pub struct Devices {
    /// In the order of their ids. There may be fewer than asked for, and more to come.
    devices: Vec<ListedDevice>,
    /// Present when there are more: the value for `after`.
    #[schema(nullable = false)]
    continuation: Option<String>,
}

/// A known device.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct ListedDevice {
    device_id: DeviceId,
    #[schema(required)]
    status: Option<Connection>,
    #[schema(required)]
    reason: Option<Reason>,
    /// Host name of its hub, as far as known.
    #[schema(required)]
    hub: Option<String>,
    /// Which subscriptions of its own it has.
    subscriptions: Vec<SubscriptionKind>,
}

/// Why a device is (not) connected. What is not known is null.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Diagnostics {
    device_id: DeviceId,
    state: State,
    /// Since when.
    #[schema(required)]
    since: Option<Time>,
    #[schema(required)]
    status: Option<Connection>,
    #[schema(required)]
    reason: Option<Reason>,
    /// Host name of its hub.
    #[schema(required)]
    hub: Option<String>,
    /// Its name at the hub, when DPS gave it another one.
    #[schema(required)]
    assigned_device_id: Option<String>,
    /// The last thing that went wrong.
    #[schema(required)]
    last_failure: Option<LastFailure>,
    /// Attempts that failed since the last good connection.
    #[schema(minimum = 0)]
    failures: u32,
    /// When the next attempt is due.
    #[schema(required)]
    next_attempt_at: Option<Time>,
    /// Whether it stays connected because of subscriptions.
    permanent: bool,
    /// How long it stays connected because of its last use.
    #[schema(required)]
    wanted_until: Option<Time>,
    /// The AMQP connection that it is on, by number.
    #[schema(required)]
    connection: Option<u64>,
    /// Which of the connection's tokens is its own.
    #[schema(required)]
    token_slot: Option<u32>,
    /// What it is to receive, by who subscribes to it or asks for it.
    wanted: Vec<SubscriptionKind>,
    /// What of that its hub does not let it receive; the last failure says why.
    refused: Vec<SubscriptionKind>,
}

/// The last thing that went wrong with a device.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct LastFailure {
    /// The hub's own code, like 401003.
    #[schema(required)]
    code: Option<u32>,
    /// What kind of failure it was.
    kind: String,
    /// By which the hub's operators find the case.
    #[schema(required)]
    tracking_id: Option<String>,
    /// What was said.
    message: String,
    at: Time,
}

/// A page of dead letters.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct DeadLetters {
    /// Oldest first.
    dead_letters: Vec<DeadLetter>,
    /// Present when there are more: the value for `after`.
    #[schema(nullable = false)]
    continuation: Option<String>,
}

/// An event that its receiver did not take.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Its number.
    #[schema(minimum = 0)]
    id: u64,
    /// The `webhook-id` of each attempt.
    webhook_id: String,
    device_id: DeviceId,
    subscription_type: SubscriptionKind,
    /// The event, as it was sent.
    #[schema(required)]
    event: Option<JsonObject>,
    /// Scheme, host and port of the receiver.
    origin: String,
    /// What went wrong last.
    reason: String,
    /// How often it was tried.
    #[schema(minimum = 0)]
    attempts: u32,
    failed_at: Time,
}

/// That the process lives.
#[derive(ToSchema)]
pub struct Liveness {
    /// Always `live`.
    status: String,
}

/// That requests make sense.
#[derive(ToSchema)]
pub struct Readiness {
    /// Always `ready`.
    status: String,
    /// What an operator should know all the same.
    problems: Vec<String>,
    /// The code of each of the problems, for programs.
    codes: Vec<String>,
}

/// What went wrong, whose fault it is and what to do (RFC 9457).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Problem {
    /// Which problem: `urn:drawspan:problem:` and a word that stays.
    r#type: String,
    /// The problem in a few words.
    title: String,
    /// The HTTP status once more.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened and what to do.
    detail: String,
    /// The same as `detail`, for callers of the original bridge.
    message: String,
    /// The hub's own code, like 404001.
    #[schema(nullable = false)]
    code: Option<u32>,
    /// By which the hub's operators find the case.
    #[schema(nullable = false)]
    tracking_id: Option<String>,
    /// Several things that are wrong.
    #[schema(nullable = false)]
    problems: Option<Vec<String>>,
    /// The code of each of these, where there are codes.
    #[schema(nullable = false)]
    codes: Option<Vec<String>>,
}
