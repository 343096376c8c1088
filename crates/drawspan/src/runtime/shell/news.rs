//! What connections and registrations tell of devices, brought to the fleet.

use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::State;
use drawspan_bridge::fleet::{Attempt, ServiceId};
use drawspan_client::{DeviceSession, Owner, Status};
use drawspan_hub::{ConnectionKey, DeviceId, Failure, FailureKind, HostName};

use super::Shell;
use crate::runtime::beside::Noted;
use crate::runtime::directory::Route;
use crate::runtime::registrations::{Done, Origin};

/// Least time between two warnings of connections that ended.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

impl Shell {
    /// A connection told something.
    pub(in crate::runtime) fn status(&mut self, status: Status) {
        match status {
            Status::ConnectionReady(pool, _) => {
                self.fleet.reached(ServiceId::of(pool));
            }
            Status::ConnectionEnded(pool, key, failure) => {
                self.connection_ended(ServiceId::of(pool), key, failure);
            }
            Status::Linked(owner, links) => self.linked(attempt(owner), links),
            Status::LinkRefused(owner, link, failure) => {
                self.link_refused(attempt(owner), link, failure);
            }
            Status::Opened(owner, session) => self.opened(attempt(owner), session),
            Status::OpenFailed(owner, failure) | Status::Lost(owner, failure) => {
                self.ended(attempt(owner), failure);
            }
            Status::Closed(owner) => self.closed(attempt(owner)),
        }
        self.act();
    }

    /// A registration is over.
    pub(in crate::runtime) fn registered(&mut self, done: Done) {
        self.parts.registrations.ended(&done);
        let now = self.now();
        let hub = match &done.answer {
            Ok(assigned) => {
                let (hub, name) = (assigned.hub.clone(), &assigned.device);
                let assigned = (*name != done.device).then(|| name.clone());
                self.assigned(&done.device, hub.clone(), assigned);
                Ok(hub)
            }
            Err(failure) => Err(failure),
        };
        match done.origin {
            Origin::Attempt { device, epoch } => {
                self.fleet.assigned(device, epoch, hub, now);
                if let Err(failure) = &done.answer {
                    self.note(device, failure);
                }
                self.refuse_hopeless(device);
            }
            Origin::Caller(reply) => {
                let device = self.fleet.find(&done.device);
                self.fleet.registration_ended(device, hub, now);
                // The caller may have given up.
                let _ = reply.send(done.answer.map(|_| ()));
            }
        }
        self.act();
    }

    fn assigned(&mut self, device: &DeviceId, hub: HostName, assigned: Option<DeviceId>) {
        let now = self.now();
        let index = self.fleet.find(device);
        let beside = index.and_then(|index| self.fleet.beside(index));
        if beside.is_some_and(|beside| beside.removed) {
            return;
        }
        if let Some(beside) = index.and_then(|index| self.fleet.beside_mut(index)) {
            // While it is on a connection it is there under the name that it had.
            if beside.place.is_none() {
                beside.assigned.clone_from(&assigned);
            }
        }
        self.table.note_assigned(device, assigned.as_ref());
        self.parts.cache.put(device, hub, assigned, now.unix_s);
    }

    fn opened(&mut self, attempt: Attempt, session: DeviceSession) {
        if !self.fleet.is_current(attempt) {
            return;
        }
        let now = self.now();
        self.fleet.opened(attempt, now);
        let index = attempt.device;
        let Some(identity) = self.identity(index) else {
            return;
        };
        let connected = matches!(
            self.fleet.machine(index).map(|machine| machine.state()),
            Some(State::Connected { .. })
        );
        let (Some(id), Some(beside)) =
            (self.fleet.id(index).cloned(), self.fleet.beside_mut(index))
        else {
            return;
        };
        let Some(place) = &mut beside.place else {
            return;
        };
        place.session = Some(session);
        let Some(pool) = self.pools.get_mut(&place.hub) else {
            return;
        };
        pool.key = beside.key.unwrap_or_default();
        pool.tally.connects += 1;
        let Some(connection) = pool.get(place.connection).cloned() else {
            return;
        };
        if !connected {
            return;
        }
        beside.full = None;
        let paces = Arc::clone(&pool.paces);
        let serial = attempt.serial;
        let route = Arc::new(Route::new(identity, connection, session, serial, paces));
        beside.route = Some(Arc::clone(&route));
        beside.answer_waiters();
        self.parts.cache.used(&id);
        self.parts.directory.insert(&id, route);
        // It may have changed while the device was being opened.
        self.tell_wants(index);
    }

