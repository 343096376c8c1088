//! Events of connections, and of the sessions of devices.

use std::sync::Arc;

use drawspan_fleet::{Device, ServiceId, State};
use drawspan_hub::{AttemptId, ConnectionKey, Failure, FailureKind, Links};

use super::Controller;
use super::action::{Action, Note};
use super::input::SessionEvent;
use super::platform::Platform;
use super::response::Response;

impl<P: Platform> Controller<P> {
    /// Something happened to the session of an attempt that is not over.
    pub(super) fn session(&mut self, attempt: AttemptId, event: SessionEvent<P>) {
        match event {
            SessionEvent::Opened { session, route } => self.opened(attempt, session, route),
            SessionEvent::TokenRefused(failure) => {
                self.token_refused(attempt.device);
                self.session_ended(attempt, failure);
            }
            SessionEvent::Ended(failure) => self.session_ended(attempt, failure),
            SessionEvent::Closed => {
                self.leave(attempt.device);
                self.fleet.closed(attempt, self.now);
            }
            SessionEvent::Linked(links) => self.linked(attempt, links),
            SessionEvent::LinkRefused(link, failure) => self.link_refused(attempt, link, failure),
            SessionEvent::Method {
                session,
                request,
                name,
                payload,
            } => self.method(attempt, session, request, name, payload),
            SessionEvent::C2d {
                session,
                delivery,
                message,
                share,
            } => self.c2d(attempt, session, delivery, message, share),
            SessionEvent::Desired(change) => self.desired_changed(attempt, change),
            SessionEvent::DesiredMissed => self.desired_missed(attempt),
        }
    }

    /// A connection stands. Its devices have waited for that, and ask the hub from now on.
    pub(super) fn connection_ready(&mut self, hub: ServiceId, key: ConnectionKey) {
        self.fleet.reached(hub);
        let pool = self.pools.get(&hub);
        for index in pool.map_or(&[][..], |pool| pool.members(key)) {
            if let Some(attempt) = self.fleet.attempt(*index) {
                self.fleet.is_asked(attempt, self.now.monotonic);
            }
        }
    }

    fn opened(&mut self, attempt: AttemptId, session: P::Session, route: P::Route) {
        let index = attempt.device;
        self.fleet.opened(attempt, self.now);
        let machine = self.fleet.machine(index);
        let connected = machine.is_some_and(|it| matches!(it.state(), State::Connected { .. }));
        let (Some(id), Some(context)) =
            (self.fleet.id(index).cloned(), self.fleet.context_mut(index))
        else {
            return;
        };
        let Some(place) = &mut context.place else {
            debug_assert!(false, "{id} was opened without a place");
            return;
        };
        place.session = Some(session);
        if let Some(pool) = self.pools.get_mut(&place.hub) {
            pool.key = context.key.unwrap_or_default();
            pool.counters.connects += 1;
            pool.clock.agrees();
        }
        if !connected {
            return;
        }
        context.full = None;
        context.route = Some(route.clone());
        let served = context.take_served(&route);
        self.remember_connected(index, &id);
        self.cache.used(&id);
        self.act(Action::Publish(id, route.clone()));
        for caller in served {
            self.answer(caller, Response::Connected(route.clone()));
        }
        // It may have changed while the device was being opened.
        self.tell_wants(index);
    }

    /// The hub refused a device, or ended it.
    fn session_ended(&mut self, attempt: AttemptId, failure: Failure) {
        let index = attempt.device;
        let place = self.fleet.context(index).and_then(|context| context.place);
        if let Some(place) = place {
            self.count_end(index, place.hub, failure.kind);
        }
        let failure = &self.with_clock(place.map(|place| place.hub), failure);
        if failure.kind == FailureKind::TokenLimit {
            self.filled(index);
        }
        self.fleet.catch_up(index, self.now);
        self.note_failure(index, failure);
        self.leave(index);
        self.fleet.ended(attempt, failure, self.now);
        self.note_refusal(index, failure);
        self.refuse_hopeless(index);
    }

