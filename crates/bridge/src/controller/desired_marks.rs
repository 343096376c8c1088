//! How far receivers are with desired properties.

use std::borrow::Cow;
use std::collections::HashMap;

use drawspan_hub::DeviceId;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// How far a device's receiver is: it has every change up to this one.
///
/// A version counts within one twin only: a device that was deleted and created again, or moved to another hub, has a twin whose numbers
/// begin anew, and the device cannot tell the two apart. The fingerprint can: equal fingerprints mean that the receiver has what the twin
/// holds, whichever twin it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// `$version` of the section.
    pub version: i64,
    /// [`fingerprint`] of the whole section; `None` when the receiver reached the version by a single change.
    pub fingerprint: Option<i64>,
}

/// The marks of all devices whose receivers have anything.
#[derive(Debug, Default)]
pub(super) struct Marks(HashMap<DeviceId, Mark>);

impl Marks {
    /// As they are stored.
    pub(super) fn new(known: impl IntoIterator<Item = (DeviceId, Mark)>) -> Self {
        Self(known.into_iter().collect())
    }

    pub(super) fn get(&self, device: &DeviceId) -> Option<Mark> {
        self.0.get(device).copied()
    }

    /// True if it is to be stored.
    pub(super) fn set(&mut self, device: &DeviceId, mark: Mark) -> bool {
        self.0.insert(device.clone(), mark) != Some(mark)
    }

    /// True if that is to be stored.
    pub(super) fn remove(&mut self, device: &DeviceId) -> bool {
        self.0.remove(device).is_some()
    }
}

/// What is open about a device's desired properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Desired {
    /// The highest version that became an event on this connection.
    pub(super) sent: Option<i64>,
    pub(super) look: Look,
    /// The attempt for which it is in the queue, or its twin is being read.
    pub(super) busy: Option<u32>,
    /// [`fingerprint`] of the last change that became an event while the whole section was still to be looked at.
    pub(super) last_change: Option<i64>,
    /// [`fingerprint`] of the section that the receiver refused: it is not sent again.
    pub(super) refused: Option<i64>,
    /// Events that were not taken, one after the other.
    pub(super) failures: u8,
    /// Number of the subscription. An event of an earlier one says nothing about what the present receiver has.
    pub(super) subscription: u32,
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
pub(super) enum Finding {
    /// Nothing new.
    Same,
    /// The receiver has nothing recorded, and there is nothing to send: no desired property was ever set, or the last change, which
    /// it took, holds all of them.
    Complete,
    /// The receiver gets all of them.
    News,
}

/// A section of desired properties, as a look at the twin found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) version: i64,
    pub(super) fingerprint: Option<i64>,
    /// Whether no desired property is set.
    pub(super) is_empty: bool,
}

/// The version of a twin whose desired properties were never changed.
const FIRST_VERSION: i64 = 1;

impl Section {
    /// `None` where the version is missing, which no hub leaves out.
    pub(super) fn of(properties: &[u8]) -> Option<Self> {
        Some(Self {
            version: version_of(properties)?,
            fingerprint: fingerprint(properties),
            is_empty: is_empty(properties),
        })
    }

    pub(super) const fn mark(self) -> Mark {
        Mark {
            version: self.version,
            fingerprint: self.fingerprint,
        }
    }

    /// What to do about it, by what the receiver has.
    ///
    /// A receiver that has nothing gets all of them once, whenever it subscribed: the device may have been connected long after that,
    /// and what was changed in between would never be sent. In doubt whether the receiver's version is one of this twin, it gets all of
    /// them as well.
    pub(super) fn compare(self, mark: Option<Mark>, desired: &Desired) -> Finding {
        let is = |other: Option<i64>| other.is_some() && other == self.fingerprint;
        match mark {
            _ if is(desired.refused) => Finding::Same,
            Some(mark) if mark.version == self.version && is(mark.fingerprint) => Finding::Same,
            None if self.version == FIRST_VERSION && self.is_empty => Finding::Complete,
            None if desired.look != Look::Dirty && is(desired.last_change) => Finding::Complete,
            _ => Finding::News,
        }
    }
}

