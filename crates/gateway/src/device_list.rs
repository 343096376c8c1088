//! The list of known devices.

use std::future::Future;

use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, HostName, SubscriptionType,
};

use super::{DeviceError, Prefix};

/// Conditions for a list of devices, all of which must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListQuery {
    /// Ids that begin so.
    pub prefix: Prefix,
    /// Only devices whose ids at the hub begin with this, too.
    pub within: Prefix,
    /// Public status.
    pub status: Option<ConnectionStatus>,
    /// With its own subscription of this kind.
    pub subscription: Option<SubscriptionType>,
    /// Ids after this one.
    pub after: Option<DeviceId>,
    /// Most devices in the answer.
    pub limit: usize,
}

/// A known device: it is in memory, has a subscription, or its hub is remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its id.
    pub device: DeviceId,
    /// The public status; `None` if it never tried to connect.
    pub status: Option<(ConnectionStatus, ConnectionStatusReason)>,
    /// Its hub, as far as known.
    pub hub: Option<HostName>,
    /// The device's own subscriptions.
    pub subscriptions: Vec<SubscriptionType>,
}

/// A part of the list, in the order of ids.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ListPage {
    /// The devices. There may be fewer than requested, even none, and still be more to come.
    pub devices: Vec<Listed>,
    /// Where to continue; `None` at the end.
    pub next: Option<DeviceId>,
}

/// The list of devices.
pub trait Listing {
    /// A page of it.
    fn list(&self, query: ListQuery) -> impl Future<Output = Result<ListPage, DeviceError>> + Send;
}