    /// Notes that a device was refused for longer than until the next key or DPS is tried.
    pub(super) fn note_refusal(&mut self, index: u32, failure: &Failure) {
        use FailureKind as Kind;
        let is_refusal = matches!(
            failure.kind,
            Kind::Unauthorized
                | Kind::DeviceNotFound
                | Kind::DeviceDisabled
                | Kind::NotFound
                | Kind::Forbidden
        );
        let machine = self.fleet.machine(index);
        let waits = |machine: &Device| machine.hopeless(self.now.monotonic, self.now).is_some();
        if !is_refusal || !machine.is_some_and(waits) {
            return;
        }
        let hub = machine.and_then(|machine| machine.hub()).cloned();
        let host = hub.or_else(|| self.fleet.host(ServiceId::DPS).cloned());
        if let (Some(id), Some(host)) = (self.fleet.id(index).cloned(), host) {
            let note = Note::DeviceRefused(id, host, failure.clone());
            self.act(Action::Note(note));
        }
    }

    /// Records which of a device's links are attached.
    fn linked(&mut self, attempt: AttemptId, links: Links) {
        let Some(context) = self.fleet.context_mut(attempt.device) else {
            return;
        };
        let before = std::mem::replace(&mut context.up, links);
        context
            .refused
            .take_if(|refused| !refused.is_missing(links));
        if links.desired && !before.desired {
            self.desired_linked(attempt);
        }
        self.pull(attempt.device);
    }

    /// The hub counts no token for this device, unless it accepted one before.
    fn token_refused(&mut self, index: u32) {
        let context = self.fleet.context_mut(index);
        if let Some(place) = context.and_then(|context| context.place.as_mut()) {
            place.token_life_s = None;
        }
    }

    /// The connection took no token for this device any more.
    fn filled(&mut self, index: u32) {
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        let Some(place) = context.place else { return };
        context.full = Some(place.connection);
        if let Some(pool) = self.pools.get_mut(&place.hub) {
            pool.filled(place.connection, self.now.monotonic);
        }
    }

    pub(super) fn connection_ended(
        &mut self,
        hub: ServiceId,
        key: ConnectionKey,
        failure: Failure,
    ) {
        let now = self.now;
        let failure = self.with_clock(Some(hub), failure);
        let Some(pool) = self.pools.get_mut(&hub) else {
            return;
        };
        let members = pool.ended(key);
        pool.counters.ended.add(failure.kind);
        self.look_for_room(hub);
        self.note_connection(hub, members.len(), &failure);
        let kind = failure.kind;
        let noted = self.noted(failure, Some(hub));
        let mut attempts = Vec::with_capacity(members.len());
        for index in members {
            self.count_end(index, hub, kind);
            self.fleet.catch_up(index, now);
            self.forget_route(index);
            if let Some(context) = self.fleet.context_mut(index) {
                context.place = None;
                context.last_failure = Some(Arc::clone(&noted));
            }
            attempts.extend(self.fleet.attempt(index));
        }
        self.fleet
            .connection_ended(hub, &attempts, &noted.failure, now);
        for attempt in attempts {
            self.refuse_hopeless(attempt.device);
        }
    }

    pub(super) fn note_failure(&mut self, index: u32, failure: &Failure) {
        let place = self.fleet.context(index).and_then(|context| context.place);
        let waits_for = || self.fleet.waits_for(index);
        let service = place.map(|place| place.hub).or_else(waits_for);
        self.note_failure_at(index, failure.clone(), service);
    }

    /// The same, and at which hub, or at DPS.
    pub(super) fn note_failure_at(
        &mut self,
        index: u32,
        failure: Failure,
        service: Option<ServiceId>,
    ) {
        let noted = self.noted(failure, service);
        if let Some(context) = self.fleet.context_mut(index) {
            context.last_failure = Some(noted);
        }
    }

    /// A device's attempt, or its connection, ends like this; counted while the device still has its place.
    fn count_end(&mut self, index: u32, hub: ServiceId, kind: FailureKind) {
        let state = self.fleet.machine(index).map(|machine| machine.state());
        let Some(pool) = self.pools.get_mut(&hub) else {
            return;
        };
        match state {
            Some(State::Connected { .. }) => pool.counters.disconnects.add(kind),
            Some(State::Connecting) => pool.counters.failures.add(kind),
            // It was on its way out.
            _ => {}
        }
    }

    fn note_connection(&mut self, hub: ServiceId, devices: usize, failure: &Failure) {
        // A hub that cannot be reached is noted once for all, and there was no connection.
        let known = failure.kind == FailureKind::HubUnreachable;
        if known || devices == 0 {
            return;
        }
        if let Some(host) = self.fleet.host(hub).cloned() {
            let note = Note::ConnectionEnded(host, devices, failure.clone());
            self.act(Action::Note(note));
        }
    }
}