impl Desired {
    /// A change with this version came. False if a whole section, or an earlier event, had it already.
    pub(super) fn arrived(
        &mut self,
        version: Option<i64>,
        mark: Option<Mark>,
        change: &[u8],
    ) -> bool {
        if version.is_some() && version <= self.sent {
            return false;
        }
        let known = self.sent.or(mark.map(|mark| mark.version));
        let follows = version.is_some() && known.and_then(|known| known.checked_add(1)) == version;
        if self.look == Look::No && (!follows || self.refused.is_some()) {
            // A number was skipped, or what came before was not taken.
            self.look = Look::Dirty;
        }
        self.refused = None;
        if self.look != Look::No {
            self.last_change = fingerprint(change);
        }
        true
    }

    /// The mark after a single change was taken; `None` when it stays where it is: it never moves over a hole.
    pub(super) fn after_change(&self, version: Option<i64>, mark: Option<Mark>) -> Option<Mark> {
        let version = version?;
        let follows = mark?.version.checked_add(1) == Some(version);
        (self.look == Look::No && follows).then_some(Mark {
            version,
            fingerprint: None,
        })
    }
}

/// A number that is the same for the same JSON, however it is written, and another one for another JSON. It is stored: it must not change
/// with the program.
pub(super) fn fingerprint(json: &[u8]) -> Option<i64> {
    // Members come out in the order of their names.
    let value: Value = serde_json::from_slice(json).ok()?;
    let hash = Sha256::digest(value.to_string());
    let first: [u8; 8] = hash.get(..8)?.try_into().ok()?;
    Some(i64::from_be_bytes(first))
}

/// `$version` of desired properties.
pub(super) fn version_of(properties: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Version {
        #[serde(rename = "$version")]
        version: i64,
    }
    let read: Version = serde_json::from_slice(properties).ok()?;
    Some(read.version)
}

