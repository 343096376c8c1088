//! Changes of devices' connections: in diagnostics, and as they happen.

use drawspan_gateway as gateway;
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::{Cause, Connection, DeviceId, Reason, Time};

/// A change of a device's connection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionChange<'a> {
    at: Time,
    status: Connection,
    reason: Reason,
    /// Null while the device is connected and nothing is wrong.
    #[schema(required)]
    cause: Option<Cause>,
    /// Who caused the change and by what, in one line for people; of a connected device, the host name of its hub.
    #[schema(required)]
    detail: Option<&'a str>,
    /// How long the session lasted that ended by this change, in seconds; null if none ended.
    #[schema(required, minimum = 0)]
    session_seconds: Option<f64>,
}

/// A change of some device's connection, as it happens.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionEvent<'a> {
    #[schema(value_type = DeviceId)]
    device_id: &'a str,
    #[serde(flatten)]
    change: ConnectionChange<'a>,
}

/// Changes that are not in the stream because they were forgotten before they could be sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissedChanges<'a> {
    /// Their number at most: those of all devices. Null if it is not known.
    #[schema(required, minimum = 0)]
    missed: Option<u64>,
    /// Why, in one line for people.
    detail: &'a str,
}

impl<'a> ConnectionChange<'a> {
    /// The change that the gateway told.
    #[must_use]
    pub fn new(change: &'a gateway::Change) -> Self {
        Self {
            at: Time(change.at),
            status: Connection(change.status),
            reason: Reason(change.reason),
            cause: change.cause.map(Cause),
            detail: change.detail.as_deref(),
            session_seconds: change.session.map(|session| {
                // To the millisecond: more would be noise.
                (session.as_secs_f64() * 1_000.0).round() / 1_000.0
            }),
        }
    }
}

impl<'a> ConnectionEvent<'a> {
    /// The change that the gateway told.
    #[must_use]
    pub fn new(published: &'a gateway::Published) -> Self {
        Self {
            device_id: published.device.as_str(),
            change: ConnectionChange::new(&published.change),
        }
    }
}

impl<'a> MissedChanges<'a> {
    /// So many, for that reason.
    #[must_use]
    pub const fn new(missed: Option<u64>, detail: &'a str) -> Self {
        Self { missed, detail }
    }
}
