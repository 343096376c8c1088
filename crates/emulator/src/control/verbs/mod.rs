//! The verbs, one file each, and the list of them.

mod clock;
mod devices;

use super::verb::Verb;

/// All verbs, in the order of the help.
pub(super) const VERBS: &[&Verb] = &[&clock::CLOCK, &devices::DISABLE, &devices::ENABLE];
