//! Undelivered events.

use std::future::Future;

use bytes::Bytes;
use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};
use tokio::time::Instant;

use super::{DeviceError, Prefix};

/// An event that its receiver did not take.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Its number, rising.
    pub id: u64,
    /// Of each attempt.
    pub webhook_id: String,
    /// The device of the event.
    pub device: DeviceId,
    /// The kind of events.
    pub kind: SubscriptionType,
    /// The event, as it was sent: a JSON object.
    pub event: Bytes,
    /// Scheme, host and port of the receiver.
    pub origin: String,
    /// The last failure, one line.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub failed_at: UtcTime,
}

/// Conditions for a list of dead letters, all of which must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeadLetterQuery {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Of devices whose ids begin so.
    pub prefix: Prefix,
    /// Of this kind.
    pub kind: Option<SubscriptionType>,
    /// With higher numbers than this.
    pub after: Option<u64>,
    /// Most in the answer.
    pub limit: usize,
}

/// Undelivered events. Methods are not included, since their callers have gone.
pub trait DeadLetters {
    /// Lists them, oldest first.
    fn dead_letters(
        &self,
        query: DeadLetterQuery,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, DeviceError>> + Send;

    /// Sends one again, to where the device's events of its kind go now; it is gone from the list once its receiver took it.
    /// [`DeviceError::NoDeadLetter`], [`DeviceError::NoSubscription`].
    fn replay(
        &self,
        id: u64,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// Removes one. [`DeviceError::NoDeadLetter`].
    fn discard(
        &self,
        id: u64,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;
}
