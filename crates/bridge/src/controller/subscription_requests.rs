//! Creating and removing subscriptions for callers.

use drawspan_fleet::State;
use drawspan_hub::{ConnectionStatus, DeviceId, Links, SubscriptionType, UtcTime};

use super::Controller;
use super::action::Action;
use super::input::Then;
use super::platform::Platform;
use super::response::{RequestError, Response};
use crate::subscriptions::{Prefix, Row, Scope, Subscription, SubscriptionStatus};

/// A subscription with its status, where it has one.
type Shown<C> = (Subscription<C>, Option<SubscriptionStatus>);

impl<P: Platform> Controller<P> {
    pub(super) fn subscribe(
        &mut self,
        scope: &Scope,
        kind: SubscriptionType,
        (callback, keep_connected, limited): (P::Callback, bool, bool),
        caller: P::Caller,
    ) {
        if let Err(error) = self.check_room(scope, kind) {
            return self.fail(caller, error);
        }
        let now = self.now.monotonic;
        let row = Row {
            callback,
            // The time as it is stored: to the millisecond.
            created_at: UtcTime::from_unix_ms(self.wall_clock.at(now).unix_ms()),
            keep_connected,
            imported: false,
            limited,
        };
        let begins = match scope {
            Scope::Device(device) => self.table.of(device, kind).is_none(),
            Scope::Fleet(_) => false,
        };
        if self.table.put(scope, kind, row.clone()).is_err() {
            return self.fail(caller, RequestError::QueueFull);
        }
        if let Scope::Device(device) = scope {
            self.outbox.redirect(device, kind, &row.callback, now);
        }
        self.subscriptions_changed(scope, kind);
        if let Scope::Device(device) = scope
            && begins
            && kind == SubscriptionType::DesiredProperties
        {
            self.desired_begun(device);
        }
        if kind == SubscriptionType::DesiredProperties {
            self.desired_subscribed_again(scope);
        }
        let then = Then::Subscribed(kind, row.clone(), caller);
        let write = self.store.write(scope, kind, Some(row), then);
        self.act(write);
    }

    pub(super) fn unsubscribe(&mut self, scope: &Scope, kind: SubscriptionType, caller: P::Caller) {
        self.take_away(scope, kind);
        // Also one that is not there: the store may have it.
        let then = Then::Removed(Some(caller));
        let write = self.store.write(scope, kind, None, then);
        self.act(write);
    }

    fn take_away(&mut self, scope: &Scope, kind: SubscriptionType) {
        if !self.table.remove(scope, kind) {
            return;
        }
        if let Scope::Device(device) = scope {
            match self.table.of(device, kind) {
                Some(row) => {
                    let now = self.now.monotonic;
                    self.outbox.redirect(device, kind, &row.callback, now);
                }
                None => self.outbox.withdraw(device, kind),
            }
        }
        self.subscriptions_changed(scope, kind);
    }

    /// A change is written, or is not.
    pub(super) fn written(
        &mut self,
        scope: &Scope,
        result: Result<(), Option<P::StoreFault>>,
        then: Then<P>,
    ) {
        if self.store.written(scope, result.is_ok()) {
            self.act(Action::ReadRows(scope.clone()));
        }
        let (caller, answer) = match then {
            Then::Subscribed(kind, row, caller) => {
                let (subscription, status) = self.shown(scope, kind, &row);
                (Some(caller), Response::Subscribed(subscription, status))
            }
            Then::Removed(caller) => (caller, Response::Done),
        };
        let Some(caller) = caller else { return };
        match result {
            Ok(()) => self.answer(caller, answer),
            Err(fault) => self.fail(caller, RequestError::NotStored(fault)),
        }
    }

