//! What connections and DPS tell, brought to the fleet.

use std::time::Duration;

use drawspan_bridge::State;
use drawspan_bridge::fleet::Attempt;
use drawspan_hub::{Failure, FailureKind, HostName};

use super::notes::Phase;
use super::{Origin, Registration, Shell, ToClient};
use crate::check::{Violation, ensure};
use crate::dps::HubNo;
use crate::hub::{DeviceNo, LineNo};

impl Shell {
    /// News of a connection.
    pub(crate) fn hear(
        &mut self,
        line: LineNo,
        news: ToClient,
        now: Duration,
    ) -> Result<(), Violation> {
        // Of a connection that was given up: nobody is left to tell.
        let Some(link) = self.links.get_mut(&line) else {
            return Ok(());
        };
        match news {
            ToClient::Ready => {
                link.ready = true;
                let waiting = std::mem::take(&mut link.waiting);
                self.fleet.reached(link.service);
                for attempt in waiting {
                    self.send_open(attempt, now);
                }
                Ok(())
            }
            ToClient::Ended(failure) => self.line_ended(line, &failure, now),
            ToClient::Opened(attempt) => self.opened(attempt, now),
            ToClient::OpenFailed(attempt, failure, counted) => {
                self.ended(attempt, &failure, counted, now)
            }
            ToClient::Lost(attempt, failure) => self.ended(attempt, &failure, true, now),
            ToClient::Closed(attempt) => self.closed(attempt, now),
        }
    }

    fn opened(&mut self, attempt: Attempt, now: Duration) -> Result<(), Violation> {
        let current = self.is_current(attempt);
        let time = self.now(now);
        if current
            && let Some(place) = self.notes(attempt.device).and_then(|it| it.place.as_mut())
            && place.phase == Phase::Opening
        {
            place.phase = Phase::Open;
        }
        self.fleet.opened(attempt, time);
        if !current {
            return self.stale("opened");
        }
        let state = self.fleet.machine(attempt.device).map(|it| it.state());
        if matches!(state, Some(State::Connected { .. }))
            && let Some(notes) = self.notes(attempt.device)
        {
            notes.full = None;
            notes.waiters = 0;
            self.tally.note("connected");
        }
        self.act(now)?;
        let service = self
            .notes(attempt.device)
            .and_then(|it| Some(it.place?.hub));
        let refuses = service.is_some_and(|service| self.refusing.contains(&service));
        ensure(!refuses, "REFUSING", || {
            format!(
                "device {} was accepted by a hub that is said to refuse everyone",
                attempt.device
            )
        })
    }

    /// A device could not be opened, or lost its session.
    fn ended(
        &mut self,
        attempt: Attempt,
        failure: &Failure,
        counted: bool,
        now: Duration,
    ) -> Result<(), Violation> {
        let time = self.now(now);
        if !self.is_current(attempt) {
            self.fleet.ended(attempt, failure, time);
            return self.stale("ended");
        }
        if failure.kind == FailureKind::TokenLimit
            && let Some(notes) = self.notes(attempt.device)
            && let Some(place) = notes.place
        {
            notes.full = Some((place.hub, place.key));
            self.pool(place.hub).ledger.filled(place.key, now);
        }
        let before = self.note_end(attempt.device, failure, now);
        self.leave(attempt.device, counted, now);
        self.fleet.ended(attempt, failure, time);
        self.counted_rightly(attempt.device, failure, before)
    }

    fn closed(&mut self, attempt: Attempt, now: Duration) -> Result<(), Violation> {
        let time = self.now(now);
        if !self.is_current(attempt) {
            self.fleet.closed(attempt, time);
            return self.stale("closed");
        }
        self.leave(attempt.device, true, now);
        self.fleet.closed(attempt, time);
        Ok(())
    }

    /// A connection, or the attempt to have one, ended.
    fn line_ended(
        &mut self,
        line: LineNo,
        failure: &Failure,
        now: Duration,
    ) -> Result<(), Violation> {
        let Some(link) = self.links.remove(&line) else {
            return Ok(());
        };
        let pool = self.pool(link.service);
        pool.ledger.ended(link.key);
        pool.lines.remove(&link.key);
        let mut attempts = Vec::new();
        let mut before = Vec::new();
        for index in &link.members {
            before.push(self.note_end(*index, failure, now));
            if let Some(notes) = self.notes(*index) {
                notes.place = None;
            }
            attempts.extend(self.fleet.attempt(*index));
        }
        self.touched.extend(&link.members);
        ensure(attempts.len() == link.members.len(), "MEMBERS", || {
            format!(
                "{} attempts of {} devices",
                attempts.len(),
                link.members.len()
            )
        })?;
        let time = self.now(now);
        self.fleet
            .connection_ended(link.service, &attempts, failure, time);
        for (index, before) in link.members.iter().zip(before) {
            self.counted_rightly(*index, failure, before)?;
        }
        Ok(())
    }

