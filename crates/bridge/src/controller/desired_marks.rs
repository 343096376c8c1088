//! The versions of desired properties that receivers have.

use std::collections::HashMap;

use drawspan_fleet::ServiceId;
use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_hub::DeviceId;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::limits::REMEMBERED_SECTION_BYTES;

/// How far a device's receiver is: it has every change up to this one.
///
/// A version is valid within one twin only: a device that was deleted and created again, or moved to another hub, has a twin whose
/// versions start again, and the device cannot distinguish the two. The fingerprint can: equal fingerprints mean that the receiver
/// has the twin's state, whichever twin it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// `$version` of the section.
    pub version: i64,
    /// Fingerprint of the full state; `None` if the receiver reached the version by a change of an unknown state.
    pub fingerprint: Option<i64>,
    /// `receiver` that has it. Another one has nothing.
    pub receiver: i64,
}

impl Mark {
    /// The receiver was sent something, and what it has is not known.
    pub(super) const fn unknown(receiver: i64) -> Self {
        Self {
            version: 0,
            fingerprint: None,
            receiver,
        }
    }
}

/// The marks of all devices whose receivers were ever sent anything.
#[derive(Debug, Default)]
pub(super) struct Marks(HashMap<DeviceId, Mark>);

impl Marks {
    /// Takes the stored marks.
    pub(super) fn new(known: impl IntoIterator<Item = (DeviceId, Mark)>) -> Self {
        Self(known.into_iter().collect())
    }

    /// The mark of the device's receiver; `None` if nothing was ever sent to it. The mark of another receiver is of no use, and
    /// this one may have been the receiver before.
    pub(super) fn get(&self, device: &DeviceId, receiver: i64) -> Option<Mark> {
        let mark = self.0.get(device).copied()?;
        let is_this = mark.receiver == receiver;
        Some(if is_this {
            mark
        } else {
            Mark::unknown(receiver)
        })
    }

    /// Removes a device's mark, of any receiver.
    pub(super) fn take(&mut self, device: &DeviceId) -> Option<Mark> {
        self.0.remove(device)
    }

    /// True if it is to be stored.
    pub(super) fn set(&mut self, device: &DeviceId, mark: Mark) -> bool {
        self.0.insert(device.clone(), mark) != Some(mark)
    }
}

/// The open work for a device's desired properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Desired {
    /// The highest version that became an event on this connection.
    pub(super) sent: Option<i64>,
    pub(super) look: Look,
    /// The attempt for which it is in the queue, or its twin is being read.
    pub(super) busy: Option<u32>,
    /// What was sent since the subscription was made.
    pub(super) first: First,
    /// Fingerprint of the section that the receiver refused twice: it is not sent again.
    pub(super) refused: Option<i64>,
    /// The receiver refused something: the whole section follows once more, and is not sent again should it be refused, too.
    pub(super) last_try: bool,
    /// Hub of the last connection. Another one has another twin.
    pub(super) hub: Option<ServiceId>,
    /// Events that were not taken, one after the other.
    pub(super) failures: u8,
    /// Number of the subscription. An event of an earlier one says nothing about what the present receiver has.
    pub(super) subscription: u32,
    /// [`receiver`] for which all this is.
    pub(super) receiver: Option<i64>,
}

/// The state of a new subscription, by what was sent to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum First {
    /// There was no subscription before, and nothing was sent.
    Nothing,
    /// There was no subscription before, and one change was sent, with this fingerprint.
    Change(i64),
    /// Something else, perhaps by an earlier process.
    #[default]
    Unknown,
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

/// The result of checking the twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The receiver has it.
    Same,
    /// The receiver refused it, and it has not changed since.
    Refused,
    /// The receiver has nothing recorded, and there is nothing to send: no desired property was ever set, or the first change, which
    /// it took, holds all of them.
    Complete,
    /// The receiver gets all of them.
    News,
}

/// Desired properties, all of them or a change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Section {
    pub(super) version: i64,
    /// Without what the hub adds, whose names begin with `$`.
    properties: Map<String, Value>,
}

const VERSION: &str = "$version";

/// The version of a twin whose desired properties were never changed.
const FIRST_VERSION: i64 = 1;

impl Section {
    /// `None` if the version is missing, which no hub omits.
    pub(super) fn of(json: &[u8]) -> Option<Self> {
        let mut properties: Map<String, Value> = serde_json::from_slice(json).ok()?;
        let version = properties.get(VERSION)?.as_i64()?;
        properties.retain(|name, _| !name.starts_with('$'));
        Some(Self {
            version,
            properties,
        })
    }

    /// A number that is the same for the same properties and version, however they are written, and another one for others. It is
    /// stored: it must not change with the program.
    pub(super) fn fingerprint(&self) -> i64 {
        // Members come out in the order of their names.
        let properties = Value::Object(self.properties.clone());
        hash(&format!("{} {properties}", self.version))
    }

