//! Bodies of answers. The same types are serialised and described in the API's document.

use drawspan_gateway as gateway;
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, HostName};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::words::{
    CallbackUrl, Connection, DeviceId, JsonObject, Prefix, Progress, Reason, SubscriptionKind, Time,
};

pub use crate::diagnostics::Diagnostics;

/// Connection status and reason, as the gateway represents them.
type Status = (ConnectionStatus, ConnectionStatusReason);

/// A device twin. Desired and reported properties each have a `$version`.
#[derive(Debug, Serialize, ToSchema)]
pub struct TwinAnswer<'a> {
    twin: Twin<'a>,
}

/// A twin.
#[derive(Debug, Serialize, ToSchema)]
struct Twin<'a> {
    #[schema(value_type = TwinProperties)]
    properties: &'a RawValue,
}

/// Desired and reported properties of a twin.
#[allow(dead_code, reason = "the hub sends it, passed on byte for byte")]
#[derive(Debug, ToSchema)]
struct TwinProperties {
    /// Properties that the cloud sets.
    desired: JsonObject,
    /// Properties that the device reports.
    reported: JsonObject,
}

impl<'a> TwinAnswer<'a> {
    /// Wraps the properties as the hub sent them.
    #[must_use]
    pub const fn new(properties: &'a RawValue) -> Self {
        Self {
            twin: Twin { properties },
        }
    }
}

/// A subscription of one device.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subscription<'a> {
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    subscription_type: SubscriptionKind,
    #[schema(value_type = CallbackUrl)]
    callback_url: &'a str,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<Progress>,
}

impl<'a> Subscription<'a> {
    /// A subscription, with the part of the callback URL that the caller may see. A kind that needs no connection has no status.
    #[must_use]
    pub fn new(
        device_id: &'a str,
        (subscription, status): &gateway::Subscribed,
        callback_url: &'a str,
    ) -> Self {
        let has_status = subscription.kind.needs_connection();
        Self {
            device_id,
            subscription_type: SubscriptionKind(subscription.kind),
            callback_url,
            created_at: Time(subscription.created_at),
            status: status.filter(|_| has_status).map(Progress),
        }
    }
}

/// A subscription for all known devices whose ids begin with a prefix.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetSubscription<'a> {
    #[schema(value_type = Prefix)]
    prefix: &'a str,
    subscription_type: SubscriptionKind,
    #[schema(value_type = CallbackUrl)]
    callback_url: &'a str,
    /// Whether the devices are kept connected for this subscription.
    keep_connected: bool,
    created_at: Time,
}

impl<'a> FleetSubscription<'a> {
    /// A fleet subscription, with the part of the callback URL that the caller may see. `None` if the subscription is for a single device.
    #[must_use]
    pub fn new(subscription: &'a gateway::Subscription, callback_url: &'a str) -> Option<Self> {
        let gateway::Scope::Fleet(prefix) = &subscription.scope else {
            return None;
        };
        Some(Self {
            prefix: prefix.as_str(),
            subscription_type: SubscriptionKind(subscription.kind),
            callback_url,
            keep_connected: subscription.keep_connected,
            created_at: Time(subscription.created_at),
        })
    }

    /// The prefix of the ids of its devices.
    #[must_use]
    pub const fn prefix(&self) -> &'a str {
        self.prefix
    }
}

/// The fleet subscriptions.
#[derive(Debug, Serialize, ToSchema)]
pub struct FleetSubscriptions<'a> {
    subscriptions: Vec<FleetSubscription<'a>>,
}

impl<'a> FromIterator<FleetSubscription<'a>> for FleetSubscriptions<'a> {
    fn from_iter<T: IntoIterator<Item = FleetSubscription<'a>>>(subscriptions: T) -> Self {
        Self {
            subscriptions: subscriptions.into_iter().collect(),
        }
    }
}

/// The connection status of a device.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionAnswer {
    status: Connection,
    reason: Reason,
}

impl ConnectionAnswer {
    /// The status with its reason.
    #[must_use]
    pub const fn new((status, reason): Status) -> Self {
        Self {
            status: Connection(status),
            reason: Reason(reason),
        }
    }
}

/// The results of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer<'a> {
    /// Number of messages that the hub accepted.
    #[schema(value_type = u32, minimum = 0)]
    accepted: usize,
    /// Number of messages that failed.
    #[schema(value_type = u32, minimum = 0)]
    failed: usize,
    /// One result per message, in the order of the request.
    results: Vec<BatchResult<'a>>,
}

/// The result of one message of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchResult<'a> {
    /// The device id as it was sent; null if it was not a text.
    #[schema(required)]
    device_id: Option<&'a str>,
    /// The HTTP status that a request with this message alone would have got.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// Seconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem<'a>>,
}

impl<'a> BatchResult<'a> {
    /// The result of a message: a problem and the seconds to wait before trying again, or `None` if the hub accepted it.
    #[must_use]
    pub fn new(device_id: Option<&'a str>, problem: Option<(Problem<'a>, Option<u64>)>) -> Self {
        let status = problem.as_ref().map_or(200, |(problem, _)| problem.status);
        let (problem, retry_after) = problem.unzip();
        Self {
            device_id,
            status,
            retry_after: retry_after.flatten(),
            problem,
        }
    }
}