    /// Before the fleet hears of the end of an attempt. Returns the failures so far.
    fn note_end(&mut self, index: u32, failure: &Failure, now: Duration) -> Option<u32> {
        let time = self.now(now);
        // What the connection knew is not lost with it.
        self.fleet.catch_up(index, time);
        if let Some(notes) = self.notes(index) {
            notes.used = None;
        }
        let machine = self.fleet.machine(index)?;
        let stood = match machine.state() {
            State::Connected { since } => Some(now.saturating_sub(since)),
            State::Closing => return None,
            _ => None,
        };
        let failures = machine.failures();
        let stable = stood.is_some_and(|stood| stood >= drawspan_bridge::limits::STABLE_AFTER);
        let number = self.number(index)?;
        self.budgets[number as usize].ended(failure, stood);
        self.tally.failure(failure.kind);
        // A series that is over starts again at none.
        (!stable).then_some(failures)
    }

    /// A hub that cannot be reached counts against nobody.
    fn counted_rightly(
        &self,
        index: u32,
        failure: &Failure,
        before: Option<u32>,
    ) -> Result<(), Violation> {
        let Some((before, machine)) = before.zip(self.fleet.machine(index)) else {
            return Ok(());
        };
        let after = machine.failures();
        let down = failure.kind == FailureKind::HubUnreachable;
        ensure(!down || after <= before, "DOWN-COUNTS-NOTHING", || {
            format!("device {index} had {before} failures, then its hub was down, now {after}")
        })
    }

    /// DPS answered, or could not be asked.
    pub(crate) fn hear_dps(
        &mut self,
        registration: Registration,
        answer: Result<HubNo, Failure>,
        now: Duration,
    ) {
        if registration.process != self.process {
            return;
        }
        let device = registration.device as usize;
        let answer = answer.map(|hub| self.hosts[hub].clone());
        let said = || match &answer {
            Ok(host) => Ok(host.clone()),
            Err(failure) => Err(failure),
        };
        if let Ok(host) = &answer {
            self.cache[device] = Some(host.clone());
        }
        let time = self.now(now);
        let index = self.index_of(registration.device);
        if let (Ok(host), Some(index)) = (&answer, index) {
            self.note_move(index, registration.device, host, now);
        }
        match registration.origin {
            Origin::Attempt { index, epoch } => {
                self.touched.insert(index);
                if let Some(notes) = self.notes(index)
                    && notes.registering == Some(epoch.number())
                {
                    notes.registering = None;
                }
                if let Err(failure) = &answer {
                    self.budgets[device].failed(failure);
                    self.tally.failure(failure.kind);
                }
                self.fleet.assigned(index, epoch, said(), time);
            }
            Origin::Caller => {
                let index = self.index_of(registration.device);
                self.touched.extend(index);
                if index.is_some() && answer.is_ok() {
                    self.budgets[device].charge(now);
                }
                self.fleet.registration_ended(index, said(), time);
            }
        }
    }

    /// DPS named another hub than the one that cannot be reached.
    fn note_move(&mut self, index: u32, device: DeviceNo, to: &HostName, now: Duration) {
        let from = self.fleet.machine(index).and_then(|it| it.hub());
        let moved = from.is_some_and(|from| from != to);
        let down_for = self.hub_down_for(index, now);
        let long = down_for >= Some(self.scenario.gone_after);
        if moved && down_for.is_some() && (long || self.asked.contains(&device)) {
            self.gone.extend(self.service_of(index));
        }
    }

    fn is_current(&mut self, attempt: Attempt) -> bool {
        self.touched.insert(attempt.device);
        self.fleet.is_current(attempt)
    }

    /// News of an attempt that is over changes nothing.
    fn stale(&mut self, what: &str) -> Result<(), Violation> {
        self.tally.note("stale news");
        let action = self.fleet.action();
        ensure(action.is_none(), "STALE-NEWS", || {
            format!("{what}, though over, and so {action:?}")
        })
    }
}