    /// Stored subscriptions were read: they take effect, unless they were changed meanwhile.
    pub(super) fn rows_read(
        &mut self,
        scope: &Scope,
        rows: Option<Vec<(SubscriptionType, Row<P::Callback>)>>,
    ) {
        let (counts, again) = self.store.read(scope, rows.is_some());
        if again {
            self.act(Action::ReadRows(scope.clone()));
        }
        // A row under another spelling of a known device was left by an earlier version.
        let is_other = matches!(scope, Scope::Device(device) if self.called(device) != *device);
        if !counts || is_other {
            return;
        }
        let mut rows = rows.unwrap_or_default();
        for kind in SubscriptionType::ALL {
            let stored = rows.iter().position(|(of, _)| *of == kind);
            match stored.map(|place| rows.swap_remove(place)) {
                Some((_, row)) if self.table.get(scope, kind) == Some(&row) => {}
                Some((_, row)) => {
                    if let Scope::Device(device) = scope {
                        let now = self.now.monotonic;
                        self.outbox.redirect(device, kind, &row.callback, now);
                    }
                    if self.table.put(scope, kind, row).is_ok() {
                        self.subscriptions_changed(scope, kind);
                    }
                }
                None => self.take_away(scope, kind),
            }
        }
    }

    /// The one of this scope and kind.
    #[must_use]
    pub fn subscribed(&self, scope: &Scope, kind: SubscriptionType) -> Option<Shown<P::Callback>> {
        let row = self.table.get(scope, kind)?;
        Some(self.shown(scope, kind, row))
    }

    fn shown(
        &self,
        scope: &Scope,
        kind: SubscriptionType,
        row: &Row<P::Callback>,
    ) -> Shown<P::Callback> {
        let status = match scope {
            Scope::Device(device) if kind.needs_connection() => Some(self.progress(device, kind)),
            _ => None,
        };
        (row.subscription(scope.clone(), kind), status)
    }

    fn check_room(
        &mut self,
        scope: &Scope,
        kind: SubscriptionType,
    ) -> Result<(), RequestError<P::StoreFault>> {
        let Scope::Device(device) = scope else {
            return Ok(());
        };
        let is_new = self.table.kinds(device).is_empty();
        if is_new && self.table.devices() >= self.fleet.max_devices() {
            return Err(RequestError::QueueFull);
        }
        if kind.needs_connection() {
            let index = self.index_of(device).map_err(RequestError::Refused)?;
            if let Some(context) = self.fleet.context_mut(index) {
                context.removed = false;
            }
        }
        Ok(())
    }

    fn subscriptions_changed(&mut self, scope: &Scope, kind: SubscriptionType) {
        match scope {
            // One that needs no connection makes the device known, so that subscriptions of the fleet are for it as well.
            Scope::Device(device) => self.reconcile_id(device, kind.needs_connection()),
            Scope::Fleet(_) if !kind.needs_connection() => {}
            // Some of its devices may be called otherwise here.
            Scope::Fleet(_) if self.table.has_assigned() => self.sweep(Prefix::default()),
            Scope::Fleet(prefix) => self.sweep(prefix.clone()),
        }
    }

    /// How far a subscription has come, in the words of the original.
    fn progress(&self, device: &DeviceId, kind: SubscriptionType) -> SubscriptionStatus {
        let index = self.fleet.find(device);
        let machine = index.and_then(|index| self.fleet.machine(index));
        let Some(machine) = machine else {
            return SubscriptionStatus::Starting;
        };
        let context = index.and_then(|index| self.fleet.context(index));
        let up = context.map_or(Links::default(), |context| context.up);
        let refused = context.and_then(|context| context.refused.as_ref());
        let refused = refused.map_or(Links::default(), |refused| refused.links);
        let status = machine.status().map(|(status, _)| status);
        match status {
            Some(ConnectionStatus::Connected) if has(up, kind) => SubscriptionStatus::Running,
            // The hub does not let the device have it; that is looked at again from time to time.
            Some(ConnectionStatus::Connected) if has(refused, kind) => SubscriptionStatus::Stopped,
            Some(ConnectionStatus::Disconnected) => SubscriptionStatus::Stopped,
            // The word is still that of the time when nothing wanted it.
            Some(ConnectionStatus::Disabled) if !is_on_its_way(machine.state()) => {
                SubscriptionStatus::Stopped
            }
            _ => SubscriptionStatus::Starting,
        }
    }
}

const fn has(links: Links, kind: SubscriptionType) -> bool {
    match kind {
        SubscriptionType::DesiredProperties => links.desired,
        SubscriptionType::Methods => links.methods,
        SubscriptionType::C2dMessages => links.c2d,
        SubscriptionType::ConnectionStatus => true,
    }
}

const fn is_on_its_way(state: State) -> bool {
    matches!(
        state,
        State::Queued | State::Provisioning | State::Connecting | State::Closing
    )
}
