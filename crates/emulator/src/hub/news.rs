//! What changes of the registry mean to devices that are connected.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use drawspan_hub::DeviceId;
use drawspan_hub_model::device::DeviceStatus;
use drawspan_hub_model::registry::Change;

use crate::reach::Reach;

/// The way to the devices that are connected.
pub(super) struct Connected(pub(super) Box<dyn Reach>);

/// What is to be told, and how.
pub(super) struct News {
    to: Arc<OnceLock<Connected>>,
    items: Vec<Item>,
}

enum Item {
    /// May not connect any more.
    ShutOut(DeviceId),
    /// Has other desired properties.
    Desired(DeviceId, Bytes),
}

impl News {
    pub(super) fn of(changes: &[Change], to: &Arc<OnceLock<Connected>>) -> Self {
        Self {
            to: Arc::clone(to),
            items: changes.iter().filter_map(Item::of).collect(),
        }
    }

    /// Tells the devices. What could not be stored is told only where it has effect all the same.
    pub(super) fn tell(&self, stored: bool) {
        let Some(Connected(devices)) = self.to.get() else {
            return;
        };
        for item in &self.items {
            match item {
                // Stored or not, the registry has changed.
                Item::ShutOut(device) => devices.shut_out(device),
                Item::Desired(device, patch) if stored => devices.desired(device, patch),
                Item::Desired(..) => {}
            }
        }
    }
}

impl News {
    /// Tells the rest of what could not be stored at first, and is now.
    pub(super) fn tell_late(&self) {
        let Some(Connected(devices)) = self.to.get() else {
            return;
        };
        for item in &self.items {
            if let Item::Desired(device, patch) = item {
                devices.desired(device, patch);
            }
        }
    }
}

impl Item {
    fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Delete(id) => Some(Self::ShutOut(id.clone())),
            Change::Put(device) => {
                (device.status == DeviceStatus::Disabled).then(|| Self::ShutOut(device.id.clone()))
            }
            Change::Twin {
                device, desired, ..
            } => {
                let patch = desired.clone()?;
                Some(Self::Desired(device.clone(), patch))
            }
        }
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connected")
    }
}
