//! The AMQP connections of one hub: which stand, and who is on which.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::{Ledger, LedgerConfig, Left};
use drawspan_client::{ConnectionConfig, HubConnection};
use drawspan_hub::limits::{DEVICES_PER_CONNECTION, DEVICES_PER_WEBSOCKET, HubSize};
use drawspan_hub::{ConnectionKey, DeviceId, WhichKey};
use drawspan_net::Transport;

use super::tally::HubTally;
use super::throttle::Paces;

/// Connections by key. They are opened when a device needs one and closed when their last device leaves.
#[derive(Debug)]
pub(super) struct Pool {
    config: Arc<ConnectionConfig>,
    ledger: Ledger,
    max_connections: usize,
    connections: HashMap<ConnectionKey, Shared>,
    /// The key that the hub took last.
    pub(super) key: WhichKey,
    /// How fast connected devices may be used.
    pub(super) paces: Arc<Paces>,
    pub(super) tally: HubTally,
    slots_each: usize,
}

/// A connection, and the indexes of the devices on it.
#[derive(Debug)]
struct Shared {
    connection: HubConnection,
    members: Vec<u32>,
}

/// Where a device was put.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) key: ConnectionKey,
    pub(super) connection: HubConnection,
    pub(super) member: u32,
}

impl Pool {
    pub(super) fn new(
        config: ConnectionConfig,
        size: Option<HubSize>,
        max_connections: Option<usize>,
    ) -> Self {
        let slots_each = match config.transport {
            Transport::Amqps => DEVICES_PER_CONNECTION,
            Transport::WebSocket => DEVICES_PER_WEBSOCKET,
        };
        let ledger = Ledger::new(LedgerConfig {
            slots_per_connection: slots_each,
            per_device_tokens: config.credentials.is_per_device(),
        });
        Self {
            config: Arc::new(config),
            ledger,
            max_connections: max_connections.unwrap_or(usize::MAX),
            connections: HashMap::new(),
            key: WhichKey::Primary,
            paces: Arc::new(Paces::of(size)),
            tally: HubTally::default(),
            slots_each,
        }
    }

    /// A connection for one more device, opened if need be; `None` if there may not be another one.
    pub(super) fn place(
        &mut self,
        index: u32,
        identity: &DeviceId,
        not: Option<ConnectionKey>,
        now: Duration,
    ) -> Option<Placed> {
        let most = self.max_connections;
        let key = self.ledger.place_within(most, identity, not, now)?;
        let config = &self.config;
        let shared = self.connections.entry(key).or_insert_with(|| Shared {
            connection: HubConnection::start(Arc::clone(config), key),
            members: Vec::new(),
        });
        let member = u32::try_from(shared.members.len()).unwrap_or(u32::MAX);
        shared.members.push(index);
        Some(Placed {
            key,
            connection: shared.connection.clone(),
            member,
        })
    }

    pub(super) fn get(&self, key: ConnectionKey) -> Option<&HubConnection> {
        self.connections.get(&key).map(|shared| &shared.connection)
    }

    /// A device left, and its token counts until `slot_until`, if the hub took one. Says which device has its place in the list now.
    pub(super) fn leave(
        &mut self,
        key: ConnectionKey,
        member: u32,
        identity: &DeviceId,
        slot_until: Option<Duration>,
    ) -> Option<u32> {
        let shared = self.connections.get_mut(&key)?;
        let place = member as usize;
        if place < shared.members.len() {
            shared.members.swap_remove(place);
        }
        let moved = shared.members.get(place).copied();
        if self.ledger.leave(identity, key, slot_until) == Left::Last {
            // The connection closes with its last handle.
            self.connections.remove(&key);
        }
        moved
    }

    /// The hub takes no more tokens on a connection.
    pub(super) fn filled(&mut self, key: ConnectionKey) {
        self.ledger.filled(key);
    }

    /// A connection ended. Returns the devices that were on it.
    pub(super) fn ended(&mut self, key: ConnectionKey) -> Vec<u32> {
        self.ledger.ended(key);
        self.connections
            .remove(&key)
            .map(|shared| shared.members)
            .unwrap_or_default()
    }

    /// Those that stand or are being made.
    pub(super) fn connections(&self) -> usize {
        self.ledger.connections()
    }

    /// Devices that these can hold.
    pub(super) fn slots(&self) -> usize {
        self.ledger.connections() * self.slots_each
    }

    /// Devices that the hub counts on them.
    pub(super) fn slots_used(&self) -> usize {
        self.ledger.slots_used()
    }

    /// Devices to be moved elsewhere, because those that left hold too many slots of their connection.
    pub(super) fn drain(&mut self, now: Duration) -> Vec<u32> {
        let key = self.ledger.drain(now);
        let shared = key.and_then(|key| self.connections.get(&key));
        shared.map_or_else(Vec::new, |shared| shared.members.clone())
    }
}
