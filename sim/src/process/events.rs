//! What connections and DPS say, brought to the controller.

use std::time::Duration;

use drawspan_bridge::controller::{Assigned, ConnectionEvent, Input, SessionEvent};
use drawspan_fleet::{ServiceId, State};
use drawspan_hub::{AttemptId, Failure, FailureKind, HostName, WhichKey};

use super::device::Phase;
use super::{For, Process, Registration, ToClient};
use crate::check::{Violation, ensure};
use crate::dps::HubNo;
use crate::hub::{DeviceNo, LineNo};
use crate::platform::{Route, Sim};

impl Process {
    /// News of a connection.
    pub(crate) fn hear(
        &mut self,
        line: LineNo,
        news: ToClient,
        now: Duration,
    ) -> Result<(), Violation> {
        // The connection was abandoned: there is no one to report to.
        let Some(it) = self.lines.get_mut(&line) else {
            return Ok(());
        };
        match news {
            ToClient::Ready => {
                it.ready = true;
                let waiting = std::mem::take(&mut it.waiting);
                let ready = Input::Connection {
                    hub: it.service,
                    key: it.key,
                    event: ConnectionEvent::Ready,
                };
                self.handle(ready, now)?;
                for attempt in waiting {
                    self.send_open(attempt, now);
                }
                Ok(())
            }
            ToClient::Ended(failure) => self.line_ended(line, &failure, now),
            ToClient::Opened(attempt) => self.opened(attempt, now),
            ToClient::TokenRefused(attempt, failure) => self.ended(
                attempt,
                SessionEvent::TokenRefused(failure.clone()),
                &failure,
                now,
            ),
            ToClient::OpenFailed(attempt, failure) | ToClient::Lost(attempt, failure) => {
                self.ended(attempt, SessionEvent::Ended(failure.clone()), &failure, now)
            }
            ToClient::Closed(attempt) => self.closed(attempt, now),
            ToClient::Linked(attempt, links) => {
                self.session(attempt, SessionEvent::Linked(links), now)
            }
        }
    }

    fn opened(&mut self, attempt: AttemptId, now: Duration) -> Result<(), Violation> {
        let session = attempt.serial;
        let event = SessionEvent::Opened {
            session,
            route: Route::new(session),
        };
        let Some(number) = self.device_of(attempt) else {
            return self.stale(attempt, event, now);
        };
        self.touched.insert(number);
        let (mut links, mut line) = (None, None);
        if let Some(place) = self.notes(number).and_then(|notes| notes.place.as_mut()) {
            if place.phase == Phase::Opening {
                place.phase = Phase::Open;
            }
            links = Some(place.wants.links());
            line = Some(place.line);
        }
        let line = line.and_then(|line| self.lines.get(&line));
        let service = line.map(|line| line.service);
        self.session(attempt, event, now)?;
        if let Some(links) = links {
            self.session(attempt, SessionEvent::Linked(links), now)?;
        }
        let state = self.machine_of(number).map(|it| it.state());
        if matches!(state, Some(State::Connected { .. })) {
            self.tally.note("connected");
        }
        let refuses = service.is_some_and(|service| self.services.refuses(service));
        ensure(!refuses, "REFUSING", || {
            format!("device {number} was accepted by a hub that is said to refuse everyone")
        })
    }

    /// A device could not be opened, or lost its session.
    fn ended(
        &mut self,
        attempt: AttemptId,
        event: SessionEvent<Sim>,
        failure: &Failure,
        now: Duration,
    ) -> Result<(), Violation> {
        let Some(number) = self.device_of(attempt) else {
            return self.stale(attempt, event, now);
        };
        self.touched.insert(number);
        let before = self.note_end(number, failure, now);
        let line = self.notes(number).and_then(|notes| Some(notes.place?.line));
        self.leaves(attempt, now);
        let line = line.and_then(|line| self.lines.get(&line));
        let full = line.map(|line| (line.service, line.key));
        // One that was on its way out has no next attempt.
        let opens = before.is_some() && failure.kind == FailureKind::TokenLimit;
        if let Some(notes) = self.notes(number) {
            notes.full = full.filter(|_| opens);
        }
        self.session(attempt, event, now)?;
        self.counted_rightly(number, failure, before)
    }

    fn closed(&mut self, attempt: AttemptId, now: Duration) -> Result<(), Violation> {
        let Some(number) = self.device_of(attempt) else {
            return self.stale(attempt, SessionEvent::Closed, now);
        };
        self.touched.insert(number);
        self.leaves(attempt, now);
        self.session(attempt, SessionEvent::Closed, now)
    }

