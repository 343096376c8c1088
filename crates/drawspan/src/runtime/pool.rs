//! The AMQP connections of the hub: which stand, and who is on which.

use std::collections::HashMap;
use std::sync::Arc;

use drawspan_client::limits;
use drawspan_client::{ConnectionConfig, ConnectionKey, HubConnection, Ledger, LedgerConfig, Left};
use drawspan_hub::DeviceId;

/// Connections by key. They are opened when a device needs one and closed when their last device leaves.
#[derive(Debug)]
pub(super) struct Pool {
    config: Arc<ConnectionConfig>,
    ledger: Ledger,
    connections: HashMap<ConnectionKey, HubConnection>,
}

impl Pool {
    pub(super) fn new(config: Arc<ConnectionConfig>) -> Self {
        Self {
            config,
            ledger: Ledger::new(LedgerConfig {
                slots_per_connection: limits::DEVICES_PER_CONNECTION,
                per_device_tokens: false,
            }),
            connections: HashMap::new(),
        }
    }

    /// A connection for one more device, opened if need be.
    pub(super) fn place(&mut self, device: &DeviceId) -> (ConnectionKey, HubConnection) {
        let config = &self.config;
        let key = self.ledger.place(device, None, config.clock.now());
        let connection = self
            .connections
            .entry(key)
            .or_insert_with(|| HubConnection::start(Arc::clone(config), key));
        (key, connection.clone())
    }

    pub(super) fn get(&self, key: ConnectionKey) -> Option<&HubConnection> {
        self.connections.get(&key)
    }

    /// A device left; `opened` if the hub had taken it.
    pub(super) fn leave(&mut self, device: &DeviceId, key: ConnectionKey, opened: bool) {
        let token_until = opened.then(|| self.config.clock.now());
        if self.ledger.leave(device, key, token_until) == Left::Last {
            // The connection closes with its last handle.
            self.connections.remove(&key);
        }
    }

    pub(super) fn fill(&mut self, key: ConnectionKey) {
        self.ledger.filled(key);
    }

    /// A connection ended, with everything on it.
    pub(super) fn ended(&mut self, key: ConnectionKey) {
        self.connections.remove(&key);
        self.ledger.ended(key);
    }
}
