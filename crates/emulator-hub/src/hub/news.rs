//! Effects of registry changes on connected devices, and on observers of the hub.

use std::sync::Arc;

use bytes::Bytes;
use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::device::DeviceStatus;
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::registry::Change;

use crate::observe::Events;
use crate::sessions::Sessions;

/// A notification and its way.
pub(super) struct News {
    to: Arc<Sessions>,
    items: Vec<Item>,
    hub: HostName,
    sink: Events,
    events: Vec<HubEvent>,
}

enum Item {
    /// May not connect any more.
    ShutOut(DeviceId),
    /// Has other desired properties.
    Desired(DeviceId, Bytes),
}

impl News {
    pub(super) fn of(
        changes: &[Change],
        to: &Arc<Sessions>,
        (hub, sink, events): (HostName, Events, Vec<HubEvent>),
    ) -> Self {
        Self {
            to: Arc::clone(to),
            items: changes.iter().filter_map(Item::of).collect(),
            hub,
            sink,
            events,
        }
    }

    /// Notifies of `self.to`. A change that could not be stored is notified only if it takes effect all the same.
    pub(super) fn tell(&self, stored: bool) {
        if stored {
            self.emit();
        }
        for item in &self.items {
            match item {
                // Stored or not, the registry has changed.
                Item::ShutOut(device) => self.to.shut_out(device),
                Item::Desired(device, patch) if stored => self.to.desired(device, patch),
                Item::Desired(..) => {}
            }
        }
    }
}

impl News {
    /// Sends the notifications of changes that could not be stored at first, and are now.
    pub(super) fn tell_late(&self) {
        self.emit();
        for item in &self.items {
            if let Item::Desired(device, patch) = item {
                self.to.desired(device, patch);
            }
        }
    }
}

impl News {
    fn emit(&self) {
        for event in &self.events {
            self.sink.emit(Some(&self.hub), event.clone());
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
