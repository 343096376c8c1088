//! Effects of registry changes on connected devices, and on observers of the hub.

use std::sync::Arc;

use bytes::Bytes;
use drawspan_hub::HostName;
use drawspan_hub_model::client_id::ClientId;
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
    /// May not connect any more, nor may the modules of a device.
    ShutOut(ClientId),
    /// Has other desired properties.
    Desired(ClientId, Bytes),
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
                Item::ShutOut(client) => self.to.shut_out(client),
                Item::Desired(client, patch) if stored => self.to.desired(client, patch),
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
            if let Item::Desired(client, patch) = item {
                self.to.desired(client, patch);
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
            Change::Delete(id) => Some(Self::ShutOut(id.into())),
            Change::DeleteModule(device, id) => {
                Some(Self::ShutOut(ClientId::of_module(device, id)))
            }
            Change::Put(device) => {
                let is_disabled = device.status == DeviceStatus::Disabled;
                is_disabled.then(|| Self::ShutOut(ClientId::from(&device.id)))
            }
            Change::PutModule(_) => None,
            Change::Twin {
                client, desired, ..
            } => {
                let patch = desired.clone()?;
                Some(Self::Desired(client.clone(), patch))
            }
        }
    }
}
