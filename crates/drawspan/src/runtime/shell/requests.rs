//! What callers ask for.

use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, DeviceId, Failure, FailureKind};

use super::Shell;
use crate::devices::Scope;
use crate::limits;
use crate::runtime::beside::{Refusal, Waiter};
use crate::runtime::records::Then;
use crate::runtime::request::{Reply, Request};

impl Shell {
    pub(in crate::runtime) fn request(&mut self, request: Request) {
        // Whoever asked may have given up; nothing is owed then.
        match self.spelt(request) {
            Request::Connect { device, waiter } => self.connect(&device, waiter),
            Request::Register(registration) => self.register(registration),
            Request::Resync(device) => self.resync(&device),
            Request::Status { device, reply } => {
                let _ = reply.send(self.status_of(&device));
            }
            Request::Delay { device, reply } => {
                let _ = reply.send(self.delay_of(&device));
            }
            Request::Diagnose { device, reply } => {
                let _ = reply.send(self.diagnose(&device));
            }
            Request::Forget { device, reply } => {
                self.forget(&device, reply);
            }
            Request::Subscribe { subscribe, reply } => self.subscribe(subscribe, reply),
            Request::Subscription { scope, kind, reply } => {
                let _ = reply.send(Ok(self.subscribed(&scope, kind)));
            }
            Request::Unsubscribe { scope, kind, reply } => self.unsubscribe(&scope, kind, reply),
            Request::Receive {
                device,
                patience,
                reply,
            } => self.receive(&device, patience, reply),
            Request::Settle {
                device,
                token,
                outcome,
                reply,
            } => self.settle(&device, &token, outcome, reply),
            Request::List { query, reply } => {
                let _ = reply.send(Ok(self.list(&query)));
            }
            Request::Replay { letter, reply } => {
                let _ = reply.send(self.replay(&letter));
            }
            Request::Names { device, reply } => {
                let _ = reply.send(self.names(&device));
            }
            Request::RenameAsAssigned { device, reply } => {
                self.rename_as_assigned(&device);
                let _ = reply.send(());
            }
            Request::Relist { reply } => {
                let _ = reply.send(self.relist());
            }
            Request::Measure { reply } => {
                let _ = reply.send(self.figures());
            }
            Request::FleetSubscriptions { reply } => {
                let _ = reply.send(Ok(self.table.all_of_fleet()));
            }
        }
        self.act();
    }

    /// A caller wants a route to a device.
    fn connect(&mut self, id: &DeviceId, waiter: Waiter) {
        let index = match self.index_of(id) {
            Ok(index) => index,
            Err(failure) => {
                let _ = waiter.reply.send(Err(failure.into()));
                return;
            }
        };
        if let Some(beside) = self.fleet.beside_mut(index) {
            beside.removed = false;
            beside.waiters.retain(|waiter| !waiter.reply.is_closed());
            if beside.waiters.len() >= limits::WAITERS_PER_DEVICE {
                let text = "too many requests wait for this device already";
                let failure = Failure::local(FailureKind::QueueFull, text);
                let _ = waiter.reply.send(Err(failure.into()));
                return;
            }
            beside.waiters.push(waiter);
        }
        let now = self.now();
        self.fleet.used(index, now.monotonic, now);
        if let Some(beside) = self.fleet.beside_mut(index) {
            beside.answer_waiters();
        }
        self.refuse_hopeless(index);
    }

    fn resync(&mut self, id: &DeviceId) {
        let now = self.now();
        self.records.doubt(id);
        if let Some(index) = self.fleet.find(id) {
            self.fleet.resync(index, now);
        }
    }

    pub(super) fn status_of(
        &self,
        id: &DeviceId,
    ) -> Option<(ConnectionStatus, ConnectionStatusReason)> {
        const AT_REST: (ConnectionStatus, ConnectionStatusReason) = (
            ConnectionStatus::Disabled,
            ConnectionStatusReason::ClientClose,
        );
        let known = self.fleet.find(id);
        let machine = known.and_then(|index| self.fleet.machine(index));
        let cached = || self.parts.cache.get(id).map(|_| AT_REST);
        machine.and_then(|machine| machine.status()).or_else(cached)
    }

    /// Its subscriptions go, too; its row in the store's cache is the caller's to delete.
    fn forget(&mut self, id: &DeviceId, reply: Reply<()>) {
        let now = self.now();
        self.parts.cache.forget(id);
        self.spellings.forget(id);
        self.table.note_assigned(id, None);
        self.versions.remove(id);
        self.remove_all(id, reply);
        if let Some(index) = self.fleet.find(id) {
            if let Some(beside) = self.fleet.beside_mut(index) {
                let text = "the device was removed";
                let removed = Refusal::from(Failure::local(FailureKind::DeviceNotFound, text));
                beside.refuse_waiters(|_| Some(removed.clone()));
                beside.removed = true;
            }
            self.fleet.release(index, now);
        }
    }

    fn remove_all(&mut self, id: &DeviceId, reply: Reply<()>) {
        let scope = Scope::Device(id.clone());
        let mut kinds = self.table.kinds(id);
        let last = kinds.pop();
        for kind in kinds {
            self.table.remove(&scope, kind);
            self.webhooks.withdraw(id, kind);
            self.records.remove(&scope, kind, Then::Removed(None));
        }
        let Some(last) = last else {
            let _ = reply.send(Ok(()));
            return;
        };
        self.table.remove(&scope, last);
        self.webhooks.withdraw(id, last);
        let then = Then::Removed(Some(reply));
        if let Some(then) = self.records.remove(&scope, last, then) {
            self.tell(&scope, then, Ok(()));
        }
    }
}
