//! The assignment of devices to connections.
//!
//! A hub counts the identities that ever presented a token on a connection, until their tokens expire: a device that leaves keeps
//! its *slot* there. The ledger tracks these slots, so that
//!
//! * connections are filled one after the other, and never beyond the hub's limit;
//! * a device that comes back returns to its slot, and needs no new one;
//! * a connection whose slots are mostly held by departed devices is found, drained and closed.
//!
//! With one token for a whole connection, as a policy signs it, only live devices count.
//!
//! No operation is proportional to the number of connections or devices, except the end of a connection, which is proportional to
//! the slots on it, [`Ledger::capacity`], and learning from a refusal (`limit.rs`). Live devices are mere numbers: the caller that
//! placed one keeps its key.

mod limit;
mod order;
mod slots;

use std::collections::HashMap;
use std::time::Duration;

use drawspan_hub::DeviceId;
use drawspan_hub::session::ConnectionKey;

use crate::limits::{SLOT_MARGIN, SPARE_CONNECTIONS};
use crate::mutation::{Mutation, planted};
use limit::Limit;
use order::Order;
use slots::Slots;

/// The configuration of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Identities per connection: [`DEVICES_PER_CONNECTION`](drawspan_hub::limits::DEVICES_PER_CONNECTION) or
    /// [`DEVICES_PER_WEBSOCKET`](drawspan_hub::limits::DEVICES_PER_WEBSOCKET).
    pub slots_per_connection: usize,
    /// Whether each device presents its own token. Otherwise a departing device leaves no slot behind.
    pub per_device_tokens: bool,
}

/// The slot that a departed device leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// A connection with live devices on it; or one that was gone already.
    Stays,
    /// A connection without: it is to be closed, and its key is over.
    Last,
}

/// The connections of one pool: one hub, one set of credentials.
#[derive(Debug)]
pub struct Ledger {
    config: LedgerConfig,
    connections: HashMap<ConnectionKey, Slots>,
    /// Slots that devices left behind; also of those that came back, until the token of their earlier stay expires.
    held: HashMap<DeviceId, Vec<Held>>,
    order: Order,
    limit: Limit,
    draining: Option<ConnectionKey>,
    next: u32,
}

/// A slot that outlives a stay.
#[derive(Debug, Clone, Copy)]
struct Held {
    key: ConnectionKey,
    until: Duration,
    /// Its device is there again.
    live: bool,
}

impl Ledger {
    /// A ledger without connections.
    #[must_use]
    pub fn new(config: LedgerConfig) -> Self {
        Self {
            config,
            connections: HashMap::new(),
            held: HashMap::new(),
            order: Order::default(),
            limit: Limit::new(config.slots_per_connection),
            draining: None,
            next: 0,
        }
    }

    /// The connection for a device: the one that holds its slot, else the fullest with room, else a new one; never `not`, nor one
    /// that is being drained. [`Self::leave`] or [`Self::ended`] must follow. `now` is monotonic.
    pub fn place(
        &mut self,
        device: &DeviceId,
        not: Option<ConnectionKey>,
        now: Duration,
    ) -> ConnectionKey {
        self.place_again(device, not, now)
            .unwrap_or_else(|| self.place_anew())
    }

    /// The same with so many connections at most; `None` if another one would be needed.
    pub fn place_within(
        &mut self,
        most: usize,
        device: &DeviceId,
        not: Option<ConnectionKey>,
        now: Duration,
    ) -> Option<ConnectionKey> {
        let placed = self.place_again(device, not, now);
        if placed.is_some() {
            return placed;
        }
        if self.connections.len() < most {
            return Some(self.place_anew());
        }
        // Better full of devices that left than nowhere to go.
        self.stop_draining().then_some(())?;
        self.place_again(device, not, now)
    }

