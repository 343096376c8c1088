//! Data that the controller needs when an event is finished.

use drawspan_hub::AttemptId;

use super::platform::Platform;

/// The role of an event for its device.
#[derive(Debug)]
pub(super) enum Correlation<P: Platform> {
    /// A direct method, to be answered.
    Method {
        attempt: AttemptId,
        session: P::Session,
        request: P::MethodRequest,
    },
    /// A cloud-to-device message, to be settled.
    C2d(C2dCorrelation<P>),
    /// Desired properties.
    Desired {
        /// The full state; `None` for a single change.
        section: Option<WholeSection>,
        /// Number of the subscription that it was made for.
        subscription: u32,
    },
    /// A change of its connection.
    Status,
    /// One of the dead letters.
    Replay,
}

/// The way back for the outcome of a message.
#[derive(Debug)]
pub(super) struct C2dCorrelation<P: Platform> {
    pub(super) attempt: AttemptId,
    pub(super) session: P::Session,
    pub(super) delivery: P::Delivery,
    pub(super) _share: P::Share,
    /// The hub has delivered it before.
    pub(super) again: bool,
}

/// The fingerprint of a whole section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WholeSection(pub(super) i64);
