//! Which desired properties receivers have.

use std::collections::HashMap;

use drawspan_hub::DeviceId;
use drawspan_store::DesiredVersions;

/// The `$version` that each device's receiver took last, or that was noted when it subscribed.
#[derive(Debug, Default)]
pub(super) struct Versions {
    known: HashMap<DeviceId, i64>,
    store: Option<DesiredVersions>,
}

impl Versions {
    pub(super) fn new(
        store: Option<DesiredVersions>,
        known: impl IntoIterator<Item = (DeviceId, i64)>,
    ) -> Self {
        Self {
            known: known.into_iter().collect(),
            store,
        }
    }

    pub(super) fn get(&self, device: &DeviceId) -> Option<i64> {
        self.known.get(device).copied()
    }

    pub(super) fn set(&mut self, device: &DeviceId, version: i64) {
        let before = self.known.insert(device.clone(), version);
        if let Some(store) = &self.store
            && before != Some(version)
        {
            store.put(device.clone(), version);
        }
    }

    /// Nobody wants to know any more.
    pub(super) fn remove(&mut self, device: &DeviceId) {
        if self.known.remove(device).is_some()
            && let Some(store) = &self.store
        {
            store.remove(device.clone());
        }
    }
}

/// What is open about a device's desired properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Desired {
    /// The highest version that became an event.
    pub(super) sent: Option<i64>,
    pub(super) look: Look,
    /// The attempt for which it is in the queue, or its twin is being read.
    pub(super) busy: Option<u32>,
    /// Events that were not taken, one after the other.
    pub(super) failures: u8,
}

/// Whether the twin is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub(super) enum Look {
    #[default]
    No,
    /// A change may have been missed while the device was not connected.
    Gap,
    /// A change was missed.
    Dirty,
}

/// What a look at the twin leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing new.
    Same,
    /// The receiver begins here: nothing is told of what was before.
    First,
    /// The receiver is to hear all of them.
    News,
}

/// What the twin's version says, compared to the one that the receiver has.
pub(super) fn seen(look: Look, known: Option<i64>, version: Option<i64>) -> Seen {
    match (look, known, version) {
        (Look::Dirty, ..) => Seen::News,
        (_, Some(known), Some(version)) if known == version => Seen::Same,
        (_, None, Some(_)) => Seen::First,
        // A lower one: the device was made anew.
        (_, Some(_), Some(_)) => Seen::News,
        // No hub leaves it out.
        (_, _, None) => Seen::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_tell_what_was_missed() {
        let check = |look, known, version, expected| {
            assert_eq!(seen(look, known, version), expected, "{look:?} {known:?}");
        };
        check(Look::Gap, None, Some(7), Seen::First);
        check(Look::Gap, Some(7), Some(7), Seen::Same);
        check(Look::Gap, Some(7), Some(9), Seen::News);
        check(Look::Gap, Some(7), Some(1), Seen::News);
        check(Look::Gap, Some(7), None, Seen::Same);
        check(Look::Dirty, Some(7), Some(7), Seen::News);
        check(Look::Dirty, None, Some(1), Seen::News);
    }
}
