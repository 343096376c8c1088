//! The verbs, one file each, and the list of them.

mod clock;
mod devices;
mod faults;
mod hubs;
mod limits;
mod observe;
mod state;

use super::verb::Verb;
pub(crate) use observe::Counters;

/// All verbs, in the order of the help.
pub(super) const VERBS: &[&Verb] = &[
    &limits::LIMITS,
    &clock::CLOCK,
    &faults::FAULT,
    &devices::DISABLE,
    &devices::ENABLE,
    &hubs::MOVE,
    &hubs::FAILOVER,
    &observe::OBSERVE,
    &state::RESET,
    &state::SNAPSHOT,
    &state::RESTORE,
];
