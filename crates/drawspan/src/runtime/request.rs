//! What callers ask of the shell.

use drawspan_client::Outcome;
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, DeviceId, Failure, SubscriptionType};
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
    /// What happens, in figures.
    Measure { reply: oneshot::Sender<Figures> },
    /// Those of the fleet.
    FleetSubscriptions { reply: Reply<Vec<Subscription>> },
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