    /// A connection, or the attempt to have one, ended.
    fn line_ended(
        &mut self,
        number: LineNo,
        failure: &Failure,
        now: Duration,
    ) -> Result<(), Violation> {
        let Some(line) = self.lines.remove(&number) else {
            return Ok(());
        };
        self.numbers.remove(&(line.service, line.key));
        let mut before = Vec::new();
        for attempt in &line.members {
            let device = self.device_of(*attempt);
            let Some(device) = device else {
                return ensure(false, "MEMBERS", || {
                    format!("{attempt:?} is over, and on a connection")
                });
            };
            before.push((device, self.note_end(device, failure, now)));
            if let Some(notes) = self.notes(device) {
                notes.ends(now);
                notes.place = None;
            }
            self.touched.insert(device);
        }
        let ended = Input::Connection {
            hub: line.service,
            key: line.key,
            event: ConnectionEvent::Ended(failure.clone()),
        };
        self.handle(ended, now)?;
        for (device, before) in before {
            self.counted_rightly(device, failure, before)?;
        }
        Ok(())
    }

    /// Before the controller gets the end of an attempt. Returns the failures so far.
    fn note_end(&mut self, number: DeviceNo, failure: &Failure, now: Duration) -> Option<u32> {
        let machine = self.machine_of(number)?;
        let stood = match machine.state() {
            State::Connected { since } => Some(now.saturating_sub(since)),
            State::Closing => return None,
            _ => None,
        };
        let failures = machine.failures();
        let stable = stood.is_some_and(|stood| stood >= drawspan_fleet::limits::STABLE_AFTER);
        self.budgets[number as usize].ended(failure, stood);
        self.tally.failure(failure.kind);
        // A new series starts at zero.
        (!stable).then_some(failures)
    }

    /// A hub that cannot be reached counts as no device's failure.
    fn counted_rightly(
        &self,
        number: DeviceNo,
        failure: &Failure,
        before: Option<u32>,
    ) -> Result<(), Violation> {
        let Some((before, machine)) = before.zip(self.machine_of(number)) else {
            return Ok(());
        };
        let after = machine.failures();
        let down = failure.kind == FailureKind::HubUnreachable;
        ensure(!down || after <= before, "DOWN-COUNTS-NOTHING", || {
            format!("device {number} had {before} failures, then its hub was down, now {after}")
        })
    }

    /// DPS answered, or could not be asked.
    pub(crate) fn hear_dps(
        &mut self,
        registration: Registration,
        answer: Result<HubNo, Failure>,
        now: Duration,
    ) -> Result<(), Violation> {
        if registration.process != self.process {
            return Ok(());
        }
        let Some((device, whom)) = self.registering.remove(&registration.number) else {
            // The client has waited long enough.
            return Ok(());
        };
        self.touched.insert(device);
        let known = self.index_of(device).is_some();
        let answer = answer.map(|hub| Assigned {
            hub: self.hosts[hub].clone(),
            device: self.ids[device as usize].clone(),
        });
        match &answer {
            Ok(assigned) => {
                self.note_move(device, &assigned.hub, now);
                if whom == For::Caller && known {
                    self.budgets[device as usize].charge(now);
                }
            }
            Err(failure) if whom == For::Attempt => {
                self.budgets[device as usize].failed(failure);
                self.tally.failure(failure.kind);
            }
            Err(_) => {}
        }
        let registered = Input::Registered {
            number: registration.number,
            key: WhichKey::Primary,
            answer,
        };
        self.ended = Some(device);
        let handled = self.handle(registered, now);
        self.ended = None;
        handled
    }

    /// DPS named another hub than the one that cannot be reached.
    fn note_move(&mut self, device: DeviceNo, to: &HostName, now: Duration) {
        let from = self.machine_of(device).and_then(|it| it.hub());
        let moved = from.is_some_and(|from| from != to);
        let down_for = self.hub_down_for(device, now);
        let long = down_for >= Some(self.scenario.gone_after);
        if moved && down_for.is_some() && (long || self.asked.contains(&device)) {
            let service: Option<ServiceId> = self.service_of(device);
            self.services.goes(service);
        }
    }

    /// News of an attempt that is over changes nothing.
    fn stale(
        &mut self,
        attempt: AttemptId,
        event: SessionEvent<Sim>,
        now: Duration,
    ) -> Result<(), Violation> {
        self.tally.note("stale news");
        let what = format!("{event:?}");
        let present = self.now(now);
        let input = Input::Session { attempt, event };
        self.controller.handle(input, present);
        let action = self.controller.action();
        ensure(action.is_none(), "STALE-NEWS", || {
            format!("{what}, though over, and so {action:?}")
        })
    }
}
