//! The AMQP connections of one hub, and the devices on each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_fleet::{Ledger, LedgerConfig, Left, Paces};
use drawspan_hub::limits::HubSize;
use drawspan_hub::{ConnectionKey, DeviceId, Failure, FailureKind, WhichKey};

use super::counters::HubCounters;
use super::peer_clock::PeerClock;
use super::twin_reads::CatchUps;

/// Connections by key. One is started when a device needs it, and let go when its last device leaves.
#[derive(Debug)]
pub struct Pool {
    ledger: Ledger,
    max_connections: usize,
    /// Whether each device has a connection of its own.
    apart: bool,
    /// Indexes of the devices on each connection.
    members: HashMap<ConnectionKey, Vec<u32>>,
    /// The key that the hub took last.
    pub(super) key: WhichKey,
    /// How fast connected devices may be used.
    pub paces: Arc<Paces>,
    pub(super) catch_ups: CatchUps,
    /// Counts since the start.
    pub counters: HubCounters,
    /// A device found no room, and there has been no room since.
    full: bool,
    pub(super) clock: PeerClock,
}

/// The configuration of a pool.
#[derive(Debug, Clone, Copy)]
pub struct PoolConfig {
    /// Devices on one connection.
    pub slots_per_connection: usize,
    /// Whether each device presents its own token.
    pub per_device_tokens: bool,
    /// The size of every hub, if it is known.
    pub hub_size: Option<HubSize>,
    /// Connections to one hub.
    pub max_connections: Option<usize>,
}

/// The slot that a departed device leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaving {
    /// The device that has its place in the list now.
    pub(super) moved: Option<u32>,
    /// Whether the connection has no device any more.
    pub(super) is_empty: bool,
}

impl Pool {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self {
            ledger: Ledger::new(LedgerConfig {
                slots_per_connection: config.slots_per_connection,
                per_device_tokens: config.per_device_tokens,
            }),
            max_connections: config.max_connections.unwrap_or(usize::MAX),
            apart: config.slots_per_connection == 1,
            members: HashMap::new(),
            key: WhichKey::Primary,
            paces: Arc::new(Paces::of(config.hub_size)),
            catch_ups: CatchUps::default(),
            counters: HubCounters::default(),
            full: false,
            clock: PeerClock::default(),
        }
    }

    /// A connection for one more device, and the device's index in its list; `None` if no further connection is allowed.
    pub(super) fn place(
        &mut self,
        index: u32,
        identity: &DeviceId,
        not: Option<ConnectionKey>,
        now: Duration,
    ) -> Option<(ConnectionKey, u32)> {
        let most = self.max_connections;
        let key = self.ledger.place_within(most, identity, not, now)?;
        let members = self.members.entry(key).or_default();
        let member = u32::try_from(members.len()).unwrap_or(u32::MAX);
        members.push(index);
        Some((key, member))
    }

    /// Why there is no place for a device, and whether that is news.
    pub(super) fn no_place(&mut self) -> (Failure, bool) {
        let text = format!(
            "max_connections is {}, and all connections to the hub are full: raise it, or disconnect devices; the place of one that left \
             is free when its token expires",
            self.max_connections
        );
        let failure = Failure::local(FailureKind::ConnectionsFull, &text);
        self.counters.failures.add(failure.kind);
        let is_full = !self.ledger.has_room(self.max_connections);
        let is_news = is_full && !std::mem::replace(&mut self.full, true);
        (failure, is_news)
    }

    /// Whether there is room again after a device found no room.
    pub(super) fn has_room_again(&mut self) -> bool {
        let has_room = self.full && self.ledger.has_room(self.max_connections);
        self.full &= !has_room;
        has_room
    }

    /// A device left, and its token counts until `slot_until`, if the hub took one.
    pub(super) fn leave(
        &mut self,
        key: ConnectionKey,
        member: u32,
        identity: &DeviceId,
        slot_until: Option<Duration>,
    ) -> Leaving {
        let Some(members) = self.members.get_mut(&key) else {
            return Leaving {
                moved: None,
                is_empty: false,
            };
        };
        let place = member as usize;
        if place < members.len() {
            members.swap_remove(place);
        }
        let moved = members.get(place).copied();
        let is_empty = self.ledger.leave(identity, key, slot_until) == Left::Last;
        if is_empty {
            self.members.remove(&key);
        }
        Leaving { moved, is_empty }
    }

    /// The devices on a connection.
    pub(super) fn members(&self, key: ConnectionKey) -> &[u32] {
        self.members.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The hub takes no more tokens on a connection.
    pub(super) fn filled(&mut self, key: ConnectionKey, now: Duration) {
        self.ledger.filled(key, now);
    }

    /// A connection ended. Returns the devices that were on it.
    pub(super) fn ended(&mut self, key: ConnectionKey) -> Vec<u32> {
        self.ledger.ended(key);
        self.members.remove(&key).unwrap_or_default()
    }

    /// When it is worth a look whether a connection is to be emptied.
    pub(super) fn drain_due(&self) -> Option<Duration> {
        self.ledger.drain_due()
    }

    /// The ledger of the connections' slots.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Connections that are open or being opened.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.ledger.connections()
    }

    /// Those of them that are one device's own, because it has a certificate.
    #[must_use]
    pub fn own_connections(&self) -> usize {
        match self.apart {
            true => self.connections(),
            false => 0,
        }
    }

    /// Devices that these can hold, as far as the hub has said how many it takes.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.ledger.capacity()
    }

    /// Devices that the hub counts on them.
    #[must_use]
    pub fn slots_used(&self) -> usize {
        self.ledger.slots_used()
    }

    /// Devices to be moved elsewhere, because those that left hold too many slots of their connection.
    pub(super) fn drain(&mut self, now: Duration) -> Vec<u32> {
        let key = self.ledger.drain(self.max_connections, now);
        let members = key.and_then(|key| self.members.get(&key));
        members.cloned().unwrap_or_default()
    }

    /// Whether a connection's devices are to be moved elsewhere still.
    pub(super) fn is_drained(&mut self, key: ConnectionKey) -> bool {
        self.ledger.is_drained(key, self.max_connections)
    }
}
