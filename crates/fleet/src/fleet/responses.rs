//! Results of actions.

use std::time::Duration;

use drawspan_hub::{AttemptId, Failure, FailureKind, HostName};

use super::queue::Standing;
use super::service::Service;
use super::{Action, Context, Fleet, News, ServiceId};
use crate::device::Epoch;
use crate::governor::Opening;
use crate::mutation::{Mutation, planted};
use crate::time::Now;
use crate::{Device, Input, State};

impl<B: Context> Fleet<B> {
    /// A hub answered, with any result.
    pub fn reached(&mut self, service: ServiceId) {
        let Some(it) = self.service_mut(service) else {
            return;
        };
        let recovered = it.record.reached();
        let was_away = it.governor.hub.reached();
        self.announce(service, [recovered, None]);
        if was_away {
            self.is_not_gone(service);
            self.actions
                .push_back(Action::News(service, News::Reachable));
        }
    }

    /// A hub left a request of a connected device without an answer, or answered one again.
    pub fn request_ended(&mut self, hub: ServiceId, unanswered: Option<&Failure>) {
        match unanswered {
            Some(failure) => self.record(hub, failure),
            None => {
                let news = self.service_mut(hub).and_then(|it| it.record.works());
                self.announce(hub, [news, None]);
            }
        }
    }

    /// The device is connected.
    pub fn opened(&mut self, attempt: AttemptId, now: Now) {
        let Some((epoch, hub)) = self.running(attempt) else {
            return;
        };
        // Over a connection that stood while others could not be made.
        self.reached(hub);
        let opening = self.opening(attempt.device);
        self.accepted(hub, opening, now.monotonic);
        if let Some(entry) = self.entry_mut(attempt.device) {
            entry.standing = Standing {
                proven: true,
                ..Standing::default()
            };
        }
        self.feed(attempt.device, Input::Opened { epoch }, now);
        self.quota_restored(hub, now);
    }

    /// The device could not be connected, or its connection ended by itself.
    pub fn ended(&mut self, attempt: AttemptId, failure: &Failure, now: Now) {
        let Some((epoch, hub)) = self.running(attempt) else {
            return;
        };
        if is_answer(failure) {
            self.reached(hub);
        }
        self.learn(hub, attempt.device, failure, now);
        self.end(attempt, epoch, failure, now);
    }

    /// No connection had room for the device: its hub was not asked, and the permit goes to another device.
    pub fn not_placed(&mut self, attempt: AttemptId, failure: &Failure, now: Now) {
        let Some((epoch, hub)) = self.running(attempt) else {
            return;
        };
        if let Some(service) = self.service_mut(hub) {
            service.governor.give_back(now.monotonic);
        }
        self.end(attempt, epoch, failure, now);
    }

