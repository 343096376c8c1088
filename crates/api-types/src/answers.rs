//! What answers carry: what is serialised here is what the API's description shows.

use drawspan_gateway as gateway;
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, ErrorCode, HostName};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::words::{
    CallbackUrl, Connection, DeviceId, JsonObject, Prefix, Progress, Reason, State,
    SubscriptionKind, Time,
};

/// The public words for a connection, as the gateway has them.
type Status = (ConnectionStatus, ConnectionStatusReason);

/// A twin: what the cloud wants, and what the device says. Each side has its `$version`.
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

/// Both sides of a twin.
#[allow(dead_code, reason = "the hub sends it, and it goes on byte for byte")]
#[derive(Debug, ToSchema)]
struct TwinProperties {
    /// What the cloud wants.
    desired: JsonObject,
    /// What the device says.
    reported: JsonObject,
}

impl<'a> TwinAnswer<'a> {
    /// With both sides as the hub sent them.
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
    /// A subscription, with what its reader may see of the callback URL. Its status is left out where it needs no connection.
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

/// A subscription of many devices.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetSubscription<'a> {
    #[schema(value_type = Prefix)]
    prefix: &'a str,
    subscription_type: SubscriptionKind,
    #[schema(value_type = CallbackUrl)]
    callback_url: &'a str,
    /// Whether the devices stay connected for it.
    keep_connected: bool,
    created_at: Time,
}

impl<'a> FleetSubscription<'a> {
    /// A subscription, with what its reader may see of the callback URL; `None` for one of a single device.
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

    /// What the ids of its devices begin with.
    #[must_use]
    pub const fn prefix(&self) -> &'a str {
        self.prefix
    }
}

/// All fleet subscriptions.
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

/// The public words for a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionAnswer {
    status: Connection,
    reason: Reason,
}

impl ConnectionAnswer {
    /// In these words.
    #[must_use]
    pub const fn new((status, reason): Status) -> Self {
        Self {
            status: Connection(status),
            reason: Reason(reason),
        }
    }
}

/// What came of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchAnswer<'a> {
    /// Messages that the hub accepted.
    #[schema(value_type = u32, minimum = 0)]
    accepted: usize,
    /// Messages that it did not.
    #[schema(value_type = u32, minimum = 0)]
    failed: usize,
    /// One per message, in the order of the request.
    results: Vec<BatchResult<'a>>,
}

/// What came of one message.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchResult<'a> {
    /// As it was sent; null where it was no text.
    #[schema(required)]
    device_id: Option<&'a str>,
    /// The status that the message would have had alone.
    #[schema(minimum = 200, maximum = 599)]
    status: u16,
    /// When to try again, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<Problem<'a>>,
}

impl<'a> BatchResult<'a> {
    /// Of the message for that device: the problem with it, and when to try again, unless the hub accepted it.
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
    /// In the order of their ids. There may be fewer than asked for, and more to come.
    devices: Vec<ListedDevice<'a>>,
    /// Present when there are more: the value for `after`.
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
    /// Host name of its hub, as far as known.
    #[schema(required)]
    hub: Option<&'a str>,
    /// Which subscriptions of its own it has.
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

/// Why a device is (not) connected. What is not known is null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostics<'a> {
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
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
    hub: Option<&'a str>,
    /// Its name at the hub, when DPS gave it another one.
    #[schema(required)]
    assigned_device_id: Option<&'a str>,
    /// The last thing that went wrong.
    #[schema(required)]
    last_failure: Option<LastFailure<'a>>,
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
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LastFailure<'a> {
    /// The hub's own code, like 401003.
    #[schema(required)]
    code: Option<u32>,
    /// What kind of failure it was.
    kind: &'a str,
    /// By which the hub's operators find the case.
    #[schema(required)]
    tracking_id: Option<&'a str>,
    /// What was said.
    message: &'a str,
    at: Time,
}

impl<'a> Diagnostics<'a> {
    /// What is known of the device.
    #[must_use]
    pub fn new(device_id: &'a str, known: &'a gateway::Diagnostics) -> Self {
        let kinds = |kinds: &[drawspan_hub::SubscriptionType]| {
            kinds.iter().copied().map(SubscriptionKind).collect()
        };
        Self {
            device_id,
            state: State(known.state),
            since: known.since.map(Time),
            status: known.status.map(|(status, _)| Connection(status)),
            reason: known.status.map(|(_, reason)| Reason(reason)),
            hub: known.hub.as_ref().map(HostName::as_str),
            assigned_device_id: known.assigned_device_id.as_ref().map(AsRef::as_ref),
            last_failure: known.last_failure.as_ref().map(LastFailure::new),
            failures: known.failures,
            next_attempt_at: known.next_attempt_at.map(Time),
            permanent: known.permanent,
            wanted_until: known.wanted_until.map(Time),
            connection: known.connection,
            token_slot: known.token_slot,
            wanted: kinds(&known.wanted),
            refused: kinds(&known.refused),
        }
    }
}

impl<'a> LastFailure<'a> {
    fn new(failure: &'a gateway::LastFailure) -> Self {
        Self {
            code: failure.code.map(ErrorCode::number),
            kind: failure.kind.as_str(),
            tracking_id: failure.tracking_id.as_deref(),
            message: &failure.message,
            at: Time(failure.at),
        }
    }
}

/// A page of dead letters.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters<'a> {
    /// Oldest first.
    dead_letters: Vec<DeadLetter<'a>>,
    /// Present when there are more: the value for `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    continuation: Option<String>,
}

/// An event that its receiver did not take.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeadLetter<'a> {
    /// Its number.
    #[schema(minimum = 0)]
    id: u64,
    /// The `webhook-id` of each attempt.
    webhook_id: &'a str,
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    subscription_type: SubscriptionKind,
    /// The event, as it was sent.
    // Null if it is not what was once written, which nobody can do anything about here.
    #[schema(value_type = Option<JsonObject>, required)]
    event: Option<&'a RawValue>,
    /// Scheme, host and port of the receiver.
    origin: &'a str,
    /// What went wrong last.
    reason: &'a str,
    /// How often it was tried.
    #[schema(minimum = 0)]
    attempts: u32,
    failed_at: Time,
}

impl<'a> DeadLetters<'a> {
    /// A page; `continuation` where there are more.
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

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Liveness {
    /// Always `live`.
    #[schema(value_type = String)]
    status: &'static str,
}

impl Liveness {
    /// It lives.
    pub const LIVE: Self = Self { status: "live" };
}

/// That requests make sense.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Always `ready`.
    status: &'static str,
    /// What an operator should know all the same.
    problems: Vec<String>,
    /// The code of each of the problems, for programs.
    codes: Vec<&'static str>,
}

impl Readiness {
    /// Requests make sense, whatever these problems and their codes are.
    #[must_use]
    pub const fn ready(problems: Vec<String>, codes: Vec<&'static str>) -> Self {
        Self {
            status: "ready",
            problems,
            codes,
        }
    }
}

/// What went wrong, whose fault it is and what to do (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem<'a> {
    /// Which problem: `urn:drawspan:problem:` and a word that stays.
    pub r#type: String,
    /// The problem in a few words.
    pub title: &'a str,
    /// The HTTP status once more.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened and what to do.
    pub detail: &'a str,
    /// The same as `detail`, for callers of the original bridge.
    pub message: &'a str,
    /// The hub's own code, like 404001.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub code: Option<u32>,
    /// By which the hub's operators find the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tracking_id: Option<&'a str>,
    /// Several things that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub problems: Vec<&'a str>,
    /// The code of each of these, where there are codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub codes: Vec<&'static str>,
}