    fn place_again(
        &mut self,
        device: &DeviceId,
        not: Option<ConnectionKey>,
        now: Duration,
    ) -> Option<ConnectionKey> {
        self.expire(now);
        if let Some(key) = self.take_held(device, not) {
            return Some(key);
        }
        // One that was just refused needs a place, not a trial.
        if not.is_none() && self.order.fullest(None).is_none() {
            self.grow(now);
        }
        let key = self.order.fullest(not)?;
        self.change(key, Slots::take);
        Some(key)
    }

    fn place_anew(&mut self) -> ConnectionKey {
        let key = self.add();
        self.change(key, Slots::take);
        key
    }

    /// A device left a connection, or could not be opened there. `token_until` is when its token expires, monotonic; `None` if the
    /// hub accepted none from it this time.
    pub fn leave(
        &mut self,
        device: &DeviceId,
        key: ConnectionKey,
        token_until: Option<Duration>,
    ) -> Left {
        let Some(slots) = self.connections.get(&key) else {
            return Left::Stays;
        };
        if slots.live() <= 1 {
            self.ended(key);
            return Left::Last;
        }
        let until = token_until.map(|until| until + SLOT_MARGIN);
        if !self.config.per_device_tokens || planted(Mutation::SlotFreed) {
            self.change(key, |slots| slots.give_back(until.is_some()));
            return Left::Stays;
        }
        // The slot of an earlier stay still counts, regardless of this one's result.
        let earlier = self.take_back(device, key);
        match until.max(earlier) {
            Some(until) => {
                let held = Held {
                    key,
                    until,
                    live: false,
                };
                self.held.entry(device.clone()).or_default().push(held);
                self.change(key, |slots| slots.depart(device.clone(), until));
            }
            None => self.change(key, |slots| slots.give_back(false)),
        }
        self.learn_from(key);
        Left::Stays
    }

    /// One that was refused has left: what the connection takes is known better now.
    fn learn_from(&mut self, key: ConnectionKey) {
        let slots = self.connections.get(&key);
        if slots.is_some_and(|slots| slots.learned().is_some()) {
            self.learn();
        }
    }

    /// A connection is gone, with everything on it.
    pub fn ended(&mut self, key: ConnectionKey) {
        let Some(slots) = self.connections.remove(&key) else {
            return;
        };
        self.order.unlist(key, &slots);
        if self.draining == Some(key) {
            self.draining = None;
        }
        if planted(Mutation::EndedRemembered) {
            return;
        }
        for device in slots.held() {
            self.remove_held(device, key);
        }
    }

    /// A connection to be emptied: one that is full and of whose slots devices that left hold more than half, or the emptiest
    /// one when there are many more than are needed; if its devices have a place elsewhere: room, or, of a full one, another
    /// connection, of which there may be so many at most.
    /// No device is placed there any more; the caller moves those on it elsewhere, as long as [`Self::is_drained`]. One
    /// connection at a time, named until it has ended, because devices may have been on their way to it.
    pub fn drain(&mut self, most: usize, now: Duration) -> Option<ConnectionKey> {
        self.expire(now);
        if self.draining.is_some() {
            return self.draining;
        }
        let may_have_another = self.connections.len() < most;
        let has_place =
            |key: &ConnectionKey| may_have_another || self.order.has_room(self.live(*key), *key);
        let wasteful = self.order.wasteful().find(has_place);
        let key = wasteful.or_else(|| self.spare())?;
        self.draining = Some(key);
        self.change(key, |_| ());
        Some(key)
    }

    /// Whether the devices of a connection are to be moved elsewhere, and the next one has a place there.
    pub fn is_drained(&mut self, key: ConnectionKey, most: usize) -> bool {
        if self.draining != Some(key) {
            return false;
        }
        let has_place = self.connections.len() < most || self.order.has_room(1, key);
        if !has_place {
            self.stop_draining();
        }
        has_place
    }

    /// The connection that is being emptied.
    #[must_use]
    pub const fn draining(&self) -> Option<ConnectionKey> {
        self.draining
    }

    /// When [`Self::drain`] may name a connection, as far as that is known now: at once, or when a slot expires.
    #[must_use]
    pub fn drain_due(&self) -> Option<Duration> {
        let wasteful = self.order.wasteful().next();
        if self.draining.is_some() || wasteful.is_some() || self.spare().is_some() {
            return Some(Duration::ZERO);
        }
        self.order.first_expiry()
    }

