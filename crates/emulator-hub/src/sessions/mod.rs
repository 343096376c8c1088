//! The sessions of a hub's devices: one per connected device, regardless of its protocol.
//!
//! A protocol head makes a [`DeviceSession`] for a device on a connection and attaches it to the hub (`Hub::attach`). An attached
//! session replaces the device's earlier one, whichever protocol that used.

mod device_session;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use drawspan_hub::DeviceId;
use drawspan_hub_model::event::Protocol;
use tokio::sync::Notify;

pub use device_session::{CallFailure, DeviceSession, MethodAnswer, MethodCall};

/// The sessions of one hub.
#[derive(Debug, Default)]
pub struct Sessions {
    by_device: Mutex<HashMap<DeviceId, Arc<dyn DeviceSession>>>,
    /// Notified when a device begins to accept method calls.
    calls_taken: Notify,
}

/// The result of attaching a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// The device had no session.
    New,
    /// The device had another session, over this protocol, which is replaced.
    Replaced(Protocol),
    /// The device had this session already.
    Known,
}

impl Sessions {
    /// Makes `session` the session of a device. `then` runs before the device can get yet another session, or lose this one.
    pub fn attach(
        &self,
        device: &DeviceId,
        session: &Arc<dyn DeviceSession>,
        then: impl FnOnce(Attached),
    ) {
        let mut by_device = self.lock();
        let before = by_device.insert(device.clone(), Arc::clone(session));
        let attached = match before {
            None => Attached::New,
            Some(before) if Arc::ptr_eq(&before, session) => Attached::Known,
            Some(before) => {
                before.replaced();
                Attached::Replaced(before.protocol())
            }
        };
        then(attached);
        drop(by_device);
        if session.takes_calls() {
            self.calls_taken.notify_waiters();
        }
    }

    /// Takes something from a session, and the session from its device when `left` says that nothing is left of it; `then`
    /// runs before the device can get another one. Does nothing when the device has another session by now.
    pub fn detach(
        &self,
        device: &DeviceId,
        session: &Arc<dyn DeviceSession>,
        left: impl FnOnce() -> bool,
        then: impl FnOnce(),
    ) {
        let mut by_device = self.lock();
        let current = by_device.get(device);
        if current.is_some_and(|current| Arc::ptr_eq(current, session)) && left() {
            by_device.remove(device);
            then();
        }
    }

    /// A device was disabled or deleted: it may not be connected any more.
    pub fn shut_out(&self, device: &DeviceId) {
        if let Some(session) = self.get(device) {
            session.identity_changed();
        }
    }

    /// A message for a device waits.
    pub fn message_waits(&self, device: &DeviceId) {
        if let Some(session) = self.get(device) {
            session.message_waits();
        }
    }

    /// Notifies a device of its desired properties: a JSON patch with `$version`.
    pub fn desired(&self, device: &DeviceId, patch: &Bytes) {
        if let Some(session) = self.get(device) {
            session.desired(patch);
        }
    }

    /// Delivers a method call to a device. Returns the call if the device is not connected, or accepts no calls.
    pub fn call(&self, device: &DeviceId, call: MethodCall) -> Result<(), MethodCall> {
        match self.get(device) {
            Some(session) => session.call(call),
            None => Err(call),
        }
    }

    /// Notified when any device begins to accept method calls.
    pub fn calls_taken(&self) -> &Notify {
        &self.calls_taken
    }

    /// Whether no device is connected.
    #[cfg(any(test, feature = "test-hub"))]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn get(&self, device: &DeviceId) -> Option<Arc<dyn DeviceSession>> {
        self.lock().get(device).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Arc<dyn DeviceSession>>> {
        self.by_device
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
