//! Which connection holds which device. A device is on one connection at a time: a newer one takes its links over
//! (409002 LinkCreationConflict in the hub's logs).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use drawspan_amqp::engine::LinkId;
use drawspan_hub::DeviceId;
use tokio::sync::mpsc;

use super::head::Wake;
use crate::hub::Hub;

/// How others reach a connection's task.
#[derive(Debug)]
pub(super) struct Signals {
    wake: mpsc::Sender<Wake>,
    /// The emulator stops.
    pub(super) stop: AtomicBool,
    /// Links that a newer connection took over.
    stolen: Mutex<Vec<LinkId>>,
}

impl Signals {
    pub(super) fn new(wake: mpsc::Sender<Wake>) -> Self {
        Self {
            wake,
            stop: AtomicBool::new(false),
            stolen: Mutex::default(),
        }
    }

    /// Has the task look at everything that may have changed.
    pub(super) fn wake(&self) {
        // Full means that a wake-up waits already; closed, that nobody is there to be woken.
        let _ = self.wake.try_send(Wake);
    }

    pub(super) fn take_stolen(&self) -> Vec<LinkId> {
        std::mem::take(&mut *self.stolen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn steal(&self, link: LinkId) {
        self.stolen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(link);
        self.wake();
    }
}

/// The holders of all devices of all hubs.
#[derive(Debug, Default)]
pub(crate) struct Presences {
    holders: Mutex<HashMap<(Arc<str>, DeviceId), Holder>>,
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
        let key = (Arc::from(hub.host().as_str()), device.clone());
        let before = self
            .holders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, holder);
        if let Some(before) = before {
            before.signals.steal(before.link);
        }
        hub.set_connected(device, true);
    }

    /// A device's link is gone. Does nothing when another link has taken its place.
    pub(super) fn leave(&self, hub: &Hub, device: &DeviceId, signals: &Arc<Signals>, link: LinkId) {
        let key = (Arc::from(hub.host().as_str()), device.clone());
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = holders
            .get(&key)
            .is_some_and(|holder| holder.link == link && Arc::ptr_eq(&holder.signals, signals));
        if mine {
            holders.remove(&key);
            drop(holders);
            hub.set_connected(device, false);
        }
    }
}

impl Signals {
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}
