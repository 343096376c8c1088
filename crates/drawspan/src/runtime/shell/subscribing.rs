//! Subscriptions that callers make, replace, ask for and remove.

use drawspan_bridge::State;
use drawspan_hub::{ConnectionStatus, DeviceId, Links, SubscriptionType, UtcTime};
use drawspan_store::{StoreError, StoreFault};

use super::Shell;
use crate::devices::{DeviceError, Prefix, Scope, Subscribe, Subscribed, SubscriptionStatus};
use crate::limits::MAX_DEVICES;
use crate::log_limit::{Leave, STORE_FAILURES};
use crate::runtime::handle::QUEUE_FULL;
use crate::runtime::records::Then;
use crate::runtime::request::Reply;
use crate::runtime::table::Row;

impl Shell {
    /// Memory and the order of what is written change in the same step, so that they agree.
    pub(super) fn subscribe(&mut self, subscribe: Subscribe, reply: Reply<Subscribed>) {
        let Subscribe {
            scope,
            kind,
            callback,
            keep_connected,
            limited,
        } = subscribe;
        if let Err(error) = self.check_room(&scope, kind) {
            let _ = reply.send(Err(error));
            return;
        }
        let row = Row {
            callback,
            // As it is stored: to the millisecond.
            created_at: UtcTime::from_unix_ms(self.calendar.at(self.parts.clock.now()).unix_ms()),
            keep_connected,
            imported: false,
            limited,
        };
        if self.table.put(&scope, kind, row.clone()).is_err() {
            let _ = reply.send(Err(QUEUE_FULL));
            return;
        }
        if let Scope::Device(device) = &scope {
            self.webhooks.redirect(device, kind, &row.callback);
        }
        self.subscriptions_changed(&scope, kind);
        let then = Then::Subscribed(kind, row.clone(), reply);
        if let Some(then) = self.records.put(&scope, kind, &row, then) {
            self.tell(&scope, then, Ok(()));
        }
    }

    pub(super) fn unsubscribe(&mut self, scope: &Scope, kind: SubscriptionType, reply: Reply<()>) {
        self.take_away(scope, kind);
        // Also one that is not there: the store may have it.
        let then = Then::Removed(Some(reply));
        if let Some(then) = self.records.remove(scope, kind, then) {
            self.tell(scope, then, Ok(()));
        }
    }

    fn take_away(&mut self, scope: &Scope, kind: SubscriptionType) {
        if !self.table.remove(scope, kind) {
            return;
        }
        if let Scope::Device(device) = scope {
            match self.table.of(device, kind) {
                Some(row) => self.webhooks.redirect(device, kind, &row.callback),
                None => self.webhooks.withdraw(device, kind),
            }
        }
        self.subscriptions_changed(scope, kind);
    }

    /// A change is written, or is not.
    pub(super) fn written(&mut self, scope: &Scope, result: Result<(), StoreError>, then: Then) {
        if let Err(error) = &result
            && let Some(Leave { left_out }) = STORE_FAILURES.pass("change")
        {
            tracing::error!(%error, left_out, "a change of a subscription could not be stored");
        }
        self.records.written(scope, result.is_ok());
        self.tell(scope, then, result.map_err(|error| error.fault()));
    }

    /// Tells a caller what came of its change.
    pub(super) fn tell(&self, scope: &Scope, then: Then, written: Result<(), Option<StoreFault>>) {
        // Whoever asked may have given up; nothing is owed then.
        match then {
            Then::Subscribed(kind, row, reply) => {
                let written = written.map(|()| self.shown(scope, kind, &row));
                let _ = reply.send(written.map_err(DeviceError::NotStored));
            }
            Then::Removed(None) => {}
            Then::Removed(Some(reply)) => {
                let _ = reply.send(written.map_err(DeviceError::NotStored));
            }
        }
    }

    /// What is stored was read: it counts, unless something was changed meanwhile.
    pub(super) fn rows_read(
        &mut self,
        scope: &Scope,
        rows: Result<Vec<(SubscriptionType, Row)>, StoreError>,
    ) {
        let rows = rows.map_err(|error| {
            if let Some(Leave { left_out }) = STORE_FAILURES.pass("subscriptions") {
                tracing::error!(%error, left_out, "stored subscriptions could not be read");
            }
        });
        if !self.records.read(scope, rows.is_ok()) {
            return;
        }
        if matches!(scope, Scope::Device(device) if self.called(device) != *device) {
            // A row under another spelling of a known device, left by an earlier version.
            return;
        }
        let mut rows = rows.unwrap_or_default();
        for kind in SubscriptionType::ALL {
            let stored = rows.iter().position(|(of, _)| *of == kind);
            match stored.map(|place| rows.swap_remove(place)) {
                Some((_, row)) if self.table.get(scope, kind) == Some(&row) => {}
                Some((_, row)) => {
                    if let Scope::Device(device) = scope {
                        self.webhooks.redirect(device, kind, &row.callback);
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
    pub(super) fn subscribed(&self, scope: &Scope, kind: SubscriptionType) -> Option<Subscribed> {
        let row = self.table.get(scope, kind)?;
        Some(self.shown(scope, kind, row))
    }

    fn shown(&self, scope: &Scope, kind: SubscriptionType, row: &Row) -> Subscribed {
        let status = match scope {
            Scope::Device(device) if kind.needs_connection() => Some(self.progress(device, kind)),
            _ => None,
        };
        (row.subscription(scope.clone(), kind), status)
    }

    fn check_room(&mut self, scope: &Scope, kind: SubscriptionType) -> Result<(), DeviceError> {
        let Scope::Device(device) = scope else {
            return Ok(());
        };
        if self.table.kinds(device).is_empty() && self.table.devices() >= MAX_DEVICES {
            return Err(QUEUE_FULL);
        }
        if kind.needs_connection() {
            let index = self.index_of(device).map_err(DeviceError::Refused)?;
            if let Some(beside) = self.fleet.beside_mut(index) {
                beside.removed = false;
            }
        }
        Ok(())
    }

    fn subscriptions_changed(&mut self, scope: &Scope, kind: SubscriptionType) {
        if !kind.needs_connection() {
            return;
        }
        match scope {
            Scope::Device(device) => self.reconcile_id(device, true),
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
        let beside = index.and_then(|index| self.fleet.beside(index));
        let up = beside.map_or(Links::default(), |beside| beside.up);
        let refused = beside.and_then(|beside| beside.refused.as_ref());
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
