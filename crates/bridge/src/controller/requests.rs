//! Requests of callers.

use drawspan_hub::{DeviceId, Failure, FailureKind};

use super::context::Waiter;
use super::input::{Request, Then};
use super::platform::{Caller as _, Platform};
use super::response::{Refusal, Response};
use super::{Action, Controller};
use crate::limits::WAITERS_PER_DEVICE;
use crate::subscriptions::Scope;

impl<P: Platform> Controller<P> {
    pub(super) fn request(&mut self, request: Request<P>) {
        match self.spelt(request) {
            Request::Connect { device, waiter } => self.connect(&device, waiter),
            Request::Register {
                device,
                who,
                payload,
                deadline,
                caller,
            } => self.register(device, (who, payload, deadline), caller),
            Request::Resync(device) => self.resync(&device),
            Request::Forget { device, caller } => self.forget(&device, caller),
            Request::Subscribe {
                scope,
                kind,
                callback,
                keep_connected,
                limited,
                caller,
            } => self.subscribe(&scope, kind, (callback, keep_connected, limited), caller),
            Request::Unsubscribe {
                scope,
                kind,
                caller,
            } => self.unsubscribe(&scope, kind, caller),
            Request::Receive {
                device,
                patience,
                caller,
            } => self.receive(&device, patience, caller),
            Request::Settle {
                device,
                token,
                outcome,
                caller,
            } => self.settle(&device, &token, outcome, caller),
            Request::Replay { letter, caller } => self.replay(letter, caller),
            Request::RenameAsAssigned { device, caller } => {
                self.rename_as_assigned(&device);
                self.answer(caller, Response::Done);
            }
            Request::Relist(caller) => {
                let relisted = self.relist();
                self.answer(caller, Response::Relisted(relisted));
            }
        }
    }

    /// A caller wants a route to a device.
    fn connect(&mut self, id: &DeviceId, waiter: Waiter<P>) {
        let who = waiter.who;
        let index = match self.index_of(id) {
            Ok(index) => index,
            Err(failure) => {
                return self.answer(waiter.caller, Response::NotConnected(failure.into()));
            }
        };
        if let Some(context) = self.fleet.context_mut(index) {
            context.removed = false;
            context.waiters.retain(|waiter| !waiter.caller.is_gone());
            if context.waiters.len() >= WAITERS_PER_DEVICE {
                let text = "too many requests wait for this device already";
                let failure = Failure::local(FailureKind::QueueFull, text);
                return self.answer(waiter.caller, Response::NotConnected(failure.into()));
            }
            context.waiters.push(waiter);
        }
        let now = self.now;
        self.fleet.used(index, who, now.monotonic, now);
        self.serve_waiters(index);
        self.refuse_hopeless(index);
    }

    /// Gives the route of a device that is connected to those who wait for it.
    fn serve_waiters(&mut self, index: u32) {
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        let Some(route) = context.route.clone() else {
            return;
        };
        for caller in context.take_served(&route) {
            self.answer(caller, Response::Connected(route.clone()));
        }
    }

    fn resync(&mut self, id: &DeviceId) {
        if self.store.doubt(id) {
            self.act(Action::ReadRows(Scope::Device(id.clone())));
        }
        if let Some(index) = self.fleet.find(id) {
            self.fleet.resync(index, self.now);
            self.desired_again(index);
        }
    }

    /// Its subscriptions go, too; its row in the stored hub cache is the caller's to delete.
    fn forget(&mut self, id: &DeviceId, caller: P::Caller) {
        self.cache.forget(id);
        self.spellings.forget(id);
        self.table.note_assigned(id, None);
        self.desired_unsubscribed(id);
        self.remove_all(id, caller);
        let Some(index) = self.fleet.find(id) else {
            return;
        };
        let text = "the device was removed";
        let removed = Refusal::from(Failure::local(FailureKind::DeviceNotFound, text));
        self.refuse_waiters(index, &removed);
        if let Some(context) = self.fleet.context_mut(index) {
            context.removed = true;
        }
        self.fleet.release(index, self.now);
    }

    fn remove_all(&mut self, id: &DeviceId, caller: P::Caller) {
        let scope = Scope::Device(id.clone());
        let mut kinds = self.table.kinds(id);
        let Some(last) = kinds.pop() else {
            return self.answer(caller, Response::Done);
        };
        for kind in kinds {
            self.table.remove(&scope, kind);
            self.outbox.withdraw(id, kind);
            let write = self.store.write(&scope, kind, None, Then::Removed(None));
            self.act(write);
        }
        self.table.remove(&scope, last);
        self.outbox.withdraw(id, last);
        let then = Then::Removed(Some(caller));
        let write = self.store.write(&scope, last, None, then);
        self.act(write);
    }
}