impl<'a> FromIterator<BatchResult<'a>> for BatchAnswer<'a> {
    fn from_iter<T: IntoIterator<Item = BatchResult<'a>>>(results: T) -> Self {
        let results: Vec<_> = results.into_iter().collect();
        let failed = results.iter().filter(|it| it.problem.is_some()).count();
        Self {
            accepted: results.len() - failed,
            failed,
            results,
        }
    }
}

/// A page of devices.
#[derive(Debug, Serialize, ToSchema)]
pub struct Devices<'a> {
    /// Devices in the order of their ids. A page may have fewer than `limit` and still not be the last.
    devices: Vec<ListedDevice<'a>>,
    /// Present if there are more pages: the value of `after` for the next call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    continuation: Option<&'a str>,
}

/// A known device.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ListedDevice<'a> {
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    #[schema(required)]
    status: Option<Connection>,
    #[schema(required)]
    reason: Option<Reason>,
    /// Host name of its hub; null if unknown.
    #[schema(required)]
    hub: Option<&'a str>,
    /// Kinds of the device's own subscriptions.
    subscriptions: Vec<SubscriptionKind>,
}

impl<'a> Devices<'a> {
    /// The page.
    #[must_use]
    pub fn new(page: &'a gateway::ListPage) -> Self {
        Self {
            devices: page.devices.iter().map(ListedDevice::new).collect(),
            continuation: page.next.as_ref().map(AsRef::as_ref),
        }
    }
}

impl<'a> ListedDevice<'a> {
    fn new(listed: &'a gateway::Listed) -> Self {
        let kinds = listed.subscriptions.iter();
        Self {
            device_id: listed.device.as_str(),
            status: listed.status.map(|(status, _)| Connection(status)),
            reason: listed.status.map(|(_, reason)| Reason(reason)),
            hub: listed.hub.as_ref().map(HostName::as_str),
            subscriptions: kinds.copied().map(SubscriptionKind).collect(),
        }
    }
}

/// A page of dead letters.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters<'a> {
    /// Dead letters, oldest first.
    dead_letters: Vec<DeadLetter<'a>>,
    /// Present if there are more pages: the value of `after` for the next call.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    continuation: Option<String>,
}

/// A dead letter: an event that was not delivered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeadLetter<'a> {
    /// Number of the dead letter.
    #[schema(minimum = 0)]
    id: u64,
    /// The `webhook-id` of the event.
    webhook_id: &'a str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    subscription_type: SubscriptionKind,
    /// The event, as it was sent.
    // Null if the stored event is not valid JSON, which cannot be repaired here.
    #[schema(value_type = Option<JsonObject>, required)]
    event: Option<&'a RawValue>,
    /// Scheme, host and port of the receiver.
    origin: &'a str,
    /// Reason of the last failure.
    reason: &'a str,
    /// Number of attempts.
    #[schema(minimum = 0)]
    attempts: u32,
    failed_at: Time,
}

impl<'a> DeadLetters<'a> {
    /// A page; `continuation` if there are more.
    #[must_use]
    pub fn new(letters: &'a [gateway::DeadLetter], continuation: Option<String>) -> Self {
        Self {
            dead_letters: letters.iter().map(DeadLetter::new).collect(),
            continuation,
        }
    }
}

impl<'a> DeadLetter<'a> {
    fn new(letter: &'a gateway::DeadLetter) -> Self {
        Self {
            id: letter.id,
            webhook_id: &letter.webhook_id,
            device_id: letter.device.as_str(),
            subscription_type: SubscriptionKind(letter.kind),
            event: serde_json::from_slice(&letter.event).ok(),
            origin: &letter.origin,
            reason: &letter.reason,
            attempts: letter.attempts,
            failed_at: Time(letter.failed_at),
        }
    }
}

/// Answer of `/livez`: the process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Liveness {
    /// Always `live`.
    #[schema(value_type = String)]
    status: &'static str,
}

impl Liveness {
    /// The process is alive.
    pub const LIVE: Self = Self { status: "live" };
}

/// Answer of `/readyz`: the bridge can serve requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Always `ready`.
    status: &'static str,
    /// Faults that an operator should know.
    problems: Vec<String>,
    /// Codes of these faults, in the same order.
    codes: Vec<&'static str>,
}

impl Readiness {
    /// Ready, with the given faults and their codes.
    #[must_use]
    pub const fn ready(problems: Vec<String>, codes: Vec<&'static str>) -> Self {
        Self {
            status: "ready",
            problems,
            codes,
        }
    }
}

/// A problem document (RFC 9457): what happened, whose fault it is and what to do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem<'a> {
    /// Type of the problem: `urn:drawspan:problem:` and a fixed word.
    pub r#type: String,
    /// Short description of the type.
    pub title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened and what to do.
    pub detail: &'a str,
    /// The same as `detail`, for callers of the original bridge.
    pub message: &'a str,
    /// Error code of the hub, like 404001.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub code: Option<u32>,
    /// Id for support requests to the hub's operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tracking_id: Option<&'a str>,
    /// The individual faults, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub problems: Vec<&'a str>,
    /// Codes of these faults, if they have codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub codes: Vec<&'static str>,
}