/// Whether a section has no member but those of the hub, which begin with `$`.
fn is_empty(properties: &[u8]) -> bool {
    let members: Result<HashMap<Cow<'_, str>, &RawValue>, _> = serde_json::from_slice(properties);
    members.is_ok_and(|members| members.keys().all(|name| name.starts_with('$')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(version: i64, section: &str) -> Option<Mark> {
        let fingerprint = fingerprint(section.as_bytes());
        Some(Mark {
            version,
            fingerprint,
        })
    }

    const fn by_change(version: i64) -> Option<Mark> {
        Some(Mark {
            version,
            fingerprint: None,
        })
    }

    fn check(look: Look, mark: Option<Mark>, section: &str, expected: Finding) {
        let desired = Desired {
            look,
            ..Desired::default()
        };
        let found = Section::of(section.as_bytes()).unwrap();
        assert_eq!(
            found.compare(mark, &desired),
            expected,
            "{look:?} {mark:?} {section}"
        );
    }

    #[test]
    fn a_receiver_gets_everything_unless_it_certainly_has_it() {
        let section = r#"{"a":1,"$version":7}"#;
        check(Look::Gap, mark(7, section), section, Finding::Same);
        check(
            Look::Gap,
            mark(7, r#"{ "$version":7, "a":1 }"#),
            section,
            Finding::Same,
        );
        check(
            Look::Gap,
            mark(6, r#"{"$version":6}"#),
            section,
            Finding::News,
        );
        // The device was made anew: another twin has reached the same number, or a lower one.
        check(
            Look::Gap,
            mark(7, r#"{"a":2,"$version":7}"#),
            section,
            Finding::News,
        );
        check(
            Look::Gap,
            mark(9, r#"{"a":1,"$version":9}"#),
            section,
            Finding::News,
        );
        // Whether this is the twin of the change cannot be known.
        check(Look::Gap, by_change(7), section, Finding::News);
        check(Look::Gap, None, section, Finding::News);
    }

    #[test]
    fn a_twin_that_was_never_changed_is_no_news() {
        check(Look::Gap, None, r#"{"$version":1}"#, Finding::Complete);
        check(Look::Dirty, None, r#"{"$version":1}"#, Finding::Complete);
        // Set and removed again.
        check(Look::Gap, None, r#"{"$version":3}"#, Finding::News);
    }

    #[test]
    fn a_change_that_holds_everything_is_not_sent_again() {
        let check = |look, mark, change: &str, expected| {
            let section = r#"{"a": {"b": 1, "c": [2]}, "$version": 2}"#;
            let desired = Desired {
                look,
                last_change: fingerprint(change.as_bytes()),
                ..Desired::default()
            };
            let section = Section::of(section.as_bytes()).unwrap();
            assert_eq!(section.compare(mark, &desired), expected, "{change}");
        };
        let same = r#"{"$version":2,"a":{"c":[2],"b":1}}"#;
        check(Look::Gap, None, same, Finding::Complete);
        check(
            Look::Gap,
            None,
            r#"{"$version":2,"a":{"b":1}}"#,
            Finding::News,
        );
        // It was not taken, or something else was missed.
        check(Look::Dirty, None, same, Finding::News);
        check(Look::Gap, by_change(1), same, Finding::News);
    }

    #[test]
    fn what_was_refused_is_not_sent_again_until_it_changes() {
        let section = |text: &str| Section::of(text.as_bytes()).unwrap();
        let refused = r#"{"a":1,"$version":7}"#;
        let mut desired = Desired {
            look: Look::Dirty,
            sent: Some(7),
            refused: fingerprint(refused.as_bytes()),
            ..Desired::default()
        };
        assert_eq!(
            section(refused).compare(by_change(5), &desired),
            Finding::Same
        );
        let other = section(r#"{"a":2,"$version":8}"#);
        assert_eq!(other.compare(by_change(5), &desired), Finding::News);
        desired.look = Look::No;
        let change = br#"{"a":2,"$version":8}"#;
        assert!(desired.arrived(Some(8), by_change(5), change));
        assert_eq!((desired.look, desired.refused), (Look::Dirty, None));
    }

    #[test]
    fn a_mark_never_moves_over_a_hole() {
        let mut desired = Desired::default();
        assert!(desired.arrived(Some(6), by_change(5), b"{}"));
        assert_eq!(desired.look, Look::No);
        assert_eq!(desired.after_change(Some(6), by_change(5)), by_change(6));
        desired.sent = Some(6);
        // Seen before.
        assert!(!desired.arrived(Some(6), by_change(5), b"{}"));
        // 7 was missed.
        assert!(desired.arrived(Some(8), by_change(6), b"{}"));
        assert_eq!(desired.look, Look::Dirty);
        assert_eq!(desired.after_change(Some(8), by_change(6)), None);

        let mut unlooked = Desired {
            look: Look::Gap,
            ..Desired::default()
        };
        assert!(unlooked.arrived(Some(6), by_change(5), b"{}"));
        assert_eq!(unlooked.after_change(Some(6), by_change(5)), None);
        // Without anything to follow on there is a hole.
        let mut new = Desired::default();
        assert!(new.arrived(Some(6), None, b"{}"));
        assert_eq!(new.look, Look::Dirty);
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(
            version_of(br#"{"a":{"$version":1},"$version":17}"#),
            Some(17)
        );
        assert_eq!(version_of(b"{}"), None);
        assert!(is_empty(br#"{"$version":1,"$metadata":{"a":{}}}"#));
        assert!(!is_empty(br#"{"a":null,"$version":1}"#));
        assert!(!is_empty(br#"{"$version":1"#));
    }

    #[test]
    fn fingerprints_do_not_change_with_the_program() {
        let found = fingerprint(br#"{"b":[1.5,null],"a":"x"}"#);
        let hash = Sha256::digest(r#"{"a":"x","b":[1.5,null]}"#);
        let first: [u8; 8] = hash[..8].try_into().unwrap();
        assert_eq!(found, Some(i64::from_be_bytes(first)));
    }
}