    /// A connection that these attempts shared ended.
    pub fn connection_ended(
        &mut self,
        hub: ServiceId,
        attempts: &[AttemptId],
        failure: &Failure,
        now: Now,
    ) {
        if is_answer(failure) {
            self.reached(hub);
        }
        self.record(hub, failure);
        if failure.kind == FailureKind::HubUnreachable {
            self.unreachable(hub, now.monotonic);
        }
        let mut ended = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            if let Some((epoch, _)) = self.running(*attempt) {
                let was_last_key = self.has_tried_other_key(attempt.device);
                self.end(*attempt, epoch, failure, now);
                ended.push((attempt.device, was_last_key));
            }
        }
        if failure.kind == FailureKind::Unauthorized {
            // The token was for all of them. By now each counts as disconnected.
            for (device, was_last_key) in ended {
                self.doubt(device);
                if was_last_key {
                    self.refused(hub, device, failure, now);
                }
            }
        }
        match failure.kind {
            FailureKind::QuotaExceeded => self.quota_exceeded(hub, failure, now.monotonic),
            FailureKind::Throttled => self.throttled(hub, now.monotonic),
            _ => {}
        }
    }

    /// The connection is closed, as asked.
    pub fn closed(&mut self, attempt: AttemptId, now: Now) {
        let Some((epoch, _)) = self.running(attempt) else {
            return;
        };
        self.end_attempt(attempt.device);
        self.feed(attempt.device, Input::Closed { epoch }, now);
    }

    /// DPS answered [`Action::Provision`], or did not.
    pub fn assigned(
        &mut self,
        device: u32,
        epoch: Epoch,
        answer: Result<HostName, &Failure>,
        now: Now,
    ) {
        let answer = answer.map(|hub| self.hub(&hub).map(|_| hub));
        match answer {
            Ok(None) => {
                let failure = &too_many_hubs();
                self.feed(device, Input::AssignFailed { epoch, failure }, now);
            }
            Ok(Some(hub)) => {
                self.reached(ServiceId::DPS);
                self.accepted(ServiceId::DPS, None, now.monotonic);
                self.note_move(device, &hub, now);
                if let Some(entry) = self.entry_mut(device) {
                    // Its hub may be another one.
                    entry.standing.doubtful = false;
                }
                self.feed(device, Input::Assigned { epoch, hub }, now);
            }
            Err(failure) => {
                self.dps_failed(device, failure, now);
                self.feed(device, Input::AssignFailed { epoch, failure }, now);
            }
        }
    }

    /// A registration that was allowed by [`Action::Register`] is over; `device` is its device, if that is known here.
    pub fn registration_ended(
        &mut self,
        device: Option<u32>,
        answer: Result<HostName, &Failure>,
        now: Now,
    ) {
        match answer {
            Ok(hub) => {
                self.reached(ServiceId::DPS);
                self.accepted(ServiceId::DPS, None, now.monotonic);
                if let (Some(device), Some(_)) = (device, self.hub(&hub)) {
                    self.note_move(device, &hub, now);
                    self.feed(device, Input::Registered { hub }, now);
                }
            }
            Err(failure) => {
                self.dps_failed(device.unwrap_or(u32::MAX), failure, now);
            }
        }
    }

    /// A registration that was allowed is not made.
    pub fn registration_abandoned(&mut self, now: Now) {
        if let Some(service) = self.service_mut(ServiceId::DPS) {
            service.governor.give_back(now.monotonic);
        }
    }

    fn dps_failed(&mut self, device: u32, failure: &Failure, now: Now) {
        if failure.kind == FailureKind::HubUnreachable {
            self.record(ServiceId::DPS, failure);
            self.unreachable(ServiceId::DPS, now.monotonic);
            return;
        }
        self.reached(ServiceId::DPS);
        self.learn(ServiceId::DPS, device, failure, now);
    }

    /// What a failure says about the hub itself.
    fn learn(&mut self, id: ServiceId, device: u32, failure: &Failure, now: Now) {
        let monotonic = now.monotonic;
        let credentials = failure.kind == FailureKind::Unauthorized;
        if is_answer(failure)
            && !credentials
            && let Some(service) = self.service_mut(id)
        {
            service.governor.breaker.inconclusive();
        }
        if is_refusal(id, failure) {
            self.doubt(device);
        }
        self.record(id, failure);
        match failure.kind {
            // At DPS each attempt tries both keys.
            FailureKind::Unauthorized
                if id == ServiceId::DPS || self.has_tried_other_key(device) =>
            {
                self.refused(id, device, failure, now);
            }
            FailureKind::QuotaExceeded => self.quota_exceeded(id, failure, monotonic),
            FailureKind::Throttled => self.throttled(id, monotonic),
            // It kept up: it answered.
            FailureKind::DeviceNotFound | FailureKind::DeviceDisabled => {
                let opening = self.opening(device);
                if let Some(service) = self.service_mut(id) {
                    service.governor.accepted(opening, monotonic);
                }
            }
            FailureKind::Timeout => {
                let opening = self.opening(device);
                if let (Some(opening), Some(service)) = (opening, self.service_mut(id)) {
                    service.governor.timed_out(opening, monotonic);
                }
            }
            _ => {}
        }
    }

    fn accepted(&mut self, id: ServiceId, opening: Option<Opening>, now: Duration) {
        let Some(service) = self.service_mut(id) else {
            return;
        };
        service.governor.accepted(opening, now);
        let [doubt, recovered] = service.record.accepted();
        let closed = service.governor.breaker.accepted(now);
        let credentials = closed.then_some(News::TakesCredentials).or(doubt);
        self.announce(id, [credentials, recovered]);
    }

    fn record(&mut self, id: ServiceId, failure: &Failure) {
        let Some(service) = self.service_mut(id) else {
            return;
        };
        let news = service.record.failed(id, failure);
        self.announce(id, news);
    }

    pub(super) fn announce(&mut self, id: ServiceId, news: [Option<News>; 2]) {
        let news = news.into_iter().flatten();
        self.actions.extend(news.map(|news| Action::News(id, news)));
    }

    fn refused(&mut self, id: ServiceId, device: u32, failure: &Failure, now: Now) {
        let Some(service) = self.service_mut(id) else {
            return;
        };
        let doubted = service.record.refused(failure);
        let refuses_everyone = service.refused(device, now.monotonic);
        self.announce(id, [doubted, None]);
        if refuses_everyone {
            self.say_refuses_everyone(id, now);
        }
    }

    /// A service is thought to refuse everyone from now on.
    fn say_refuses_everyone(&mut self, id: ServiceId, now: Now) {
        let news = Action::News(id, News::RefusesEveryone);
        self.actions.extend([news, Action::TurnAway(id)]);
        // Those that it has refused once, and that will not try their other key soon, are told so.
        for device in 0..self.entries.len() as u32 {
            let entry = self.entry(device);
            if entry.is_some_and(|entry| entry.standing.doubtful) {
                self.feed(device, Input::RefusedForNow, now);
            }
        }
    }

    /// Says of each service that refused devices soon after it had accepted one, once time tells, that it refuses everyone; and
    /// when to look again.
    pub(super) fn doubt_services(&mut self, now: Now) -> Option<Duration> {
        for number in 0..self.services.len() {
            let service = self.services.get_mut(number);
            if service.is_some_and(|service| service.refuses_everyone_by(now.monotonic)) {
                self.say_refuses_everyone(ServiceId(number as u16), now);
            }
        }
        let services = self.services.iter();
        services.filter_map(Service::refuses_everyone_from).min()
    }

    fn throttled(&mut self, id: ServiceId, now: Duration) {
        if let Some(service) = self.service_mut(id) {
            service.governor.throttled(now);
        }
    }

    fn has_tried_other_key(&self, device: u32) -> bool {
        self.machine(device)
            .is_some_and(Device::has_tried_other_key)
    }

    /// A device whose credentials were refused comes after others in queues.
    fn doubt(&mut self, device: u32) {
        if let Some(entry) = self.entry_mut(device) {
            entry.standing.doubtful = true;
        }
    }

    fn unreachable(&mut self, id: ServiceId, now: Duration) {
        let Some(service) = self.service_mut(id) else {
            return;
        };
        if service.governor.hub.unreachable(now) {
            self.actions.push_back(Action::News(id, News::Unreachable));
        }
        if self
            .service(id)
            .is_some_and(|service| service.never_reached(now))
        {
            self.actions.push_back(Action::TurnAway(id));
        }
    }

    fn end(&mut self, attempt: AttemptId, epoch: Epoch, failure: &Failure, now: Now) {
        self.end_attempt(attempt.device);
        let state = self.machine(attempt.device).map(|machine| machine.state());
        let input = match state {
            // Whatever ended it, it is closed now; there will be no other report.
            Some(State::Closing) => Input::Closed { epoch },
            Some(State::Connected { .. }) => Input::Lost { epoch, failure },
            _ => Input::OpenFailed { epoch, failure },
        };
        self.feed(attempt.device, input, now);
    }

    /// The requested action cannot even be begun.
    pub(super) fn nothing_to_open(&mut self, device: u32, epoch: Epoch, now: Now) {
        let failure = &too_many_hubs();
        self.feed(device, Input::OpenFailed { epoch, failure }, now);
    }

    /// The connection of an attempt stands, so that the hub is asked from now on: what was waited for until then says nothing about
    /// how long the hub takes.
    pub fn is_asked(&mut self, attempt: AttemptId, now: Duration) {
        if self.is_current(attempt)
            && let Some(running) = self
                .entry_mut(attempt.device)
                .and_then(|entry| entry.attempt.as_mut())
        {
            running.asked = now;
        }
    }

    /// The attempt of a device that is not open yet.
    fn opening(&self, device: u32) -> Option<Opening> {
        let entry = self.entry(device)?;
        let opens = entry.machine.state() == State::Connecting;
        let attempt = entry.attempt.filter(|_| opens)?;
        Some(Opening {
            permitted: attempt.since,
            asked: attempt.asked,
        })
    }

    fn end_attempt(&mut self, device: u32) {
        if let Some(entry) = self.entry_mut(device) {
            entry.attempt = None;
        }
    }

    fn running(&self, attempt: AttemptId) -> Option<(Epoch, ServiceId)> {
        let running = self.entry(attempt.device)?.attempt?;
        let current = running.serial == attempt.serial || planted(Mutation::StaleAnswer);
        current.then_some((running.epoch, running.hub))
    }
}

/// Whether it was the hub that said so.
const fn is_answer(failure: &Failure) -> bool {
    !matches!(
        failure.kind,
        FailureKind::HubUnreachable | FailureKind::ConnectionLost | FailureKind::Timeout
    )
}

/// Whether a device was refused, so that another attempt of it will most likely end the same way.
fn is_refusal(id: ServiceId, failure: &Failure) -> bool {
    use FailureKind as Kind;
    match failure.kind {
        Kind::Unauthorized | Kind::DeviceNotFound | Kind::DeviceDisabled => true,
        // DPS has no enrollment for it.
        Kind::NotFound | Kind::Forbidden => id == ServiceId::DPS,
        _ => false,
    }
}

fn too_many_hubs() -> Failure {
    let text = "devices belong to more hubs than this process may connect to";
    Failure::own(FailureKind::Forbidden, text)
}
