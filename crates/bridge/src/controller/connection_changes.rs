//! Changes of devices' connections with their causes: what is kept of them, and told.

use std::sync::Arc;
use std::time::Duration;

use drawspan_fleet::{ServiceId, State, Why};
use drawspan_hub::{
    AttemptId, ConnectionCause, ConnectionStatus, ConnectionStatusReason, DeviceId, Failure,
    HostName,
};

use super::Controller;
use super::action::Action;
use super::context::Noted;
use super::platform::Platform;
use crate::history::{Change, detail_of};
use crate::limits::HISTORY_CHANGES;

/// The public words of a connected device.
const CONNECTED: (ConnectionStatus, ConnectionStatusReason) = (
    ConnectionStatus::Connected,
    ConnectionStatusReason::ConnectionOk,
);

impl<P: Platform> Controller<P> {
    /// The last changes of a device's connection, the newest first. That it is connected is said although it may not be kept.
    #[must_use]
    pub fn history_of(&self, device: &DeviceId) -> Vec<Change> {
        let mut changes: Vec<Change> = self.history.of(device).cloned().collect();
        let newest = changes.first().map(|change| change.status);
        if newest != Some(ConnectionStatus::Connected) {
            changes.splice(0..0, self.connected_since(device));
            changes.truncate(HISTORY_CHANGES);
        }
        changes
    }

    /// The change by which a device was connected that is so now.
    fn connected_since(&self, device: &DeviceId) -> Option<Change> {
        let machine = self.fleet.machine(self.fleet.find(device)?)?;
        let State::Connected { since } = machine.state() else {
            return None;
        };
        let (status, reason) = CONNECTED;
        Some(Change {
            at: self.wall_clock.at(since),
            status,
            reason,
            cause: None,
            detail: machine.hub().map(|hub| hub.shared()),
            session: None,
        })
    }

    /// A device's public status changed, or the cause of it. `session`: how long the session lasted that ended by this.
    pub(super) fn connection_changed(
        &mut self,
        index: u32,
        device: &DeviceId,
        words: (ConnectionStatus, ConnectionStatusReason),
        why: Why,
        session: Option<Duration>,
    ) -> Change {
        // The device may be forgotten by now, and its index another's.
        let is_known = self.fleet.id(index) == Some(device);
        let detail = match why {
            Why::Act(act) => Some(act.text().into()),
            Why::Connected if is_known => {
                let hub = self.fleet.machine(index).and_then(|machine| machine.hub());
                hub.map(|hub| hub.shared())
            }
            Why::Failed(_) if is_known => {
                let context = self.fleet.context(index);
                let noted = context.and_then(|context| context.last_failure.as_ref());
                noted.map(|noted| Arc::clone(&noted.detail))
            }
            Why::Connected | Why::Failed(_) => None,
        };
        self.keep_change(device, words, why.cause(), detail, session)
    }

    /// A device's name at its hub, if DPS gave it another one.
    fn assigned_name(&self, device: &DeviceId) -> Option<DeviceId> {
        let context = self.fleet.find(device);
        let context = context.and_then(|index| self.fleet.context(index));
        match context {
            Some(context) => context.assigned.clone(),
            None => self.cache.get(device)?.assigned.clone(),
        }
    }

    fn keep_change(
        &mut self,
        device: &DeviceId,
        (status, reason): (ConnectionStatus, ConnectionStatusReason),
        cause: Option<ConnectionCause>,
        detail: Option<Arc<str>>,
        session: Option<Duration>,
    ) -> Change {
        let change = Change {
            at: self.wall_clock.at(self.now.monotonic),
            status,
            reason,
            cause,
            detail,
            session,
        };
        self.history.record(device, change.clone());
        self.act(Action::Changed {
            device: device.clone(),
            assigned: self.assigned_name(device),
            change: change.clone(),
        });
        change
    }

    /// A hub refuses the messages of a connected device, which stays connected: for its daily quota, or because they are too many. It is
    /// kept as a change once, until the device's connection changes.
    pub(super) fn messages_refused(&mut self, device: &DeviceId, serial: u32, failure: &Failure) {
        let device = &self.called(device);
        let Some(hub) = self.hub_of_session(device, serial) else {
            return;
        };
        let cause = drawspan_fleet::device::cause_of(failure, true);
        let newest = self.history.of(device).next();
        if newest.is_some_and(|newest| newest.cause == Some(cause)) {
            return;
        }
        let detail = detail_of(failure, Some(hub.as_str()));
        self.keep_change(device, CONNECTED, Some(cause), Some(detail), None);
    }

    /// A hub accepts the messages of a connected device again, which it refused because they were too many.
    pub(super) fn throttle_ended(&mut self, device: &DeviceId, serial: u32) {
        let device = &self.called(device);
        let Some(hub) = self.hub_of_session(device, serial) else {
            return;
        };
        let newest = self.history.of(device).next();
        if newest.is_some_and(|newest| is_refusal(newest, ConnectionCause::Throttled)) {
            self.keep_change(device, CONNECTED, None, Some(hub.shared()), None);
        }
    }

    /// The hub of a connected device, if `serial` is that of the attempt that connected it.
    fn hub_of_session(&self, device: &DeviceId, serial: u32) -> Option<HostName> {
        let index = self.fleet.find(device)?;
        let attempt = AttemptId {
            device: index,
            serial,
        };
        let machine = self.fleet.machine(index)?;
        let is_connected = matches!(machine.state(), State::Connected { .. });
        let hub = machine.hub()?;
        (is_connected && self.fleet.is_current(attempt)).then(|| hub.clone())
    }

    /// A hub takes messages again: its connected devices that were told of the quota are connected without a fault from now on.
    pub(super) fn messages_taken(&mut self, hub: ServiceId) {
        let Some(host) = self.fleet.host(hub).cloned() else {
            return;
        };
        let over_quota = |id: &DeviceId| {
            let newest = self.history.of(id).next();
            newest.is_some_and(|newest| is_refusal(newest, ConnectionCause::QuotaExceeded))
        };
        let devices = self.fleet.iter().filter(|(_, id, machine)| {
            machine.hub() == Some(&host)
                && matches!(machine.state(), State::Connected { .. })
                && over_quota(id)
        });
        let devices: Vec<_> = devices.map(|(_, id, _)| id.clone()).collect();
        for device in devices {
            self.keep_change(&device, CONNECTED, None, Some(host.shared()), None);
        }
    }

    /// A failure of a device, with the line that says who caused it.
    pub(super) fn noted(&self, failure: Failure, service: Option<ServiceId>) -> Arc<Noted> {
        let host = service.and_then(|service| self.fleet.host(service));
        Arc::new(Noted {
            detail: detail_of(&failure, host.map(|host| host.as_str())),
            failure,
            at_unix_s: self.now.unix_s,
        })
    }
}

/// Whether a device stays connected and its messages are refused for this cause.
fn is_refusal(change: &Change, cause: ConnectionCause) -> bool {
    change.status == ConnectionStatus::Connected && change.cause == Some(cause)
}
