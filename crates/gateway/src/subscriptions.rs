//! Subscriptions of callers.

use std::future::Future;

use drawspan_hub::SubscriptionType;
use tokio::time::Instant;

use super::DeviceError;
use crate::CallbackUrl;

pub use drawspan_bridge::subscriptions::{Prefix, Scope, SubscriptionStatus};

/// The destination of events of one kind.
pub type Subscription = drawspan_bridge::subscriptions::Subscription<CallbackUrl>;

/// A subscription to make or to replace.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribe {
    /// Of which devices.
    pub scope: Scope,
    /// The kind of events.
    pub kind: SubscriptionType,
    /// The receiver.
    pub callback: CallbackUrl,
    /// See [`Subscription::keep_connected`]; ignored for one device.
    pub keep_connected: bool,
    /// Whether who asks may reach some devices only: it is then for those alone whose id at the hub begins so, too.
    pub limited: bool,
}

/// A subscription with its status, where it has one.
pub type Subscribed = (Subscription, Option<SubscriptionStatus>);

/// Subscriptions of callers.
pub trait Subscriptions {
    /// Makes or replaces one; `Ok` when it survives the end of the process.
    fn subscribe(
        &self,
        subscribe: Subscribe,
        deadline: Instant,
    ) -> impl Future<Output = Result<Subscribed, DeviceError>> + Send;

    /// The one of this scope and kind, if there is one.
    fn subscription(
        &self,
        scope: Scope,
        kind: SubscriptionType,
    ) -> impl Future<Output = Result<Option<Subscribed>, DeviceError>> + Send;

    /// Removes it, if it is there; `Ok` when it stays away after the end of the process.
    fn unsubscribe(
        &self,
        scope: Scope,
        kind: SubscriptionType,
        deadline: Instant,
    ) -> impl Future<Output = Result<(), DeviceError>> + Send;

    /// All fleet subscriptions.
    fn fleet_subscriptions(
        &self,
    ) -> impl Future<Output = Result<Vec<Subscription>, DeviceError>> + Send;
}
