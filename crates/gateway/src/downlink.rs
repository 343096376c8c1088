//! Cloud-to-device messages for devices that poll for them.

use std::future::Future;

use drawspan_hub::{DeviceId, Outcome};
use tokio::time::Instant;

use super::DeviceError;

pub use drawspan_bridge::controller::Held;

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

    /// Settles a message; `Ok` once the hub has confirmed it. [`DeviceError::LockLost`] if it is no longer held.
    fn settle(
        &self,
        device: DeviceId,
        lock_token: String,
        outcome: Outcome,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;
}
