//! What the controller wants done.

use std::collections::BTreeSet;
use std::time::Duration;

use drawspan_bridge::controller::{
    self, Action, Command, HubChange, Input, Note, Open, SessionEvent,
};
use drawspan_bridge::limits::REGISTRATION_TIMEOUT;
use drawspan_fleet::{News, ServiceId, State};
use drawspan_hub::{AttemptId, ConnectionKey, ConnectionStatus};

use super::device::{ConnectAttempt, Phase};
use super::{For, Line, Out, Process, Registration, ToClient, ToHub, number, unix};
use crate::check::{Violation, ensure};
use crate::hub::{LineNo, Token};
use crate::platform::Sim;

/// Life of a policy's token.
const POLICY_TOKEN_LIFE: Duration = Duration::from_secs(3_600);

/// Runs of the controller at one moment.
const MOST_RUNS: usize = 10_000;

impl Process {
    /// Does what is due and carries out everything. Says when to come back.
    pub(crate) fn run(&mut self, now: Duration) -> Result<Duration, Violation> {
        // Some work is done a part at a time.
        for _ in 0..MOST_RUNS {
            let present = self.now(now);
            let due = self.controller.run(present, unix(present));
            let acted = self.act(now)?;
            if due > now && !acted {
                return Ok(due);
            }
        }
        ensure(false, "DUE", || format!("there is no rest at {now:?}"))?;
        Ok(now)
    }

    pub(super) fn handle(&mut self, input: Input<Sim>, now: Duration) -> Result<(), Violation> {
        self.controller.handle(input, self.now(now));
        self.act(now).map(drop)
    }

    pub(super) fn session(
        &mut self,
        attempt: AttemptId,
        event: SessionEvent<Sim>,
        now: Duration,
    ) -> Result<(), Violation> {
        self.handle(Input::Session { attempt, event }, now)
    }

    /// Carries out everything. False if there was nothing.
    fn act(&mut self, now: Duration) -> Result<bool, Violation> {
        let mut any = false;
        while let Some(action) = self.controller.action() {
            any = true;
            self.tally.action(&action);
            self.trace(|| format!("{action:?}"));
            self.execute(action, now)?;
        }
        Ok(any)
    }

    fn execute(&mut self, action: Action<Sim>, now: Duration) -> Result<(), Violation> {
        match action {
            Action::Answer(caller, answer) => self.answered(&caller, answer, now),
            Action::Open(open) => self.open(&open, now),
            Action::Close(place) => self.close(place.attempt, now),
            Action::Want(place, wants) => {
                if let Some(number) = self.device_of(place.attempt)
                    && let Some(at) = self.notes(number).and_then(|notes| notes.place.as_mut())
                {
                    at.wants = wants;
                    let linked = ToClient::Linked(place.attempt, wants.links());
                    let own = Out::Own(at.line, linked);
                    self.out.push(own);
                }
                Ok(())
            }
            Action::Drop(service, key) => self.drop_line(service, key),
            Action::Publish(id, route) => {
                let number = number(&id);
                let new = number.is_some_and(|number| self.routes.insert(number, route).is_none());
                ensure(new, "PUBLISHED", || format!("{id} is published twice"))
            }
            Action::Withdraw(id) => {
                let known = number(&id).is_some_and(|it| self.routes.remove(&it).is_some());
                ensure(known, "PUBLISHED", || format!("{id} is withdrawn twice"))
            }
            Action::ServiceNews(service, news, _) => {
                self.services.hear(service, news, now);
                self.refuses_all(service, news)
            }
            Action::Register(registration) => self.register(&registration, now),
            Action::Store {
                scope,
                kind,
                row,
                then,
            } => {
                let key = (scope.clone(), kind);
                match row {
                    Some(row) => _ = self.stored.rows.insert(key, row),
                    None => _ = self.stored.rows.remove(&key),
                }
                let result = Ok(());
                let written = Input::Written {
                    scope,
                    result,
                    then,
                };
                self.controller.handle(written, self.now(now));
                Ok(())
            }
            Action::ReadRows(scope) => {
                let rows = self.stored.rows.iter().filter(|((of, _), _)| *of == scope);
                let rows = Some(rows.map(|((_, kind), row)| (*kind, row.clone())).collect());
                self.controller
                    .handle(Input::Rows { scope, rows }, self.now(now));
                Ok(())
            }
            Action::StoreHub(change) => {
                match change {
                    HubChange::Put(hub) => _ = self.stored.hubs.insert(hub.device.clone(), hub),
                    HubChange::Forget(device) => _ = self.stored.hubs.remove(&device),
                    HubChange::Renew(..) => {}
                }
                Ok(())
            }
            Action::Changed {
                device: id, change, ..
            } => {
                let fine = change.status == ConnectionStatus::Connected;
                let as_told = fine == change.cause.is_none() && !(fine && change.session.is_some());
                ensure(as_told, "CAUSE", || format!("{id}: {change:?}"))
            }
            Action::Note(Note::Status(id, change)) => {
                let (status, reason) = (change.status, change.reason);
                let Some(notes) = number(&id).and_then(|number| self.notes(number)) else {
                    return Ok(());
                };
                if status == ConnectionStatus::Disabled {
                    // What comes after is another wait, and the connection may have room again.
                    notes.full = None;
                }
                let before = notes.status.replace((status, reason));
                ensure(before != Some((status, reason)), "STATUS-NEWS", || {
                    format!("{id} is told to be {status:?} again")
                })
            }
            Action::Note(_)
            | Action::LookAtClock(..)
            | Action::Service(..)
            | Action::StoreMark(..) => Ok(()),
            other => ensure(false, "UNASKED", || format!("{other:?}")),
        }
    }

