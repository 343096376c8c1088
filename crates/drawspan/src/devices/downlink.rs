//! Cloud-to-device messages for devices that can only ask for them.

use std::future::Future;

use drawspan_hub::{C2dMessage, DeviceId, Outcome, UtcTime};
use tokio::time::Instant;

use super::DeviceError;

/// A message that was handed to a device, and is held for it until it says what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Names it in [`Downlink::settle`].
    pub lock_token: String,
    /// Until when its outcome is taken; later the hub delivers it again.
    pub locked_until: UtcTime,
    /// When it came.
    pub received_at: UtcTime,
    /// The message.
    pub message: C2dMessage,
}

/// Cloud-to-device messages by asking. Not for devices with a subscription for them.
pub trait Downlink {
    /// The next message, waiting for one until `wait_until`; the device is connected for it, by `deadline` at the latest.
    /// A message that was handed out and is not settled comes again, with the same token, as nothing else may overtake it.
    fn receive(
        &self,
        device: DeviceId,
        wait_until: Instant,
        deadline: Instant,
    ) -> impl Future<Output = Result<Option<Held>, DeviceError>> + Send;

    /// Says what became of a message; `Ok` when the hub has confirmed it. [`DeviceError::LockLost`] when it is not held any more.
    fn settle(
        &self,
        device: DeviceId,
        lock_token: String,
        outcome: Outcome,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;
}
