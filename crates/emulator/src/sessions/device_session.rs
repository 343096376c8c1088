//! How a hub reaches a connected device, regardless of its protocol.

use std::fmt;

use bytes::Bytes;
use drawspan_hub_model::event::Protocol;
use tokio::sync::oneshot;

/// What one device has on a connection of some protocol. Nothing here waits.
pub(crate) trait DeviceSession: fmt::Debug + Send + Sync {
    /// What the device speaks.
    fn protocol(&self) -> Protocol;

    /// The device has another session now: this one is to end. Called while the device is locked, so it must not attach or
    /// detach anything.
    fn replaced(&self);

    /// The device was disabled, deleted or created anew: the session is to end if it is not allowed any more.
    fn identity_changed(&self);

    /// There is a message for the device.
    fn message_waits(&self);

    /// Tells the device of its desired properties: a JSON patch with `$version`. A device that did not ask for them is not
    /// told.
    fn desired(&self, patch: &Bytes);

    /// Whether the device takes method calls.
    fn takes_calls(&self) -> bool;

    /// Calls a method. Gives the call back when the device takes no calls.
    fn call(&self, call: MethodCall) -> Result<(), MethodCall>;
}

/// A method call on its way to a device.
pub(crate) struct MethodCall {
    /// The method's name.
    pub(crate) name: String,
    /// JSON; empty when the caller gave none.
    pub(crate) payload: Bytes,
    /// Where the answer goes; closed once the caller has given up, after which the device must not hear of the call.
    pub(crate) answer: oneshot::Sender<Result<MethodAnswer, CallFailure>>,
}

/// What a device answered.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MethodAnswer {
    /// The device's status code.
    pub(crate) status: i32,
    /// JSON; empty when the device gave none.
    pub(crate) payload: Bytes,
}

/// Why a call that found its device has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallFailure {
    /// The device has as many calls to answer as it may have.
    TooMany,
    /// The device takes no message of this size.
    RequestTooLarge,
    /// The device's answer is larger than the hub takes.
    AnswerTooLarge,
    /// The device's answer makes no sense, and why.
    BadAnswer(&'static str),
}

// Payloads are nobody's business.
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
