//! The diagnostics of a device's connection.

use drawspan_gateway as gateway;
use drawspan_hub::{ErrorCode, HostName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::connection_change::ConnectionChange;
use crate::words::{Connection, DeviceId, Reason, State, SubscriptionKind, Time};

/// Diagnostics of a device's connection. Unknown values are null.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostics<'a> {
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    state: State,
    /// Time of the last change of `state`.
    #[schema(required)]
    since: Option<Time>,
    #[schema(required)]
    status: Option<Connection>,
    #[schema(required)]
    reason: Option<Reason>,
    /// Host name of its hub.
    #[schema(required)]
    hub: Option<&'a str>,
    /// Id of the device at the hub, if DPS assigned another one.
    #[schema(required)]
    assigned_device_id: Option<&'a str>,
    /// The last failure.
    #[schema(required)]
    last_failure: Option<LastFailure<'a>>,
    /// Number of failed attempts since the last successful connection.
    #[schema(minimum = 0)]
    failures: u32,
    /// Time of the next attempt.
    #[schema(required)]
    next_attempt_at: Option<Time>,
    /// Whether subscriptions keep the device connected.
    permanent: bool,
    /// Time until which its last use keeps the device connected.
    #[schema(required)]
    wanted_until: Option<Time>,
    /// Number of the device's AMQP connection.
    #[schema(required)]
    connection: Option<u64>,
    /// Number of the device's token slot on that connection.
    #[schema(required)]
    token_slot: Option<u32>,
    /// Kinds of events that the device should receive, because of subscriptions or polls.
    wanted: Vec<SubscriptionKind>,
    /// Kinds of these that the hub refuses; the last failure says why.
    refused: Vec<SubscriptionKind>,
    /// The last changes of its connection, the newest first. Forgotten with a restart, and when many others have changed since.
    history: Vec<ConnectionChange<'a>>,
}

/// The last failure of a device.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LastFailure<'a> {
    /// Error code of the hub, like 401003.
    #[schema(required)]
    code: Option<u32>,
    /// Kind of the failure.
    kind: &'a str,
    /// Id for support requests to the hub's operators.
    #[schema(required)]
    tracking_id: Option<&'a str>,
    /// Description of the failure.
    message: &'a str,
    at: Time,
}

impl<'a> Diagnostics<'a> {
    /// The diagnostics that the gateway returned.
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
            history: known.history.iter().map(ConnectionChange::new).collect(),
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
