//! Which desired properties receivers have.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use drawspan_hub::DeviceId;
use drawspan_store::DesiredVersions;
use serde_json::Value;

/// The `$version` that each device's receiver took last; none before it took anything.
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

    /// Renames a device. A version that is known by the new id is kept.
    pub(super) fn rename(&mut self, from: &DeviceId, to: &DeviceId) {
        if let Some(version) = self.get(from) {
            self.remove(from);
            if self.get(to).is_none() {
                self.set(to, version);
            }
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
    /// [`digest`] of the last change that became an event while the whole section was still to be looked at.
    pub(super) last_change: Option<u64>,
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
    /// The receiver has nothing recorded, and there is nothing to send: no desired property was ever set, or the last change, which
    /// it took, holds all of them.
    Complete,
    /// The receiver gets all of them.
    News,
}

/// A section of desired properties, as a look at the twin found it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Section {
    pub(super) version: Option<i64>,
    /// Whether no desired property is set.
    pub(super) is_empty: bool,
    /// Whether it equals the last change that was sent.
    pub(super) is_last_change: bool,
}

/// A number that is the same for the same JSON, however it is written.
pub(super) fn digest(json: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(json).ok()?;
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    Some(hasher.finish())
}

/// The version of a twin whose desired properties were never changed.
const FIRST_VERSION: i64 = 1;

/// What a look at the twin says, compared to the version that the receiver has.
///
/// A receiver that has none gets all of them once, whenever it subscribed: the device may have been connected long after that,
/// and what was changed in between would never be sent.
pub(super) fn seen(look: Look, known: Option<i64>, section: Section) -> Seen {
    match (look, known, section.version) {
        (Look::Dirty, ..) => Seen::News,
        (_, Some(known), Some(version)) if known == version => Seen::Same,
        (_, None, Some(FIRST_VERSION)) if section.is_empty => Seen::Complete,
        (_, None, Some(_)) if section.is_last_change => Seen::Complete,
        // A lower one: the device was made anew.
        (_, _, Some(_)) => Seen::News,
        // No hub leaves it out.
        (_, _, None) => Seen::Same,
    }
}

/// Whether a receiver that took an event has all changes up to the event's version. With one that holds a single change it does
/// not while an earlier one may be missing.
pub(super) fn is_complete(look: Look, known: Option<i64>, version: i64, full_state: bool) -> bool {
    match look {
        Look::Dirty => false,
        _ if full_state => true,
        Look::No => known.is_none_or(|known| known < version),
        Look::Gap => known.is_some_and(|known| known.checked_add(1) == Some(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_tell_what_was_missed() {
        let check = |look, known, version, expected| {
            let section = Section {
                version,
                ..Section::default()
            };
            let found = seen(look, known, section);
            assert_eq!(found, expected, "{look:?} {known:?}");
        };
        check(Look::Gap, None, Some(7), Seen::News);
        check(Look::Gap, None, Some(1), Seen::News);
        check(Look::Gap, Some(7), Some(7), Seen::Same);
        check(Look::Gap, Some(7), Some(9), Seen::News);
        check(Look::Gap, Some(7), Some(1), Seen::News);
        check(Look::Gap, Some(7), None, Seen::Same);
        check(Look::Dirty, Some(7), Some(7), Seen::News);
        check(Look::Dirty, None, Some(1), Seen::News);
    }

    #[test]
    fn a_receiver_without_any_gets_all_of_them_unless_none_was_ever_set() {
        let check = |look, version, is_empty, expected| {
            let section = Section {
                version: Some(version),
                is_empty,
                is_last_change: false,
            };
            let found = seen(look, None, section);
            assert_eq!(found, expected, "{look:?} {version} {is_empty}");
        };
        check(Look::Gap, 1, true, Seen::Complete);
        check(Look::Gap, 1, false, Seen::News);
        // Set and removed again.
        check(Look::Gap, 3, true, Seen::News);
        check(Look::Dirty, 1, true, Seen::News);
    }

    #[test]
    fn a_change_that_holds_everything_is_not_sent_again() {
        let check = |look, known, change: &str, section: &str, expected| {
            let is_last_change = digest(change.as_bytes()) == digest(section.as_bytes());
            let section = Section {
                version: Some(2),
                is_empty: false,
                is_last_change,
            };
            assert_eq!(seen(look, known, section), expected, "{change}");
        };
        let section = r#"{"a": {"b": 1, "c": [2]}, "$version": 2}"#;
        let same = r#"{"$version":2,"a":{"c":[2],"b":1}}"#;
        check(Look::Gap, None, same, section, Seen::Complete);
        let part = r#"{"$version":2,"a":{"b":1}}"#;
        check(Look::Gap, None, part, section, Seen::News);
        // It was not taken, or something else was missed.
        check(Look::Dirty, None, same, section, Seen::News);
        check(Look::Gap, Some(1), same, section, Seen::News);
    }

    #[test]
    fn a_change_counts_for_what_was_before_it_only_when_nothing_is_missing() {
        let check = |look, known, version, full_state, expected| {
            let found = is_complete(look, known, version, full_state);
            assert_eq!(found, expected, "{look:?} {known:?} {version}");
        };
        check(Look::No, None, 3, false, true);
        check(Look::No, Some(2), 3, false, true);
        check(Look::No, Some(4), 3, false, false);
        // What was set before the connection is not looked at yet.
        check(Look::Gap, None, 3, false, false);
        check(Look::Gap, Some(1), 3, false, false);
        check(Look::Gap, Some(2), 3, false, true);
        check(Look::Gap, Some(7), 3, true, true);
        check(Look::Dirty, Some(2), 3, false, false);
        check(Look::Dirty, Some(2), 3, true, false);
    }
}
