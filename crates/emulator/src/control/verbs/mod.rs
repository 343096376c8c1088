//! The verbs, one file each, and the list of them.

mod devices;
mod faults;

use super::verb::Verb;

/// All verbs, in the order of the help.
pub(super) const VERBS: &[&Verb] = &[&faults::FAULT, &devices::DISABLE, &devices::ENABLE];