    /// The hub refused a device, or ended it.
    fn ended(&mut self, attempt: Attempt, failure: Failure) {
        if !self.fleet.is_current(attempt) {
            return;
        }
        let now = self.now();
        let index = attempt.device;
        if let Some(place) = self.fleet.beside(index).and_then(|beside| beside.place) {
            self.count_end(index, place.hub, failure.kind);
        }
        if failure.kind == FailureKind::TokenLimit {
            self.filled(index);
        }
        self.fleet.catch_up(index, now);
        if failure.kind == FailureKind::Unauthorized {
            self.token_refused(index);
        }
        self.leave(index, now.monotonic);
        self.note(index, &failure);
        self.fleet.ended(attempt, &failure, now);
        self.refuse_hopeless(index);
    }

    fn closed(&mut self, attempt: Attempt) {
        if !self.fleet.is_current(attempt) {
            return;
        }
        let now = self.now();
        self.leave(attempt.device, now.monotonic);
        self.fleet.closed(attempt, now);
    }

    /// The hub counts no token for this device, if it had taken none before.
    fn token_refused(&mut self, index: u32) {
        let beside = self.fleet.beside_mut(index);
        if let Some(place) = beside.and_then(|beside| beside.place.as_mut())
            && place.session.is_none()
        {
            place.token_life_s = None;
        }
    }

    /// The connection took no token for this device any more.
    fn filled(&mut self, index: u32) {
        let Some(beside) = self.fleet.beside_mut(index) else {
            return;
        };
        let Some(place) = beside.place else { return };
        beside.full = Some(place.connection);
        if let Some(pool) = self.pools.get_mut(&place.hub) {
            pool.filled(place.connection);
        }
    }

    fn connection_ended(&mut self, hub: ServiceId, key: ConnectionKey, failure: Failure) {
        let now = self.now();
        let Some(pool) = self.pools.get_mut(&hub) else {
            return;
        };
        let members = pool.ended(key);
        pool.tally.ended.add(failure.kind);
        self.warn_of_connection(hub, members.len(), &failure, now.monotonic);
        let kind = failure.kind;
        let noted = Arc::new(Noted {
            failure,
            at_unix_s: now.unix_s,
        });
        let mut attempts = Vec::with_capacity(members.len());
        for index in members {
            self.count_end(index, hub, kind);
            self.fleet.catch_up(index, now);
            self.forget_route(index);
            if let Some(beside) = self.fleet.beside_mut(index) {
                beside.place = None;
                beside.last_failure = Some(Arc::clone(&noted));
            }
            attempts.extend(self.fleet.attempt(index));
        }
        self.fleet
            .connection_ended(hub, &attempts, &noted.failure, now);
        for attempt in attempts {
            self.refuse_hopeless(attempt.device);
        }
    }

    pub(super) fn note(&mut self, index: u32, failure: &Failure) {
        let at_unix_s = self.now().unix_s;
        if let Some(beside) = self.fleet.beside_mut(index) {
            beside.last_failure = Some(Arc::new(Noted {
                failure: failure.clone(),
                at_unix_s,
            }));
        }
    }

    /// Once a second at most: with a wrong key every attempt ends like this.
    fn warn_of_connection(
        &mut self,
        hub: ServiceId,
        devices: usize,
        failure: &Failure,
        now: Duration,
    ) {
        // A hub that cannot be reached is told once for all, and there was no connection.
        let known = failure.kind == FailureKind::HubUnreachable;
        if known || devices == 0 || now < self.next_warning {
            return;
        }
        self.next_warning = now + WARNING_INTERVAL;
        if let Some(hub) = self.fleet.host(hub) {
            tracing::warn!(%hub, devices, reason = %failure, "a connection ended");
        }
    }
}

pub(super) const fn attempt(owner: Owner) -> Attempt {
    Attempt {
        device: owner.index,
        serial: owner.epoch,
    }
}
