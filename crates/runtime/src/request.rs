//! Requests to the controller's task.

use drawspan_bridge::controller::{self, Names};
use drawspan_fleet::ServiceId;
use drawspan_gateway::{
    DeviceError, Diagnostics, ListPage, ListQuery, Scope, Subscribed, Subscription,
};
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, DeviceId, Failure, SubscriptionType};
use tokio::sync::oneshot;

use super::platform::{Reply, Runtime};
use super::snapshot::Snapshot;

pub use drawspan_bridge::controller::Relisted;

#[derive(Debug)]
pub(super) enum Request {
    /// Something for the controller to do.
    Ask(controller::Request<Runtime>),
    /// Something to look up.
    Look(Look),
    /// A hub did not answer a request; `None`: it answered one again.
    Unanswered(ServiceId, Option<Failure>),
    /// A hub refused a message for its daily quota; `None`: it accepted one again.
    MessageQuota(ServiceId, Option<Failure>),
    /// A hub refuses messages of a connected device, by the serial of its route.
    MessagesRefused(DeviceId, u32, Failure),
    /// A hub accepts messages of a connected device again, which it refused because they were too many; the serial is the route's.
    MessagesTaken(DeviceId, u32),
}

/// Look-ups in the controller, which change nothing.
#[derive(Debug)]
pub(super) enum Look {
    /// The public words.
    Status {
        device: DeviceId,
        reply: oneshot::Sender<Option<(ConnectionStatus, ConnectionStatusReason)>>,
    },
    /// The reason of a device's wait.
    Delay {
        device: DeviceId,
        reply: oneshot::Sender<DeviceError>,
    },
    /// The diagnostics of a device.
    Diagnose {
        device: DeviceId,
        reply: oneshot::Sender<Option<Diagnostics>>,
    },
    /// A subscription.
    Subscription {
        scope: Scope,
        kind: SubscriptionType,
        reply: Reply<Option<Subscribed>>,
    },
    /// A part of the list of devices.
    List {
        query: Box<ListQuery>,
        reply: Reply<ListPage>,
    },
    /// The names of a device.
    Names {
        device: DeviceId,
        reply: oneshot::Sender<Names>,
    },
    /// A snapshot of counters.
    Measure { reply: oneshot::Sender<Snapshot> },
    /// The fleet subscriptions.
    FleetSubscriptions { reply: Reply<Vec<Subscription>> },
}

impl Request {
    /// Whether it may continue, and have an effect, after its caller has gone. Requests for routes have their own mark.
    pub(super) const fn changes_something(&self) -> bool {
        use controller::Request as Ask;
        match self {
            Self::Look(_)
            | Self::Unanswered(..)
            | Self::MessageQuota(..)
            | Self::MessagesRefused(..)
            | Self::MessagesTaken(..)
            | Self::Ask(
                Ask::Connect { .. }
                | Ask::Receive { .. }
                | Ask::RenameAsAssigned { .. }
                | Ask::Relist(_),
            ) => false,
            Self::Ask(
                Ask::Register { .. }
                | Ask::Resync(_)
                | Ask::Forget { .. }
                | Ask::Subscribe { .. }
                | Ask::Unsubscribe { .. }
                | Ask::Settle { .. }
                | Ask::Replay { .. },
            ) => true,
        }
    }
}

impl From<controller::Request<Runtime>> for Request {
    fn from(ask: controller::Request<Runtime>) -> Self {
        Self::Ask(ask)
    }
}

impl From<Look> for Request {
    fn from(look: Look) -> Self {
        Self::Look(look)
    }
}
