//! The sessions of a hub's clients: one per connected device or module, regardless of its protocol.
//!
//! A protocol head makes a [`DeviceSession`] for a client on a connection and attaches it to the hub (`Hub::attach`). An attached
//! session replaces the client's earlier one, whichever protocol that used. A device and its modules connect each for itself.

mod device_session;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use drawspan_hub::DeviceId;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::Protocol;
use tokio::sync::Notify;

pub use device_session::{CallFailure, DeviceSession, MethodAnswer, MethodCall};

/// The sessions of one hub.
#[derive(Debug, Default)]
pub struct Sessions {
    /// In order, so that the modules of a device are found.
    by_client: Mutex<BTreeMap<ClientId, Arc<dyn DeviceSession>>>,
    /// Notified when a client begins to accept method calls.
    calls_taken: Notify,
}

/// A client that is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The client.
    pub client: ClientId,
    /// Its protocol.
    pub protocol: Protocol,
    /// The number of its connection.
    pub connection: u64,
}

/// The result of attaching a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The client had no session.
    New,
    /// The client had another session, over this protocol, which is replaced.
    Replaced(Protocol),
    /// The client had this session already.
    Known,
}

impl Sessions {
    /// Makes `session` the session of a client. `then` runs before the client can get yet another session, or lose this one.
    pub fn attach(
        &self,
        client: &ClientId,
        session: &Arc<dyn DeviceSession>,
        then: impl FnOnce(Attached),
    ) {
        let mut by_client = self.lock();
        let before = by_client.insert(client.clone(), Arc::clone(session));
        let attached = match before {
            None => Attached::New,
            Some(before) if Arc::ptr_eq(&before, session) => Attached::Known,
            Some(before) => {
                before.replaced();
                Attached::Replaced(before.protocol())
            }
        };
        then(attached);
        drop(by_client);
        if session.takes_calls() {
            self.calls_taken.notify_waiters();
        }
    }

    /// Takes something from a session, and the session from its client when `left` says that nothing is left of it; `then`
    /// runs before the client can get another one. Does nothing when the client has another session by now.
    pub fn detach(
        &self,
        client: &ClientId,
        session: &Arc<dyn DeviceSession>,
        left: impl FnOnce() -> bool,
        then: impl FnOnce(),
    ) {
        let mut by_client = self.lock();
        let current = by_client.get(client);
        if current.is_some_and(|current| Arc::ptr_eq(current, session)) && left() {
            by_client.remove(client);
            then();
        }
    }

    /// A client was disabled or deleted: it may not be connected any more, nor may the modules of a device.
    pub fn shut_out(&self, client: &ClientId) {
        let sessions: Vec<_> = {
            let by_client = self.lock();
            let from = by_client.range(client..);
            from.take_while(|(of, _)| client.covers(of))
                .map(|(_, session)| Arc::clone(session))
                .collect()
        };
        for session in sessions {
            session.identity_changed();
        }
    }

    /// The clients that are connected, by name; with `covered`, those alone that it covers.
    pub fn list(&self, covered: Option<&ClientId>) -> Vec<Connected> {
        let by_client = self.lock();
        let connected = |(client, session): (&ClientId, &Arc<dyn DeviceSession>)| Connected {
            client: client.clone(),
            protocol: session.protocol(),
            connection: session.connection(),
        };
        match covered {
            None => by_client.iter().map(connected).collect(),
            Some(covered) => by_client
                .range(covered..)
                .take_while(|(of, _)| covered.covers(of))
                .map(connected)
                .collect(),
        }
    }

    /// Ends a client's session as if another one had taken its place. Says whether there was one.
    pub fn steal(&self, client: &ClientId) -> bool {
        let by_client = self.lock();
        let session = by_client.get(client);
        if let Some(session) = session {
            session.replaced();
        }
        session.is_some()
    }

    /// A message for a device waits.
    pub fn message_waits(&self, device: &DeviceId) {
        if let Some(session) = self.get(&device.into()) {
            session.message_waits();
        }
    }

    /// Notifies a client of its desired properties: a JSON patch with `$version`.
    pub fn desired(&self, client: &ClientId, patch: &Bytes) {
        if let Some(session) = self.get(client) {
            session.desired(patch);
        }
    }

    /// Delivers a method call to a client. Returns the call if the client is not connected, or accepts no calls.
    pub fn call(&self, client: &ClientId, call: MethodCall) -> Result<(), MethodCall> {
        match self.get(client) {
            Some(session) => session.call(call),
            None => Err(call),
        }
    }

    /// Notified when any client begins to accept method calls.
    pub fn calls_taken(&self) -> &Notify {
        &self.calls_taken
    }

    /// Whether no client is connected.
    #[cfg(any(test, feature = "test-hub"))]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn get(&self, client: &ClientId) -> Option<Arc<dyn DeviceSession>> {
        self.lock().get(client).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClientId, Arc<dyn DeviceSession>>> {
        self.by_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
