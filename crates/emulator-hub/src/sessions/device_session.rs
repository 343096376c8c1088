//! How a hub reaches a connected device, regardless of its protocol.

use std::fmt;

use bytes::Bytes;
use drawspan_hub_model::event::Protocol;
use tokio::sync::oneshot;

/// A device's session on a connection of any protocol. Its methods never wait.
pub trait DeviceSession: fmt::Debug + Send + Sync {
    /// The protocol of the device.
    fn protocol(&self) -> Protocol;

    /// The number of the connection that it is on ([`crate::connections::Connections`]).
    fn connection(&self) -> u64;

    /// The device has another session now: this one is to end. Called while the device is locked, so it must not attach or
    /// detach anything.
    fn replaced(&self);

    /// The device was disabled, deleted or created again: the session must end if it is no longer allowed.
    fn identity_changed(&self);

    /// A message for the device waits.
    fn message_waits(&self);

    /// Notifies the device of its desired properties: a JSON patch with `$version`. A device that did not ask for notifications
    /// gets none.
    fn desired(&self, patch: &Bytes);

    /// Whether the device takes method calls.
    fn takes_calls(&self) -> bool;

    /// Calls a method. Gives the call back when the device takes no calls.
    fn call(&self, call: MethodCall) -> Result<(), MethodCall>;
}

/// A method call on its way to a device.
pub struct MethodCall {
    /// The method's name.
    pub name: String,
    /// JSON; empty if the caller sent no payload.
    pub payload: Bytes,
    /// The receiver of the answer; closed once the caller has given up, after which the call must not be delivered to the device.
    pub answer: oneshot::Sender<Result<MethodAnswer, CallFailure>>,
}

/// The answer of a device.
#[derive(Clone, PartialEq, Eq)]
pub struct MethodAnswer {
    /// The device's status code.
    pub status: i32,
    /// As the device sent it, which should be JSON; empty if it sent no payload.
    pub payload: Bytes,
}

/// Why a call that found its device has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// The device has as many calls to answer as it may have.
    TooMany,
    /// The device takes no message of this size.
    RequestTooLarge,
    /// The device's answer is larger than the hub takes.
    AnswerTooLarge,
    /// The device's answer makes no sense, and why.
    BadAnswer(&'static str),
}

impl MethodAnswer {
    /// A device's answer.
    ///
    /// # Errors
    /// When its payload is larger than `max_bytes`.
    pub fn new(status: i32, payload: Bytes, max_bytes: usize) -> Result<Self, CallFailure> {
        if payload.len() > max_bytes {
            return Err(CallFailure::AnswerTooLarge);
        }
        Ok(Self { status, payload })
    }
}

// Payloads are confidential.
impl fmt::Debug for MethodCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodCall")
            .field("name", &self.name)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MethodAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodAnswer")
            .field("status", &self.status)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}
