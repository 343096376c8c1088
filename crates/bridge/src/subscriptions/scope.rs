//! The scope of a subscription: one device, or the devices with a prefix.

use std::fmt;
use std::sync::Arc;

use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};

/// The devices that a subscription is for. A device's own subscription takes precedence over those of the fleet, and of these the
/// longest prefix.
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

/// The destination of events of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription<C> {
    /// Of which devices.
    pub scope: Scope,
    /// The kind of events.
    pub kind: SubscriptionType,
    /// The receiver.
    pub callback: C,
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
    /// All statuses.
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
