//! The slots of one connection.

use std::collections::BTreeSet;
use std::time::Duration;

use drawspan_hub::DeviceId;

/// The devices counted on a connection.
#[derive(Debug)]
pub(super) struct Slots {
    /// Devices that are there.
    live: usize,
    /// Devices that left, and whose tokens have not expired.
    departed: usize,
    /// Identities that the hub takes, as far as known.
    limit: usize,
    /// The hub refused an identity: it counts no more than `limit`, or some that are not counted here. From then on only a slot
    /// that it is known to release makes room.
    filled: bool,
    /// When slots expire: those of devices that left, and what an earlier stay left behind of those that came back.
    expiry: BTreeSet<(Duration, DeviceId)>,
}

impl Slots {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            live: 0,
            departed: 0,
            limit,
            filled: false,
            expiry: BTreeSet::new(),
        }
    }

    pub(super) const fn live(&self) -> usize {
        self.live
    }

    pub(super) const fn used(&self) -> usize {
        self.live + self.departed
    }

    /// Identities that the hub takes, as far as known.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn free(&self) -> usize {
        self.limit.saturating_sub(self.used())
    }

    /// Identities that the hub takes here at most, if it has refused one.
    pub(super) fn learned(&self) -> Option<usize> {
        self.filled.then_some(self.limit)
    }

    /// The hub takes so many on any connection, as far as known. What it said of this one counts more.
    pub(super) const fn expect(&mut self, limit: usize) {
        if !self.filled {
            self.limit = limit;
        }
    }

    /// The limit that the hub showed for this connection may be outdated: it is tried with this number.
    pub(super) const fn doubt(&mut self, limit: usize) {
        self.filled = false;
        self.limit = limit;
    }

    /// Full, and mostly of devices that are not there.
    pub(super) const fn is_wasteful(&self) -> bool {
        self.free() == 0 && self.departed > self.live
    }

    pub(super) fn first_expiry(&self) -> Option<Duration> {
        self.expiry.first().map(|(at, _)| *at)
    }

    pub(super) fn first_to_expire(&self) -> Option<DeviceId> {
        self.expiry.first().map(|(_, device)| device.clone())
    }

    /// Devices in `expiry`.
    pub(super) fn held(&self) -> impl Iterator<Item = &DeviceId> {
        self.expiry.iter().map(|(_, device)| device)
    }

    /// A new identity.
    pub(super) const fn take(&mut self) {
        self.live += 1;
    }

    /// An identity that holds a slot already.
    pub(super) const fn come_back(&mut self) {
        self.live += 1;
        self.departed = self.departed.saturating_sub(1);
    }

    /// A device left and keeps its slot.
    pub(super) fn depart(&mut self, device: DeviceId, until: Duration) {
        self.live = self.live.saturating_sub(1);
        self.departed += 1;
        self.expiry.insert((until, device));
    }

    /// A device left and keeps nothing. `taken` if the hub had counted it and does no more.
    pub(super) const fn give_back(&mut self, taken: bool) {
        self.live = self.live.saturating_sub(1);
        if self.filled && !taken {
            // It was not among those that the hub counts.
            self.limit = self.limit.saturating_sub(1);
        }
    }

    /// A device that came back is leaving again: its slot's time must be set again.
    pub(super) fn forget(&mut self, device: &DeviceId, until: Duration) {
        self.expiry.remove(&(until, device.clone()));
    }

    /// The slot that expires first has expired; `live` if its device came back and so keeps it.
    pub(super) fn expire_first(&mut self, live: bool) {
        if self.expiry.pop_first().is_some() && !live {
            self.departed = self.departed.saturating_sub(1);
        }
    }

    /// The hub refused an identity that is counted here until it leaves.
    pub(super) fn fill(&mut self) {
        self.limit = self.limit.min(self.used());
        self.filled = true;
    }
}
