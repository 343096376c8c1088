//! The verbs, one file each, and the list of them.

mod clock;
mod devices;
mod hubs;
mod limits;

use super::verb::Verb;

/// All verbs, in the order of the help.
pub(super) const VERBS: &[&Verb] = &[
    &limits::LIMITS,
    &clock::CLOCK,
    &devices::DISABLE,
    &devices::ENABLE,
    &hubs::MOVE,
    &hubs::FAILOVER,
];
