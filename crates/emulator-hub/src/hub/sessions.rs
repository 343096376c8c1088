//! Devices and modules that connect and disconnect.

use std::sync::Arc;

use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::{DisconnectReason, HubEvent};

use super::Hub;
#[cfg(any(test, feature = "test-hub"))]
use crate::sessions::Sessions;
use crate::sessions::{Attached, Connected, DeviceSession};

impl Hub {
    /// Makes a session that of a client, which is connected from then on; a session that it had is replaced. `join` runs
    /// while the client is locked.
    pub fn attach<S: DeviceSession + 'static>(
        &self,
        client: &ClientId,
        session: &Arc<S>,
        join: impl FnOnce(&S),
    ) {
        let shared: Arc<dyn DeviceSession> = Arc::<S>::clone(session);
        self.sessions.attach(client, &shared, |attached| {
            join(session);
            // While the client is locked: the registry sees connects and disconnects in order.
            self.set_connected(client, true);
            if let Attached::Replaced(before) = attached {
                self.emit(HubEvent::DeviceDisconnected {
                    client: client.clone(),
                    protocol: before,
                    reason: DisconnectReason::Replaced,
                });
            }
            if attached != Attached::Known {
                self.emit(HubEvent::DeviceConnected {
                    client: client.clone(),
                    protocol: session.protocol(),
                });
            }
        });
    }

    /// Takes something from the session of a client, for `reason`. The client is not connected any more when `leave` says that
    /// nothing is left.
    pub fn detach<S: DeviceSession + 'static>(
        &self,
        client: &ClientId,
        session: &Arc<S>,
        reason: DisconnectReason,
        leave: impl FnOnce(&S) -> bool,
    ) {
        let shared: Arc<dyn DeviceSession> = Arc::<S>::clone(session);
        let left = || leave(session);
        self.sessions.detach(client, &shared, left, || {
            self.set_connected(client, false);
            self.emit(HubEvent::DeviceDisconnected {
                client: client.clone(),
                protocol: session.protocol(),
                reason,
            });
        });
    }

    /// The token of a client has run out: `session` is over, if it is the client's. A session that the client begins next comes after
    /// that.
    pub fn token_expired<S: DeviceSession + 'static>(&self, client: &ClientId, session: &Arc<S>) {
        let shared: Arc<dyn DeviceSession> = Arc::<S>::clone(session);
        self.sessions.detach(
            client,
            &shared,
            || true,
            || {
                self.set_connected(client, false);
                let protocol = session.protocol();
                self.emit(HubEvent::TokenExpired {
                    client: client.clone(),
                    protocol,
                });
                self.emit(HubEvent::DeviceDisconnected {
                    client: client.clone(),
                    protocol,
                    reason: DisconnectReason::TokenExpired,
                });
            },
        );
    }

    /// Takes note that a client connected or left. Says whether it is registered.
    pub fn set_connected(&self, id: &ClientId, connected: bool) -> bool {
        self.registry_mut()
            .set_connected(id, connected, self.now_unix_ms())
    }

    /// Takes note of the model that a client says it follows.
    pub fn set_model(&self, id: &ClientId, model: &str) {
        self.registry_mut().set_model(id, model);
    }

    /// The clients that are connected; with `covered`, those alone that it covers.
    pub fn connected(&self, covered: Option<&ClientId>) -> Vec<Connected> {
        self.sessions.list(covered)
    }

    /// Ends a client's session as if another one had taken its place. Says whether there was one.
    pub fn steal(&self, client: &ClientId) -> bool {
        self.sessions.steal(client)
    }

    /// The sessions of its clients.
    #[cfg(any(test, feature = "test-hub"))]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }
}