    /// An attempt starts at a hub, or at DPS.
    fn starts(&mut self, service: ServiceId, now: Duration) -> Result<(), Violation> {
        let who = match self.fleet().host(service) {
            Some(host) => host.to_string(),
            None => "a hub without a name".into(),
        };
        self.services.starts(service, &who, now)
    }

    /// A registration is made: for a device that tries to connect, or for a caller.
    fn register(
        &mut self,
        registration: &controller::Registration,
        now: Duration,
    ) -> Result<(), Violation> {
        let Some(device) = number(&registration.device) else {
            return Ok(());
        };
        if self.ended != Some(device) {
            self.starts(ServiceId::DPS, now)?;
        }
        self.touched.insert(device);
        let another = self.registering.values().any(|(other, _)| *other == device);
        ensure(!another, "ONE-REGISTRATION", || {
            format!("device {device} registers twice at a time")
        })?;
        let whom = match registration.connects {
            true => self.charge(device, now)?,
            false => For::Caller,
        };
        self.registering.insert(registration.number, (device, whom));
        self.out.push(Out::Register(Registration {
            number: registration.number,
            device,
            deadline: registration.deadline,
            process: self.process,
        }));
        Ok(())
    }

    /// A device that tries to connect registers: it has a reason and a budget.
    fn charge(&mut self, device: u32, now: Duration) -> Result<For, Violation> {
        let machine = self.machine_of(device);
        let registers = machine.filter(|machine| machine.state() == State::Provisioning);
        let Some((epoch, hub_known)) =
            registers.map(|machine| (machine.epoch().number(), machine.hub().is_some()))
        else {
            return Ok(For::Removed);
        };
        if self.devices[device as usize].removed == Some(epoch) {
            return Ok(For::Removed);
        }
        let service = self.service_of(device);
        if self.hub_down_for(device, now) >= Some(self.scenario.gone_after) {
            self.services.goes(service);
        }
        let gone = service.is_some_and(|service| self.services.is_gone(service));
        let to_be_tried = hub_known && !gone && !self.asked.contains(&device);
        // One that waited for another was permitted earlier, at an unknown time.
        let late = match self.ended == Some(device) {
            true => REGISTRATION_TIMEOUT,
            false => Duration::ZERO,
        };
        self.budgets[device as usize].starts(device, to_be_tried, late, now)?;
        Ok(For::Attempt)
    }

    fn open(&mut self, open: &Open, now: Duration) -> Result<(), Violation> {
        let (attempt, service, key) = (open.place.attempt, open.place.hub, open.place.connection);
        self.starts(service, now)?;
        let Some(device) = number(&open.device) else {
            return Ok(());
        };
        self.touched.insert(device);
        ensure(attempt.serial > self.serial, "SERIALS", || {
            format!("attempt {} after {}", attempt.serial, self.serial)
        })?;
        self.serial = attempt.serial;
        let notes = &mut self.devices[device as usize];
        let (place, full) = (notes.place, notes.full.take());
        ensure(place.is_none(), "ONE-ATTEMPT", || {
            format!("device {device} opens while {place:?}")
        })?;
        ensure(full != Some((service, key)), "OTHER-CONNECTION", || {
            format!("device {device} goes back to {key:?}, which is full")
        })?;
        if full.is_some() {
            self.tally.note("opens elsewhere");
        }
        let line = self.line(service, key, now);
        self.devices[device as usize].place = Some(ConnectAttempt {
            attempt,
            line,
            phase: Phase::Opening,
            life: Duration::from_secs(open.token_life_s.into()),
            wants: open.wants,
            token: None,
        });
        let Some(it) = self.lines.get_mut(&line) else {
            return Ok(());
        };
        it.members.insert(attempt);
        let (members, ready) = (it.members.len(), it.ready);
        match ready {
            true => self.send_open(attempt, now),
            false => it.waiting.push(attempt),
        }
        self.is_well_placed(service, key, members)
    }

    /// A connection has as many devices as the ledger thinks, no more than it may have, and is not to be emptied.
    fn is_well_placed(
        &self,
        service: ServiceId,
        key: ConnectionKey,
        members: usize,
    ) -> Result<(), Violation> {
        let Some(ledger) = self.controller.pool(service).map(|pool| pool.ledger()) else {
            return ensure(false, "SLOTS", || format!("no pool of {service:?}"));
        };
        ensure(ledger.draining() != Some(key), "DRAINED", || {
            format!("{key:?} is to be emptied")
        })?;
        let most = self.scenario.slots;
        let (live, slots) = (ledger.live(key), ledger.slots(key));
        // Several actions may follow from one event.
        ensure(live >= members && slots <= most, "SLOTS", || {
            format!("{members} devices on {key:?}, {live} live, {slots} slots of {most}")
        })
    }

