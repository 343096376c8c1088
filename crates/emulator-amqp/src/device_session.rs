//! A session over AMQP of a device or a module: the links that it has on one connection. A newer link of a kind takes the place of the
//! older one (409002 LinkCreationConflict in the hub's logs).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use drawspan_amqp::engine::LinkId;
use drawspan_emulator_hub::sessions::{DeviceSession, MethodCall};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::Protocol;

use super::signals::{Notice, Push, Signals};

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

/// The device or module that a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) client: ClientId,
    /// Generation id, which distinguishes clients that had this name.
    pub(super) generation_id: Arc<str>,
}

/// The links of one device or module on one connection.
#[derive(Debug)]
pub(super) struct AmqpSession {
    signals: Arc<Signals>,
    protocol: Protocol,
    /// At most one of a kind. Empty once the device has another session.
    links: Mutex<Vec<(DeviceLink, LinkId)>>,
}

impl AmqpSession {
    /// Without links, on the connection of `signals`.
    pub(super) fn new(signals: &Arc<Signals>, protocol: Protocol) -> Self {
        Self {
            signals: Arc::clone(signals),
            protocol,
            links: Mutex::new(Vec::with_capacity(1)),
        }
    }

    /// Adds a link. The one of its kind that was there before has to go.
    pub(super) fn add(&self, kind: DeviceLink, link: LinkId) {
        let mut links = self.links();
        let before = links.iter().position(|(of, _)| *of == kind);
        let before = before.map(|at| links.swap_remove(at).1);
        links.push((kind, link));
        drop(links);
        if let Some(before) = before {
            self.signals.notify(Notice::DeviceTaken(before));
        }
    }

    /// Removes a link, unless another one has taken its place. Says whether no link is left.
    pub(super) fn remove(&self, kind: DeviceLink, link: LinkId) -> bool {
        let mut links = self.links();
        links.retain(|held| *held != (kind, link));
        links.is_empty()
    }

    /// It is over for the hub, though its links are not gone yet.
    pub(super) fn end(&self) {
        self.links().clear();
    }

    /// Whether it has no link.
    pub(super) fn is_empty(&self) -> bool {
        self.links().is_empty()
    }

    fn link(&self, kind: DeviceLink) -> Option<LinkId> {
        let links = self.links();
        let found = links.iter().find(|(of, _)| *of == kind);
        found.map(|(_, link)| *link)
    }

    /// The link for calls, if there is one for their answers.
    fn calls(&self) -> Option<LinkId> {
        self.link(DeviceLink::MethodAnswers)?;
        self.link(DeviceLink::MethodCalls)
    }

    fn links(&self) -> MutexGuard<'_, Vec<(DeviceLink, LinkId)>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceSession for AmqpSession {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn connection(&self) -> u64 {
        self.signals.connection()
    }

    fn replaced(&self) {
        for (_, link) in std::mem::take(&mut *self.links()) {
            self.signals.notify(Notice::DeviceTaken(link));
        }
    }

    fn identity_changed(&self) {
        for (_, link) in &*self.links() {
            self.signals.notify(Notice::DeviceChanged(*link));
        }
    }

    fn message_waits(&self) {
        if let Some(link) = self.link(DeviceLink::Messages) {
            self.signals.notify(Notice::Waiting(link));
        }
    }

    fn desired(&self, patch: &Bytes) {
        if let Some(link) = self.link(DeviceLink::TwinAnswers) {
            let patch = patch.clone();
            self.signals.push(Push::Desired { link, patch });
        }
    }

    fn takes_calls(&self) -> bool {
        self.calls().is_some()
    }

    fn call(&self, call: MethodCall) -> Result<(), MethodCall> {
        match self.calls() {
            Some(link) => {
                self.signals.push(Push::Call { link, call });
                Ok(())
            }
            None => Err(call),
        }
    }
}
