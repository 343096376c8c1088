//! What the HTTP side needs of the devices.

use std::future::Future;

use drawspan_hub::DeviceId;
use drawspan_hub::failure::Failure;
use drawspan_hub::telemetry::Telemetry;
use tokio::time::Instant;

/// The devices behind the HTTP side. Two implementors: the runtime, and the bench ceiling that answers at once.
pub trait Devices: Clone + Send + Sync + 'static {
    /// Sends one message under the device's own identity; `Ok` when the hub accepted it.
    ///
    /// Resolves by `deadline` at the latest.
    fn send(
        &self,
        device: DeviceId,
        message: Telemetry,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), SendError>> + Send;
}

/// Why a message was not accepted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The hub answered, and said no.
    #[error("the hub refused: {0}")]
    Refused(Failure),
    /// The message is over the hub's limit.
    #[error("the message is larger than the hub accepts")]
    TooLarge,
    /// The hub has too much to do for this device or for everybody.
    #[error("throttled, try again in {retry_after_s} s")]
    Throttled {
        /// When to try again, in seconds from now.
        retry_after_s: u64,
    },
    /// No connection to the hub could be had.
    #[error("the hub cannot be reached, try again in {retry_after_s} s")]
    HubUnreachable {
        /// When to try again, in seconds from now.
        retry_after_s: u64,
    },
    /// Too many messages wait already.
    #[error("too many messages wait for the hub, try again in {retry_after_s} s")]
    QueueFull {
        /// When to try again, in seconds from now.
        retry_after_s: u64,
    },
    /// This process is starting, or on its way out.
    #[error("not ready")]
    NotReady,
    /// The deadline passed before the message was written: it is certainly not at the hub.
    #[error("not sent before the deadline")]
    NotWritten,
    /// The message was written and the hub's answer did not come in time: it may or may not be at the hub.
    #[error("the hub did not answer in time")]
    FateUnknown,
}
