//! What callers want to hear of.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};
use tokio::time::Instant;

use super::DeviceError;
use crate::webhooks::CallbackUrl;

/// Which devices a subscription is for. A device's own counts before those of the fleet, and of these the longest prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// One device.
    Device(DeviceId),
    /// Every known device whose id begins so; an empty prefix is all of them.
    Fleet(Prefix),
}

/// The beginning of device ids: up to 128 characters that device ids are made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Prefix(Arc<str>);

/// Where events of one kind go.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Of which devices.
    pub scope: Scope,
    /// Which events.
    pub kind: SubscriptionType,
    /// Where they go.
    pub callback: CallbackUrl,
    /// When it was made, or last replaced.
    pub created_at: UtcTime,
    /// Whether its devices stay connected for it. Always so for a device's own, but for connection status.
    pub keep_connected: bool,
}

/// How far a device's subscription has come. Derived, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// Not in effect yet.
    Starting,
    /// Events arrive.
    Running,
    /// The device is not connected.
    Stopped,
}

/// A subscription to make or to replace.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribe {
    /// Of which devices.
    pub scope: Scope,
    /// Which events.
    pub kind: SubscriptionType,
    /// Where they go.
    pub callback: CallbackUrl,
    /// See [`Subscription::keep_connected`]; of no meaning for one device.
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

    /// All of the fleet.
    fn fleet_subscriptions(
        &self,
    ) -> impl Future<Output = Result<Vec<Subscription>, DeviceError>> + Send;
}

impl Prefix {
    /// Checks `text`.
    ///
    /// # Errors
    /// As a device id, but for being empty.
    pub fn parse(text: &str) -> Result<Self, drawspan_hub::InvalidDeviceId> {
        if !text.is_empty() {
            DeviceId::parse(text)?;
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the device's id begins so.
    #[must_use]
    pub fn covers(&self, device: &DeviceId) -> bool {
        device.as_str().starts_with(&*self.0)
    }
}

impl SubscriptionStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Starting, Self::Running, Self::Stopped];

    /// The public word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Stopped => "Stopped",
        }
    }
}

impl fmt::Display for SubscriptionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
