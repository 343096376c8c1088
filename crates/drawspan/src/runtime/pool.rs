//! The AMQP connections of the hub: which stand, and who is on which.

use std::collections::HashMap;
use std::sync::Arc;

use drawspan_client::{ConnectionConfig, ConnectionKey, HubConnection, Packing};

/// Connections by key. They are opened when a device needs one and closed when their last device leaves.
#[derive(Debug)]
pub(super) struct Pool {
    config: Arc<ConnectionConfig>,
    packing: Packing,
    connections: HashMap<ConnectionKey, HubConnection>,
}

impl Pool {
    pub(super) fn new(config: Arc<ConnectionConfig>) -> Self {
        Self {
            config,
            packing: Packing::default(),
            connections: HashMap::new(),
        }
    }

    /// A connection for one more device, opened if need be.
    pub(super) fn place(&mut self) -> (ConnectionKey, HubConnection) {
        let key = self.packing.place();
        let config = &self.config;
        let connection = self
            .connections
            .entry(key)
            .or_insert_with(|| HubConnection::start(Arc::clone(config), key));
        (key, connection.clone())
    }

    pub(super) fn get(&self, key: ConnectionKey) -> Option<&HubConnection> {
        self.connections.get(&key)
    }

    /// A device left.
    pub(super) fn leave(&mut self, key: ConnectionKey) {
        if self.packing.leave(key) {
            // The connection closes with its last handle.
            self.connections.remove(&key);
        }
    }

    pub(super) fn fill(&mut self, key: ConnectionKey) {
        self.packing.fill(key);
    }

    /// A connection ended, with everything on it.
    pub(super) fn ended(&mut self, key: ConnectionKey) {
        self.connections.remove(&key);
        self.packing.remove(key);
    }
}
