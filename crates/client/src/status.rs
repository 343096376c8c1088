//! The status mailbox: what happened to devices, reported by their connections.
//!
//! A connection never waits for the listener, nor the listener for a connection: reports collect in the mailbox, bounded by what
//! was requested, and one wake-up covers all of them.

use drawspan_hub::{AttemptId, ConnectionKey, Failure, Link, Links};
use drawspan_net::Mailbox;

use crate::session::DeviceSession;

/// The event.
#[derive(Debug, Clone)]
pub enum Status {
    /// A connection of this pool can take devices: the hub answers.
    ConnectionReady(u16, ConnectionKey),
    /// A connection of this pool is over, and every device on it with it. Their own news do not follow.
    ConnectionEnded(u16, ConnectionKey, Failure),
    /// A device can send.
    Opened(AttemptId, DeviceSession),
    /// The hub refused a device's token, and counts no token for it unless it accepted an earlier one.
    TokenRefused(AttemptId, Failure),
    /// A device could not be opened for another reason.
    OpenFailed(AttemptId, Failure),
    /// The hub ended an open device.
    Lost(AttemptId, Failure),
    /// Every link that an open device wants is there by now, or refused: these are there.
    Linked(AttemptId, Links),
    /// The hub did not take a link that an open device wants. The rest of the device works on, and nothing is tried again before
    /// [`HubConnection::want`](crate::HubConnection::want) says so.
    LinkRefused(AttemptId, Link, Failure),
    /// A device is closed, as asked.
    Closed(AttemptId),
}

/// Reports of connections. Each device causes at most two reports per attempt, and four per change of its links, so that the
/// mailbox is as bounded as the fleet.
pub type StatusMailbox = Mailbox<Status>;
