//! What callers ask of the shell.

use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, Failure, Outcome, SubscriptionType,
};
use drawspan_store::StoredDeadLetter;
use tokio::sync::oneshot;

use super::beside::Waiter;
use super::figures::Figures;
use crate::devices::{
    DeviceError, Diagnostics, Held, ListPage, ListQuery, Scope, Subscribe, Subscribed, Subscription,
};

/// Where an answer goes. Whoever asked may have given up; nothing is owed then.
pub(super) type Reply<T> = oneshot::Sender<Result<T, DeviceError>>;

#[derive(Debug)]
pub(super) enum Request {
    /// A route to a device, connecting it if need be.
    Connect { device: DeviceId, waiter: Waiter },
    /// A registration at DPS, whether the device is known or not.
    Register(Registration),
    /// Another attempt, now.
    Resync(DeviceId),
    /// The public words.
    Status {
        device: DeviceId,
        reply: oneshot::Sender<Option<(ConnectionStatus, ConnectionStatusReason)>>,
    },
    /// What it is waiting for.
    Delay {
        device: DeviceId,
        reply: oneshot::Sender<DeviceError>,
    },
    /// All that is known.
    Diagnose {
        device: DeviceId,
        reply: oneshot::Sender<Option<Diagnostics>>,
    },
    /// To be known no more.
    Forget { device: DeviceId, reply: Reply<()> },
    /// A subscription to make or to replace.
    Subscribe {
        subscribe: Subscribe,
        reply: Reply<Subscribed>,
    },
    /// A subscription.
    Subscription {
        scope: Scope,
        kind: SubscriptionType,
        reply: Reply<Option<Subscribed>>,
    },
    /// To have one no more.
    Unsubscribe {
        scope: Scope,
        kind: SubscriptionType,
        reply: Reply<()>,
    },
    /// A device's next message.
    Receive {
        device: DeviceId,
        /// Whether to wait for one longer than the hub takes to send it.
        patience: bool,
        reply: Reply<Option<Held>>,
    },
    /// What became of it.
    Settle {
        device: DeviceId,
        token: String,
        outcome: Outcome,
        reply: Reply<()>,
    },
    /// A part of the list of devices.
    List {
        query: Box<ListQuery>,
        reply: Reply<ListPage>,
    },
    /// A dead letter that is to be sent again.
    Replay {
        letter: Box<StoredDeadLetter>,
        reply: Reply<()>,
    },
    /// What a device is called.
    Names {
        device: DeviceId,
        reply: oneshot::Sender<Names>,
    },
    /// Renames a device to the id that DPS has for it, unless it is in use.
    RenameAsAssigned {
        device: DeviceId,
        reply: oneshot::Sender<()>,
    },
    /// The list of devices is another one.
    Relist { reply: oneshot::Sender<Relisted> },
    /// What happens, in figures.
    Measure { reply: oneshot::Sender<Figures> },
    /// Those of the fleet.
    FleetSubscriptions { reply: Reply<Vec<Subscription>> },
}

impl Request {
    /// Whether it may go on, and have an effect, when nobody waits for its answer any more. What a route is asked for has its own mark.
    pub(super) const fn changes_something(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Status { .. }
            | Self::Diagnose { .. }
            | Self::Subscription { .. }
            | Self::Receive { .. }
            | Self::List { .. }
            | Self::Delay { .. }
            | Self::Names { .. }
            | Self::RenameAsAssigned { .. }
            | Self::Relist { .. }
            | Self::Measure { .. }
            | Self::FleetSubscriptions { .. } => false,
            Self::Register(_)
            | Self::Resync(_)
            | Self::Forget { .. }
            | Self::Subscribe { .. }
            | Self::Unsubscribe { .. }
            | Self::Settle { .. }
            | Self::Replay { .. } => true,
        }
    }
}

/// What a device is called.
#[derive(Debug)]
pub(super) struct Names {
    /// Here.
    pub(super) called: DeviceId,
    /// At its hub, once DPS has said so.
    pub(super) assigned: Option<DeviceId>,
    /// Whether it is used, subscribed to or remembered.
    pub(super) is_known: bool,
}

/// What another list of devices changed for those in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relisted {
    /// Devices that belong to another hub now.
    pub moved: usize,
    /// Devices that are not on the list any more.
    pub gone: usize,
}

/// A registration that a caller asked for.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) device: DeviceId,
    /// JSON for whoever allocates the device.
    pub(super) payload: Option<String>,
    pub(super) deadline: tokio::time::Instant,
    pub(super) reply: oneshot::Sender<Result<(), Failure>>,
}