    /// The properties, to be remembered, unless they are many.
    pub(super) fn remembered(&self) -> Option<Box<str>> {
        let text = Value::Object(self.properties.clone()).to_string();
        (text.len() <= REMEMBERED_SECTION_BYTES).then(|| text.into())
    }

    /// The effect of a change on remembered properties.
    pub(super) fn changed(before: &str, change: &[u8]) -> Option<Self> {
        let change = Self::of(change)?;
        let mut properties = serde_json::from_str(before).ok()?;
        merge(&mut properties, change.properties);
        Some(Self {
            version: change.version,
            properties,
        })
    }

    pub(super) fn mark(&self, receiver: i64) -> Mark {
        Mark {
            version: self.version,
            fingerprint: Some(self.fingerprint()),
            receiver,
        }
    }

    /// The action for it, depending on the receiver's version.
    ///
    /// A receiver that has nothing gets all of them once, whenever it subscribed: the device may have been connected long after that,
    /// and what was changed in between would never be sent. In doubt whether the receiver's version is one of this twin, it gets all of
    /// them as well.
    pub(super) fn compare(&self, mark: Option<Mark>, desired: &Desired) -> Finding {
        let fingerprint = Some(self.fingerprint());
        let is = |other: Option<i64>| other == fingerprint || planted(Mutation::VersionAlone);
        let is_first = desired.first == First::Change(self.fingerprint());
        match mark {
            _ if desired.refused == fingerprint => Finding::Refused,
            Some(mark) if mark.version == self.version && is(mark.fingerprint) => Finding::Same,
            _ if is_first && desired.look != Look::Dirty => Finding::Complete,
            None if self.version == FIRST_VERSION && self.properties.is_empty() => {
                Finding::Complete
            }
            _ => Finding::News,
        }
    }
}

impl Desired {
    /// For another receiver, or no receiver: what is in progress continues.
    pub(super) fn anew(self, receiver: Option<i64>) -> Self {
        Self {
            busy: self.busy,
            subscription: self.subscription.wrapping_add(1),
            receiver,
            hub: self.hub,
            look: match receiver {
                Some(_) => Look::Gap,
                None => Look::No,
            },
            ..Self::default()
        }
    }

    /// Its connections are to this hub from now on.
    pub(super) fn linked_at(&mut self, hub: Option<ServiceId>) {
        self.sent = None;
        if self.hub != hub {
            self.hub = hub;
            self.refused = None;
            self.last_try = false;
        }
    }

    /// The receiver did not take something, whose whole section has this fingerprint if it was one. True if it is sent again, later.
    pub(super) fn not_taken(
        &mut self,
        section: Option<i64>,
        version: Option<i64>,
        is_refused: bool,
    ) -> bool {
        let has_changed = self.sent > version || self.look != Look::No;
        if is_refused {
            if let Some(fingerprint) = section
                && self.last_try
                && !has_changed
            {
                self.refused = Some(fingerprint);
                return false;
            }
            // It answered.
            self.failures = 0;
            self.last_try = true;
        }
        self.look = Look::Dirty;
        true
    }

    /// Allows to send refused properties to the receiver again. True if nothing else would do so.
    pub(super) fn try_again(&mut self) -> bool {
        self.last_try = false;
        let rests = self.refused.take().is_some();
        if rests {
            self.look = Look::Dirty;
        }
        rests
    }

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
        let follows = version.is_some() && known.and_then(|known| known.checked_add(1)) == version
            || planted(Mutation::MarkOverHole);
        if self.look == Look::No && (!follows || self.refused.is_some()) {
            // A number was skipped, or what came before was not taken.
            self.look = Look::Dirty;
        }
        self.refused = None;
        self.last_try = false;
        self.first = match (self.first, Section::of(change)) {
            (First::Nothing, Some(change)) => First::Change(change.fingerprint()),
            _ => First::Unknown,
        };
        true
    }

    /// The mark after a single change was delivered; `None` if it stays where it is: it never skips a gap.
    pub(super) fn after_change(&self, version: Option<i64>, mark: Option<Mark>) -> Option<Mark> {
        let (version, mark) = (version?, mark?);
        let follows = mark.version.checked_add(1) == Some(version) && self.look == Look::No;
        (follows || planted(Mutation::MarkOverHole)).then_some(Mark {
            version,
            fingerprint: None,
            ..mark
        })
    }
}

/// A number for a receiver, by its URL without the query.
pub(super) fn receiver(url: &str) -> i64 {
    hash(url)
}

fn hash(text: &str) -> i64 {
    let hash = Sha256::digest(text);
    let first = hash.iter().take(8);
    first.fold(0, |number, byte| number << 8 | i64::from(*byte))
}

/// Merges a change, as a hub does: null removes.
fn merge(into: &mut Map<String, Value>, change: Map<String, Value>) {
    for (name, value) in change {
        match (into.get_mut(&name), value) {
            (_, Value::Null) => _ = into.remove(&name),
            (Some(Value::Object(before)), Value::Object(value)) => merge(before, value),
            (_, value) => _ = into.insert(name, value),
        }
    }
}

#[cfg(test)]
mod tests;