    /// The emptiest connection, when there are many more than all identities need, as after many devices have left, and the
    /// others have room for its devices.
    fn spare(&self) -> Option<ConnectionKey> {
        let needed = self.order.used().div_ceil(self.limit.slots.max(1));
        if self.connections.len() <= needed + 1 + needed / SPARE_CONNECTIONS {
            return None;
        }
        let key = self.order.emptiest()?;
        let has_room = self.order.has_room(self.live(key), key);
        has_room.then_some(key)
    }

    /// False if no connection is being emptied.
    fn stop_draining(&mut self) -> bool {
        let Some(key) = self.draining.take() else {
            return false;
        };
        self.change(key, |_| ());
        true
    }

    /// Connections that stand or are being opened.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Devices placed on a connection.
    #[must_use]
    pub fn live(&self, key: ConnectionKey) -> usize {
        self.connections.get(&key).map_or(0, Slots::live)
    }

    /// Identities that the hub counts on a connection: live ones, and those that left while their tokens last.
    #[must_use]
    pub fn slots(&self, key: ConnectionKey) -> usize {
        self.connections.get(&key).map_or(0, Slots::used)
    }

    /// The same of all connections together.
    #[must_use]
    pub const fn slots_used(&self) -> usize {
        self.order.used()
    }

    /// Identities that the hub takes on all connections together, as far as known.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.connections.values().map(Slots::limit).sum()
    }

    /// Whether another identity has a place, with so many connections at most.
    #[must_use]
    pub fn has_room(&self, most: usize) -> bool {
        self.connections.len() < most || self.order.fullest(None).is_some()
    }

    fn add(&mut self) -> ConnectionKey {
        let key = ConnectionKey(self.next);
        // A connection each millisecond makes that 49 days.
        self.next = self.next.wrapping_add(1);
        let slots = Slots::new(self.limit.slots);
        self.connections.insert(key, slots);
        key
    }

    /// Frees the slots whose tokens have expired.
    fn expire(&mut self, now: Duration) {
        while let Some(key) = self.order.first_to_expire(now) {
            let Some(device) = self.connections.get(&key).and_then(Slots::first_to_expire) else {
                return;
            };
            let held = self.remove_held(&device, key);
            let live = held.is_some_and(|held| held.live);
            self.change(key, |slots| slots.expire_first(live));
        }
    }

    /// Places a device on its slot.
    fn take_held(
        &mut self,
        device: &DeviceId,
        not: Option<ConnectionKey>,
    ) -> Option<ConnectionKey> {
        let draining = self.draining;
        let held = self
            .held
            .get_mut(device)?
            .iter_mut()
            .find(|held| !held.live && Some(held.key) != not && Some(held.key) != draining)?;
        held.live = true;
        let key = held.key;
        self.change(key, Slots::come_back);
        Some(key)
    }

    /// Until when a device that is live on a connection holds a slot there from an earlier stay, which is forgotten.
    fn take_back(&mut self, device: &DeviceId, key: ConnectionKey) -> Option<Duration> {
        let held = self.remove_held(device, key)?;
        self.change(key, |slots| slots.forget(device, held.until));
        Some(held.until)
    }

    fn remove_held(&mut self, device: &DeviceId, key: ConnectionKey) -> Option<Held> {
        let all = self.held.get_mut(device)?;
        let index = all.iter().position(|held| held.key == key)?;
        let held = all.swap_remove(index);
        if all.is_empty() {
            self.held.remove(device);
        }
        Some(held)
    }

    /// Changes a connection's slots, and its place in the order that follows from them.
    fn change(&mut self, key: ConnectionKey, change: impl FnOnce(&mut Slots)) {
        let Some(slots) = self.connections.get_mut(&key) else {
            return;
        };
        self.order.unlist(key, slots);
        change(slots);
        self.order.list(key, slots, self.draining == Some(key));
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
