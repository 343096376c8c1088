//! Subscriptions that callers make, replace, ask for and remove.

use drawspan_bridge::State;
use drawspan_client::Links;
use drawspan_hub::{ConnectionStatus, DeviceId, SubscriptionType};

use super::Shell;
use crate::devices::{DeviceError, Scope, Subscribe, Subscribed, SubscriptionStatus};
use crate::limits::MAX_DEVICES;
use crate::runtime::handle::QUEUE_FULL;
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
        } = subscribe;
        if let Err(error) = self.check_room(&scope, kind) {
            let _ = reply.send(Err(error));
            return;
        }
        let row = Row {
            callback,
            created_at: self.calendar.at(self.now().monotonic),
            keep_connected,
            imported: false,
        };
        if self.table.put(&scope, kind, row.clone()).is_err() {
            let _ = reply.send(Err(QUEUE_FULL));
            return;
        }
        if let Scope::Device(device) = &scope {
            self.webhooks.redirect(device, kind, &row.callback);
        }
        self.subscriptions_changed(&scope, kind);
        let _ = reply.send(self.subscribed(&scope, kind).ok_or(DeviceError::NotReady));
    }

    pub(super) fn unsubscribe(&mut self, scope: &Scope, kind: SubscriptionType, reply: Reply<()>) {
        if self.table.remove(scope, kind) {
            if let Scope::Device(device) = scope {
                match self.table.of(device, kind) {
                    Some(row) => self.webhooks.redirect(device, kind, &row.callback),
                    None => self.webhooks.withdraw(device, kind),
                }
            }
            self.subscriptions_changed(scope, kind);
        }
        let _ = reply.send(Ok(()));
    }

    /// The one of this scope and kind.
    pub(super) fn subscribed(&self, scope: &Scope, kind: SubscriptionType) -> Option<Subscribed> {
        let row = self.table.get(scope, kind)?;
        let status = match scope {
            Scope::Device(device) if kind.needs_connection() => Some(self.progress(device, kind)),
            _ => None,
        };
        Some((row.subscription(scope.clone(), kind), status))
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
