//! Which connection holds which device, and by which links. A device is on one connection at a time: a newer one takes all
//! its links over, and a newer link of a kind takes the place of the older one (409002 LinkCreationConflict in the hub's
//! logs).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use drawspan_amqp::engine::LinkId;
use drawspan_hub::{DeviceId, HostName};

use super::signals::{Notice, Push, Signals};
use crate::hub::Hub;
use crate::reach::MethodCall;

/// The kinds of links that a device has, named by what goes over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum DeviceLink {
    /// Telemetry to the hub.
    Telemetry,
    /// Method calls to the device.
    MethodCalls,
    /// Their answers to the hub.
    MethodAnswers,
    /// Messages to the device.
    Messages,
    /// Requests about the twin to the hub.
    TwinRequests,
    /// Their answers to the device, and what it wants to know of its desired properties.
    TwinAnswers,
}

/// The holders of all devices of all hubs.
#[derive(Debug, Default)]
pub(super) struct Presences {
    holders: Mutex<HashMap<(HostName, DeviceId), Holder>>,
}

#[derive(Debug)]
struct Holder {
    signals: Arc<Signals>,
    /// At most one of a kind.
    links: Vec<(DeviceLink, LinkId)>,
}

/// A link that comes or goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) device: &'a DeviceId,
    pub(super) kind: DeviceLink,
    pub(super) link: LinkId,
    /// The connection that it is on.
    pub(super) signals: &'a Arc<Signals>,
}

impl Presences {
    /// A device's link is attached; a connection that held the device before loses it, and so does a link of that kind.
    pub(super) fn enter(&self, hub: &Hub, at: At<'_>) {
        let key = (hub.host().clone(), at.device.clone());
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let holder = holders
            .entry(key)
            .or_insert_with(|| Holder::new(at.signals));
        let before = if Arc::ptr_eq(&holder.signals, at.signals) {
            holder.take(at.kind)
        } else {
            let before = std::mem::replace(holder, Holder::new(at.signals));
            before.tell_taken();
            None
        };
        holder.links.push((at.kind, at.link));
        let takes_calls = holder.takes_calls().is_some();
        // Still under the lock: the registry hears of comings and goings in their order.
        hub.set_connected(at.device, true);
        drop(holders);
        if let Some(before) = before {
            at.signals.notify(Notice::DeviceTaken(before));
        }
        if takes_calls {
            hub.takes_calls();
        }
    }

    /// A device's link is gone. Does nothing when another link has taken its place.
    pub(super) fn leave(&self, hub: &Hub, at: At<'_>) {
        let key = (hub.host().clone(), at.device.clone());
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(holder) = holders.get_mut(&key) else {
            return;
        };
        if Arc::ptr_eq(&holder.signals, at.signals) {
            holder.links.retain(|held| *held != (at.kind, at.link));
            if holder.links.is_empty() {
                holders.remove(&key);
                hub.set_connected(at.device, false);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.holders.lock().unwrap().is_empty()
    }

    /// A device was disabled or deleted: its links, if there are any, are to be looked at.
    pub(super) fn changed(&self, host: &HostName, device: &DeviceId) {
        self.with(host, device, |holder| {
            for (_, link) in &holder.links {
                holder.signals.notify(Notice::DeviceChanged(*link));
            }
        });
    }

    /// There is a message for the device, whose link is told if there is one.
    pub(super) fn message_waits(&self, host: &HostName, device: &DeviceId) {
        self.with(host, device, |holder| {
            if let Some(link) = holder.link(DeviceLink::Messages) {
                holder.signals.notify(Notice::Waiting(link));
            }
        });
    }

    /// Hands a method call to the connection of a device that takes calls.
    pub(super) fn call(
        &self,
        host: &HostName,
        device: &DeviceId,
        call: MethodCall,
    ) -> Result<(), MethodCall> {
        let found = self.with(host, device, |holder| {
            Some((Arc::clone(&holder.signals), holder.takes_calls()?))
        });
        match found.flatten() {
            Some((signals, link)) => {
                signals.push(Push::Call { link, call });
                Ok(())
            }
            None => Err(call),
        }
    }

    /// Hands news of desired properties to the connection of a device.
    pub(super) fn desired(&self, host: &HostName, device: &DeviceId, patch: &Bytes) {
        let found = self.with(host, device, |holder| {
            let link = holder.link(DeviceLink::TwinAnswers)?;
            Some((Arc::clone(&holder.signals), link))
        });
        if let Some((signals, link)) = found.flatten() {
            let patch = patch.clone();
            signals.push(Push::Desired { link, patch });
        }
    }

    fn with<T>(
        &self,
        host: &HostName,
        device: &DeviceId,
        look: impl FnOnce(&Holder) -> T,
    ) -> Option<T> {
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.get(&(host.clone(), device.clone())).map(look)
    }
}

impl Holder {
    fn new(signals: &Arc<Signals>) -> Self {
        Self {
            signals: Arc::clone(signals),
            links: Vec::with_capacity(1),
        }
    }

    fn link(&self, kind: DeviceLink) -> Option<LinkId> {
        let found = self.links.iter().find(|(of, _)| *of == kind);
        found.map(|(_, link)| *link)
    }

    fn take(&mut self, kind: DeviceLink) -> Option<LinkId> {
        let at = self.links.iter().position(|(of, _)| *of == kind)?;
        Some(self.links.swap_remove(at).1)
    }

    /// Where calls go, if their answers have a way back.
    fn takes_calls(&self) -> Option<LinkId> {
        self.link(DeviceLink::MethodAnswers)?;
        self.link(DeviceLink::MethodCalls)
    }

    fn tell_taken(&self) {
        for (_, link) in &self.links {
            self.signals.notify(Notice::DeviceTaken(*link));
        }
    }
}
