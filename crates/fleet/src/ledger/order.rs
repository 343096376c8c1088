//! Orders in which connections are searched.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ConnectionKey;
use super::slots::Slots;

/// Connections in the orders in which they are looked for.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// By room: those that take another identity.
    room: BTreeSet<(usize, ConnectionKey)>,
    /// By the time when their first slot expires.
    expiry: BTreeSet<(Duration, ConnectionKey)>,
    /// Connections whose devices should move elsewhere.
    wasteful: BTreeSet<ConnectionKey>,
    /// Identities on all of them.
    used: usize,
}

impl Order {
    /// The fullest that takes another identity.
    pub(super) fn fullest(&self, not: Option<ConnectionKey>) -> Option<ConnectionKey> {
        let mut fullest = self.room.iter().map(|(_, key)| *key);
        fullest.find(|key| Some(*key) != not)
    }

    /// When the next slot expires.
    pub(super) fn first_expiry(&self) -> Option<Duration> {
        self.expiry.first().map(|(at, _)| *at)
    }

    /// One with a slot that has expired.
    pub(super) fn first_to_expire(&self, now: Duration) -> Option<ConnectionKey> {
        let (at, key) = self.expiry.first()?;
        (*at <= now).then_some(*key)
    }

    /// Whether so many identities have room on the others.
    pub(super) fn has_room(&self, identities: usize, not: ConnectionKey) -> bool {
        let mut missing = identities;
        for (free, _) in self.room.iter().filter(|(_, key)| *key != not) {
            missing = missing.saturating_sub(*free);
            if missing == 0 {
                break;
            }
        }
        missing == 0
    }

    pub(super) fn wasteful(&self) -> impl Iterator<Item = ConnectionKey> {
        self.wasteful.iter().copied()
    }

    /// The emptiest that takes another identity.
    pub(super) fn emptiest(&self) -> Option<ConnectionKey> {
        self.room.last().map(|(_, key)| *key)
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) fn list(&mut self, key: ConnectionKey, slots: &Slots, draining: bool) {
        self.used += slots.used();
        if slots.free() > 0 && !draining {
            self.room.insert((slots.free(), key));
        }
        if slots.is_wasteful() && !draining {
            self.wasteful.insert(key);
        }
        if let Some(at) = slots.first_expiry() {
            self.expiry.insert((at, key));
        }
    }

    /// Must be called with the slots as they were listed.
    pub(super) fn unlist(&mut self, key: ConnectionKey, slots: &Slots) {
        self.used -= slots.used();
        self.room.remove(&(slots.free(), key));
        self.wasteful.remove(&key);
        if let Some(at) = slots.first_expiry() {
            self.expiry.remove(&(at, key));
        }
    }
}