    /// The connection of a key, opened if need be.
    fn line(&mut self, service: ServiceId, key: ConnectionKey, now: Duration) -> LineNo {
        if let Some(line) = self.numbers.get(&(service, key)) {
            return *line;
        }
        let line = self.next_line;
        self.next_line += 1;
        self.numbers.insert((service, key), line);
        let host = self.fleet().host(service);
        let hub = host.and_then(|host| self.hub_no(host)).unwrap_or_default();
        let it = Line {
            service,
            hub,
            key,
            ready: false,
            members: BTreeSet::new(),
            waiting: Vec::new(),
        };
        self.lines.insert(line, it);
        let token = self.token(POLICY_TOKEN_LIFE, now);
        self.out.push(Out::ToHub(hub, line, ToHub::Connect(token)));
        line
    }

    /// The device's token and its attach go out.
    pub(super) fn send_open(&mut self, attempt: AttemptId, now: Duration) {
        let Some(device) = self.device_of(attempt) else {
            return;
        };
        let Some(place) = self.devices[device as usize].place else {
            return;
        };
        let token = self.token(place.life, now);
        if let Some(place) = &mut self.devices[device as usize].place {
            place.token = Some(token);
        }
        if let Some(hub) = self.hub_of(place.line) {
            let open = ToHub::Open(device, attempt, token);
            self.out.push(Out::ToHub(hub, place.line, open));
        }
    }

    const fn token(&self, life: Duration, now: Duration) -> Token {
        Token {
            issued: now,
            life,
            skew_s: self.skew_s,
        }
    }

    fn close(&mut self, attempt: AttemptId, now: Duration) -> Result<(), Violation> {
        let device = self.device_of(attempt);
        self.touched.extend(device);
        let place = device.and_then(|device| self.notes(device)?.ends(now));
        let closes = place
            .as_ref()
            .is_some_and(|it| it.attempt == attempt && it.phase != Phase::Closing);
        ensure(closes, "CLOSE-OF-NOTHING", || {
            format!("device {device:?} closes an attempt that is over, or twice")
        })?;
        let (Some(place), Some(device)) = (place, device) else {
            return Ok(());
        };
        place.phase = Phase::Closing;
        let (line, sent) = (place.line, place.token.is_some());
        match self.lines.get_mut(&line) {
            Some(it) if sent => {
                let close = ToHub::Close(device, attempt);
                self.out.push(Out::ToHub(it.hub, line, close));
                Ok(())
            }
            Some(it) => {
                it.waiting.retain(|waiting| *waiting != attempt);
                self.out.push(Out::Own(line, ToClient::Closed(attempt)));
                Ok(())
            }
            // Nobody is left to answer.
            None => {
                self.leaves(attempt, now);
                self.controller
                    .handle(Input::Busy(attempt, Command::Close), self.now(now));
                Ok(())
            }
        }
    }

    /// An attempt is on no connection any more.
    pub(super) fn leaves(&mut self, attempt: AttemptId, now: Duration) {
        let Some(number) = self.device_of(attempt) else {
            return;
        };
        let place = self.notes(number).and_then(|notes| {
            notes.ends(now);
            notes.place.take()
        });
        if let Some(line) = place.and_then(|place| self.lines.get_mut(&place.line)) {
            line.members.remove(&attempt);
        }
    }

    /// The controller drops a connection: no device is on it any more.
    fn drop_line(&mut self, service: ServiceId, key: ConnectionKey) -> Result<(), Violation> {
        let line = self.numbers.remove(&(service, key));
        let it = line.and_then(|line| self.lines.remove(&line));
        let Some((line, it)) = line.zip(it) else {
            return ensure(false, "DROPPED", || format!("{key:?} is dropped twice"));
        };
        ensure(it.members.is_empty(), "DROPPED", || {
            format!("{key:?} is dropped with {} devices", it.members.len())
        })?;
        self.out.push(Out::ToHub(it.hub, line, ToHub::Goodbye));
        Ok(())
    }

    /// A hub that is reported to refuse everyone has no connected device.
    fn refuses_all(&self, service: ServiceId, news: News) -> Result<(), Violation> {
        let lines = self.lines.values().filter(|line| line.service == service);
        let mut members = lines.flat_map(|line| &line.members);
        let connected = |attempt: &&AttemptId| {
            let machine = self.fleet().machine(attempt.device);
            machine.is_some_and(|it| matches!(it.state(), State::Connected { .. }))
        };
        let one = match news {
            News::RefusesEveryone => members.find(connected),
            _ => None,
        };
        ensure(one.is_none(), "REFUSES-SOME", || {
            format!("{service:?} is said to refuse everyone, and {one:?} is connected")
        })
    }
}
