//! Inputs of a device.

use std::time::Duration;

use drawspan_hub::{Failure, HostName};

use super::Epoch;

/// The inputs of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// A request used the device: it stays wanted for 9 to 11 minutes from then. Uses while connected need not be reported one by
    /// one: it is enough to report the last one before a [`Input::Deadline`].
    Use {
        /// When, monotonic.
        at: Duration,
    },
    /// Its subscriptions changed; true while there are any.
    Permanent(bool),
    /// The governor lets the attempt start.
    Permit {
        /// The attempt.
        epoch: Epoch,
    },
    /// DPS assigned the device.
    Assigned {
        /// The attempt.
        epoch: Epoch,
        /// The hub it belongs to.
        hub: HostName,
    },
    /// DPS did not assign the device.
    AssignFailed {
        /// The attempt.
        epoch: Epoch,
        /// Why.
        failure: &'a Failure,
    },
    /// The connection is open.
    Opened {
        /// The attempt.
        epoch: Epoch,
    },
    /// The connection could not be opened.
    OpenFailed {
        /// The attempt.
        epoch: Epoch,
        /// Why.
        failure: &'a Failure,
    },
    /// An open connection ended.
    Lost {
        /// The attempt.
        epoch: Epoch,
        /// Why.
        failure: &'a Failure,
    },
    /// The connection is closed, as asked.
    Closed {
        /// The attempt.
        epoch: Epoch,
    },
    /// [`super::Device::next_deadline`] has come.
    Deadline,
    /// An immediate retry was requested, regardless of earlier failures.
    Resync,
    /// Its reason to wait may be over.
    TryAgain,
    /// Its service refuses everyone, so that it will not be tried soon: that its credentials were refused is public now.
    RefusedForNow,
    /// The clocks of its hub and of this machine differ, which is why its credentials were refused.
    ClocksDiffer,
    /// Its hub cannot be reached and may be gone: DPS is asked before the hub is tried again, if the budget allows that.
    AskDps {
        /// Regardless of the budget.
        anyway: bool,
    },
    /// The device was registered at DPS by somebody's request, outside of any attempt.
    Registered {
        /// The hub it belongs to.
        hub: HostName,
    },
    /// The configuration names another hub for it from now on. Ignored if DPS assigns the hub.
    Moved {
        /// The hub it belongs to.
        hub: HostName,
    },
    /// Its connection is to be replaced by another one: it is closed, and comes back if it is still wanted.
    Relocate,
    /// The device is being removed, and is no longer wanted even if it has subscriptions.
    Release,
}
