//! The verbs, one file each, and the list of them.

mod devices;
mod faults;
mod observe;
mod state;

use super::verb::Verb;
pub(crate) use observe::Counters;

/// All verbs, in the order of the help.
pub(super) const VERBS: &[&Verb] = &[
    &faults::FAULT,
    &devices::DISABLE,
    &devices::ENABLE,
    &observe::OBSERVE,
    &state::RESET,
    &state::SNAPSHOT,
    &state::RESTORE,
];
