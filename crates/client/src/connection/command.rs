//! Commands to a connection.

use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::{AttemptId, DeviceId, Failure, Outcome, Wants, WhichKey};

use crate::downlink::{C2dDelivery, MethodRequestId};
use crate::session::DeviceSession;

/// A device to open.
#[derive(Debug, Clone)]
pub struct Open {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its id at the hub.
    pub device: DeviceId,
    /// The id that it registered by, if that is another one: a group's key for it is derived from this.
    pub registration: Option<DeviceId>,
    /// Key that signs the device's token. Ignored, as is `token_life_s`, when a policy signs.
    pub key: WhichKey,
    /// Life of its tokens, in seconds; at least [`TOKEN_LIFE_MIN_S`](crate::limits::TOKEN_LIFE_MIN_S). They are renewed in
    /// place until the device is closed.
    pub token_life_s: u32,
    /// The links it should have.
    pub wants: Wants,
}

/// One message to send.
#[derive(Debug)]
pub struct Send {
    /// The device.
    pub session: DeviceSession,
    /// The encoded message.
    pub message: Bytes,
    /// Deadline of the answer on the connection's clock.
    pub deadline: Duration,
}

/// Something to ask of a device's twin.
#[derive(Debug)]
pub struct TwinRequest {
    /// The device.
    pub session: DeviceSession,
    /// The operation.
    pub operation: TwinOperation,
    /// Deadline of the answer on the connection's clock.
    pub deadline: Duration,
}

/// Operations on a twin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TwinOperation {
    /// Read it: the answer's body is a JSON object with `desired` and `reported`.
    Get,
    /// Merge this JSON object into the reported properties. The answer has no body, but their new version.
    Report(Bytes),
}

/// The hub's answer to a [`TwinRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwinAnswer {
    /// Version of the reported properties, where the hub names it.
    pub version: Option<i64>,
    /// JSON, or nothing.
    pub body: Bytes,
}

/// The answer to a direct method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodAnswer {
    /// The device that was asked.
    pub session: DeviceSession,
    /// The request to answer.
    pub request: MethodRequestId,
    /// As in HTTP: 200 for success.
    pub status: i32,
    /// JSON; `null` when absent.
    pub payload: Option<Bytes>,
}

/// The outcome of a cloud-to-device message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct C2dOutcome {
    /// The device that got it.
    pub session: DeviceSession,
    /// The message.
    pub delivery: C2dDelivery,
    /// Its fate.
    pub outcome: Outcome,
}

/// Why a message was not accepted, or a request not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The device is not open there any more; nothing was sent.
    #[error("the device is not open on this connection")]
    Stale,
    /// Too much is on its way already; nothing was sent.
    #[error("too many messages wait for the hub")]
    Full,
    /// The deadline came before the hub was ready to take it; nothing was sent.
    #[error("the hub was not ready to accept it in time")]
    NotSent,
    /// Sent, but no answer came: the hub may have it or not.
    #[error("the hub did not tell whether it accepted the message")]
    FateUnknown,
    /// The hub refused it.
    #[error("the hub refused the message: {0}")]
    Refused(Failure),
}
