//! Which connection holds which device. A device is on one connection at a time: a newer one takes its links over
//! (409002 LinkCreationConflict in the hub's logs).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use drawspan_amqp::engine::LinkId;
use drawspan_hub::{DeviceId, HostName};

use super::signals::{Notice, Signals};
use crate::hub::Hub;

/// The holders of all devices of all hubs.
#[derive(Debug, Default)]
pub(super) struct Presences {
    holders: Mutex<HashMap<(HostName, DeviceId), Holder>>,
}

#[derive(Debug)]
struct Holder {
    signals: Arc<Signals>,
    link: LinkId,
}

impl Presences {
    /// A device's link is attached; whoever held the device before loses it.
    pub(super) fn enter(&self, hub: &Hub, device: &DeviceId, signals: &Arc<Signals>, link: LinkId) {
        let holder = Holder {
            signals: Arc::clone(signals),
            link,
        };
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let before = holders.insert((hub.host().clone(), device.clone()), holder);
        // Still under the lock: the registry hears of comings and goings in their order.
        hub.set_connected(device, true);
        drop(holders);
        if let Some(before) = before {
            before.signals.notify(Notice::DeviceTaken(before.link));
        }
    }

    /// A device's link is gone. Does nothing when another link has taken its place.
    pub(super) fn leave(&self, hub: &Hub, device: &DeviceId, signals: &Arc<Signals>, link: LinkId) {
        let key = (hub.host().clone(), device.clone());
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = holders
            .get(&key)
            .is_some_and(|holder| holder.link == link && Arc::ptr_eq(&holder.signals, signals));
        if mine {
            holders.remove(&key);
            hub.set_connected(device, false);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.holders.lock().unwrap().is_empty()
    }

    /// A device was disabled or deleted: its link, if there is one, is to be looked at.
    pub(super) fn changed(&self, host: &HostName, device: &DeviceId) {
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = holders.get(&(host.clone(), device.clone())) {
            holder.signals.notify(Notice::DeviceChanged(holder.link));
        }
    }
}
