//! What the shell needs when an event is over.

use std::sync::Arc;

use drawspan_bridge::fleet::Attempt;
use drawspan_client::{C2dDelivery, DeviceSession, HeldBytes, MethodRequestId};

/// What an event is to its device.
#[derive(Debug, Clone)]
pub(super) enum Ticket {
    /// A direct method, to be answered.
    Method(MethodTicket),
    /// A cloud-to-device message, to be settled.
    C2d(C2dTicket),
    /// Desired properties.
    Desired {
        /// Their `$version`.
        version: Option<i64>,
        /// All of them.
        full_state: bool,
    },
    /// A change of its connection.
    Status,
    /// One of the dead letters.
    Replay,
}

/// Where the answer to a method goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MethodTicket {
    pub(super) attempt: Attempt,
    pub(super) session: DeviceSession,
    pub(super) request: MethodRequestId,
}

/// Where the outcome of a message goes.
#[derive(Debug, Clone)]
pub(super) struct C2dTicket {
    pub(super) attempt: Attempt,
    pub(super) session: DeviceSession,
    pub(super) delivery: C2dDelivery,
    /// Its share of what may be held.
    pub(super) _held: Arc<HeldBytes>,
    /// The hub has delivered it before.
    pub(super) again: bool,
}
