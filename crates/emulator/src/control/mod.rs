//! The control API: what tests and people ask of a running emulator, under `/emulator/` on the HTTPS port and as
//! `drawspan emulator ctl`.
//!
//! A verb is one file in [`verbs`]: the words of the command, the operations over HTTP with their handlers and bodies, and the text that
//! the command prints. [`verbs::VERBS`] lists them. The routes ([`routes`]), the document ([`openapi`]), the command's help and its errors
//! are all made from that list, so a new verb is a new file and a line in the list.

mod access;
mod body;
pub(crate) mod client;
pub(crate) mod ctl;
mod file;
mod openapi;
mod operation;
mod path;
mod problem;
mod routes;
#[cfg(test)]
pub(crate) mod tests;
mod verb;
mod verbs;
mod words;

pub(crate) use file::ControlFile;
pub(crate) use routes::routes;
pub(crate) use verbs::Counters;

use std::sync::Arc;

use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::faults::Faults;

use crate::snapshots::{SnapshotError, Snapshots};

/// What the control API reaches, besides the hubs.
#[derive(Debug)]
pub(crate) struct Control {
    /// The emulator's clock.
    pub(crate) clock: Clock,
    /// The faults that are caused.
    pub(crate) faults: Arc<Faults>,
    /// Counts of events.
    pub(crate) counters: Arc<Counters>,
    /// The state, as a whole; `None` where there is none, in tests.
    pub(crate) snapshots: Option<Snapshots>,
}

impl Control {
    /// The state, as a whole.
    pub(crate) fn snapshots(&self) -> Result<&Snapshots, SnapshotError> {
        self.snapshots.as_ref().ok_or(SnapshotError::InMemory)
    }
}

/// The policy whose token opens the control API.
pub(crate) const OWNER: &str = "iothubowner";

#[cfg(test)]
impl Control {
    /// Without state, at the system's time.
    pub(crate) fn of_test() -> Self {
        Self {
            clock: Clock::system(),
            faults: Faults::none(),
            counters: Arc::default(),
            snapshots: None,
        }
    }
}
