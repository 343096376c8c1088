//! Devices that connect and disconnect.

use std::sync::Arc;

use drawspan_hub::DeviceId;
use drawspan_hub_model::event::{DisconnectReason, HubEvent};

use super::Hub;
#[cfg(any(test, feature = "test-hub"))]
use crate::sessions::Sessions;
use crate::sessions::{Attached, DeviceSession};

impl Hub {
    /// Makes a session that of a device, which is connected from then on; a session that it had is replaced. `join` runs
    /// while the device is locked.
    pub fn attach<S: DeviceSession + 'static>(
        &self,
        device: &DeviceId,
        session: &Arc<S>,
        join: impl FnOnce(&S),
    ) {
        let shared: Arc<dyn DeviceSession> = Arc::<S>::clone(session);
        self.sessions.attach(device, &shared, |attached| {
            join(session);
            // While the device is locked: the registry sees connects and disconnects in order.
            self.set_connected(device, true);
            if let Attached::Replaced(before) = attached {
                self.emit(HubEvent::DeviceDisconnected {
                    device: device.clone(),
                    protocol: before,
                    reason: DisconnectReason::Replaced,
                });
            }
            if attached != Attached::Known {
                self.emit(HubEvent::DeviceConnected {
                    device: device.clone(),
                    protocol: session.protocol(),
                });
            }
        });
    }

    /// Takes something from the session of a device, for `reason`. The device is not connected any more when `leave` says that
    /// nothing is left.
    pub fn detach<S: DeviceSession + 'static>(
        &self,
        device: &DeviceId,
        session: &Arc<S>,
        reason: DisconnectReason,
        leave: impl FnOnce(&S) -> bool,
    ) {
        let shared: Arc<dyn DeviceSession> = Arc::<S>::clone(session);
        let left = || leave(session);
        self.sessions.detach(device, &shared, left, || {
            self.set_connected(device, false);
            self.emit(HubEvent::DeviceDisconnected {
                device: device.clone(),
                protocol: session.protocol(),
                reason,
            });
        });
    }

    /// Takes note that a device connected or left. Says whether it is registered.
    pub fn set_connected(&self, id: &DeviceId, connected: bool) -> bool {
        self.registry_mut()
            .set_connected(id, connected, self.now_unix_ms())
    }

    /// Takes note of the model that a device says it follows.
    pub fn set_model(&self, id: &DeviceId, model: &str) {
        self.registry_mut().set_model(id, model);
    }

    /// The sessions of its devices.
    #[cfg(any(test, feature = "test-hub"))]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }
}
