//! What the fleet wants done.

use std::time::Duration;

use drawspan_bridge::device::How;
use drawspan_bridge::fleet::{Action, Attempt, News, ServiceId};
use drawspan_bridge::{Epoch, Left, State};

use super::notes::{Phase, Place};
use super::{Link, Origin, Out, Registration, Shell, ToClient, ToHub};
use crate::check::outage::Outage;
use crate::check::pace::Bucket;
use crate::check::{Violation, ensure};
use crate::hub::{LineNo, Token, valid_until};
use crate::scenario::Profile;

/// Life of a policy's token.
const POLICY_TOKEN_LIFE: Duration = Duration::from_secs(3_600);

impl Shell {
    /// Does what is due and carries out everything. Says when to come back.
    pub(crate) fn run(&mut self, now: Duration) -> Result<Option<Duration>, Violation> {
        loop {
            let due = self.fleet.run(self.now(now));
            if !self.act(now)? {
                return Ok(due);
            }
        }
    }

    /// Carries out everything. False if there was nothing.
    pub(super) fn act(&mut self, now: Duration) -> Result<bool, Violation> {
        let mut any = false;
        while let Some(action) = self.fleet.action() {
            any = true;
            self.tally.action(&action);
            self.trace(|| format!("{action:?}"));
            match action {
                Action::Provision { device, epoch } => self.provision(device, epoch, now)?,
                Action::Register { registration } => self.register(registration, now)?,
                Action::Open { attempt, hub, how } => self.open(attempt, hub, how, now)?,
                Action::Close { attempt } => self.close(attempt, now)?,
                Action::StatusChanged {
                    device,
                    status,
                    reason,
                    ..
                } => {
                    self.touched.insert(device);
                    let Some(notes) = self.notes(device) else {
                        continue;
                    };
                    let before = notes.status.replace((status, reason));
                    ensure(before != Some((status, reason)), "STATUS-NEWS", || {
                        format!("device {device} is told to be {status:?} again")
                    })?;
                }
                Action::News(service, news) => {
                    self.news_of(service, news, now);
                    self.refuses_all(service, news)?;
                }
                // Its callers wait as long as it takes.
                Action::TurnAway(_) => {}
            }
        }
        Ok(any)
    }

    /// An attempt starts at a hub, or at DPS.
    fn starts(&mut self, service: ServiceId, now: Duration) -> Result<(), Violation> {
        let who = match self.fleet.host(service) {
            Some(host) => host.to_string(),
            None => "a hub without a name".into(),
        };
        self.pace(service).starts(&who, now)?;
        self.outages.entry(service).or_default().starts(&who, now)
    }

    fn pace(&mut self, service: ServiceId) -> &mut Bucket {
        let pace = if service == ServiceId::DPS {
            self.scenario.dps_pace
        } else {
            self.scenario.hub_pace
        };
        let bucket = self.paces.entry(service);
        bucket.or_insert_with(|| Bucket::new(pace))
    }

    /// Who queues is let through as soon as the pace allows it, and nobody queues for ever.
    pub(super) fn withheld(
        &mut self,
        service: ServiceId,
        queued: usize,
        due: Option<Duration>,
        now: Duration,
    ) -> Result<(), Violation> {
        let outage = self.outages.get(&service).is_some_and(Outage::lasts);
        let held_up = outage || self.refusing.contains(&service);
        let room = self.pace(service).has_room(now);
        ensure(queued == 0 || held_up || !room, "WITHHELD", || {
            format!("{queued} devices queue at {service:?}, which takes more")
        })?;
        ensure(queued == 0 || due.is_some(), "WITHHELD", || {
            format!("{queued} devices queue at {service:?} for ever")
        })
    }

    fn provision(&mut self, index: u32, epoch: Epoch, now: Duration) -> Result<(), Violation> {
        self.starts(ServiceId::DPS, now)?;
        self.touched.insert(index);
        let hub_known = self
            .fleet
            .machine(index)
            .is_some_and(|it| it.hub().is_some());
        let Some(notes) = self.notes(index) else {
            return Ok(());
        };
        let device = notes.number;
        let other = notes.registering.replace(epoch.number());
        ensure(other.is_none(), "ONE-REGISTRATION", || {
            format!("device {device} registers twice at a time")
        })?;
        let service = self.service_of(index);
        if self.hub_down_for(index, now) >= Some(self.scenario.gone_after) {
            self.gone.extend(service);
        }
        let gone = service.is_some_and(|service| self.gone.contains(&service));
        let to_be_tried = hub_known && !gone && !self.asked.contains(&device);
        self.budgets[device as usize].starts(device, to_be_tried, now)?;
        self.out.push(Out::Register(Registration {
            device,
            origin: Origin::Attempt { index, epoch },
            process: self.process,
        }));
        Ok(())
    }

    fn register(&mut self, registration: u64, now: Duration) -> Result<(), Violation> {
        let Some(Some(device)) = self.callers.remove(&registration) else {
            // Whoever asked has given up.
            self.fleet.registration_abandoned(self.now(now));
            return Ok(());
        };
        self.starts(ServiceId::DPS, now)?;
        self.out.push(Out::Register(Registration {
            device,
            origin: Origin::Caller,
            process: self.process,
        }));
        Ok(())
    }

    fn open(
        &mut self,
        attempt: Attempt,
        hub: ServiceId,
        how: How,
        now: Duration,
    ) -> Result<(), Violation> {
        self.starts(hub, now)?;
        let index = attempt.device;
        self.touched.insert(index);
        ensure(attempt.serial > self.serial, "SERIALS", || {
            format!("attempt {} after {}", attempt.serial, self.serial)
        })?;
        self.serial = attempt.serial;
        let Some(notes) = self.fleet.beside(index) else {
            return Ok(());
        };
        ensure(notes.place.is_none(), "ONE-ATTEMPT", || {
            format!("device {index} opens while {:?}", notes.place)
        })?;
        let device = notes.number;
        let full = notes
            .full
            .filter(|(at, _)| how.other_connection && *at == hub);
        let not = full.map(|(_, key)| key);
        let id = self.ids[device as usize].clone();
        let ledger = &mut self.pool(hub).ledger;
        let draining = ledger.drain(usize::MAX, now);
        let key = ledger.place(&id, not, now);
        ensure(draining != Some(key), "DRAINED", || {
            format!("device {device} goes to {key:?}, which is to be emptied")
        })?;
        ensure(not != Some(key), "OTHER-CONNECTION", || {
            format!("device {device} goes back to {key:?}, which is full")
        })?;
        let line = self.line(hub, key, now);
        if let Some(notes) = self.notes(index) {
            notes.place = Some(Place {
                line,
                hub,
                key,
                phase: Phase::Opening,
                token: None,
            });
        }
        let Some(link) = self.links.get_mut(&line) else {
            return Ok(());
        };
        link.members.insert(index);
        let (members, ready) = (link.members.len(), link.ready);
        if ready {
            self.send_open(attempt, now);
        } else {
            link.waiting.push(attempt);
        }
        let most = self.scenario.slots;
        let ledger = &self.pool(hub).ledger;
        let (live, slots) = (ledger.live(key), ledger.slots(key));
        ensure(live == members && slots <= most, "SLOTS", || {
            format!("{members} devices on {key:?}, {live} live, {slots} slots of {most}")
        })
    }

    /// The connection of a key, opened if need be.
    fn line(
        &mut self,
        service: ServiceId,
        key: drawspan_hub::ConnectionKey,
        now: Duration,
    ) -> LineNo {
        if let Some(line) = self.pool(service).lines.get(&key) {
            return *line;
        }
        let line = self.next_line;
        self.next_line += 1;
        self.pool(service).lines.insert(key, line);
        let hub = self.hub_no(service).unwrap_or_default();
        let link = Link {
            service,
            hub,
            key,
            ready: false,
            members: std::collections::BTreeSet::new(),
            waiting: Vec::new(),
        };
        self.links.insert(line, link);
        let token = self.token(now);
        self.out.push(Out::ToHub(hub, line, ToHub::Connect(token)));
        line
    }

    /// The device's token and its attach go out.
    pub(super) fn send_open(&mut self, attempt: Attempt, now: Duration) {
        let token = self.token(now);
        let Some(notes) = self.notes(attempt.device) else {
            return;
        };
        let device = notes.number;
        let Some(place) = &mut notes.place else {
            return;
        };
        place.token = Some(token);
        let line = place.line;
        if let Some(hub) = self.hub_of(line) {
            let open = ToHub::Open(device, attempt, token);
            self.out.push(Out::ToHub(hub, line, open));
        }
    }

    fn token(&self, now: Duration) -> Token {
        let life = match self.scenario.profile {
            Profile::Policy => POLICY_TOKEN_LIFE,
            Profile::DeviceKeys | Profile::Dps => self.scenario.token_life,
        };
        Token {
            issued: now,
            life,
            skew_s: self.skew_s,
        }
    }

    fn close(&mut self, attempt: Attempt, now: Duration) -> Result<(), Violation> {
        let index = attempt.device;
        self.touched.insert(index);
        let current = self.fleet.is_current(attempt);
        let Some(notes) = self.notes(index) else {
            return Ok(());
        };
        notes.used = None;
        let device = notes.number;
        let place = notes.place.as_mut();
        let closes = current && place.as_ref().is_some_and(|it| it.phase != Phase::Closing);
        ensure(closes, "CLOSE-OF-NOTHING", || {
            format!("device {device} closes an attempt that is over, or twice")
        })?;
        let Some(place) = place else { return Ok(()) };
        place.phase = Phase::Closing;
        let (line, sent) = (place.line, place.token.is_some());
        match self.links.get_mut(&line) {
            Some(link) if sent => {
                let close = ToHub::Close(device, attempt);
                self.out.push(Out::ToHub(link.hub, line, close));
            }
            Some(link) => {
                link.waiting.retain(|waiting| *waiting != attempt);
                self.out.push(Out::Own(line, ToClient::Closed(attempt)));
            }
            // Nobody is left to answer.
            None => {
                self.leave(index, true, now);
                self.fleet.closed(attempt, self.now(now));
            }
        }
        Ok(())
    }

    /// The device is on no connection any more; `counted` if the hub may have taken a token from it.
    pub(super) fn leave(&mut self, index: u32, counted: bool, now: Duration) {
        let Some(notes) = self.notes(index) else {
            return;
        };
        notes.used = None;
        let device = notes.number;
        let Some(place) = notes.place.take() else {
            return;
        };
        let until = place
            .token
            .filter(|_| counted)
            .map(|token| valid_until(Token { skew_s: 0, ..token }, now));
        let id = self.ids[device as usize].clone();
        if let Some(link) = self.links.get_mut(&place.line) {
            link.members.remove(&index);
        }
        let pool = self.pool(place.hub);
        if pool.ledger.leave(&id, place.key, until) == Left::Last {
            pool.lines.remove(&place.key);
            if let Some(link) = self.links.remove(&place.line) {
                self.out
                    .push(Out::ToHub(link.hub, place.line, ToHub::Goodbye));
            }
        }
    }

    fn news_of(&mut self, service: ServiceId, news: News, now: Duration) {
        let outage = self.outages.entry(service).or_default();
        match news {
            News::Unreachable => outage.begins(now),
            News::Reachable => {
                // A device that was on its way there may ask still.
                if outage.lasted(now) >= Some(self.scenario.gone_after) {
                    self.gone.insert(service);
                }
                outage.ends();
            }
            News::RefusesEveryone => _ = self.refusing.insert(service),
            News::TakesCredentials => _ = self.refusing.remove(&service),
            News::RefusesCredentials | News::Silent | News::Failing | News::Recovered => {}
        }
    }

    /// A hub that is reported to refuse everyone has no connected device.
    fn refuses_all(&self, service: ServiceId, news: News) -> Result<(), Violation> {
        let links = self.links.values().filter(|link| link.service == service);
        let mut members = links.flat_map(|link| &link.members);
        let connected = |index: &&u32| {
            let machine = self.fleet.machine(**index);
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

    /// Whether a device's state and its place mean the same.
    pub(crate) fn agrees(&self, index: u32) -> Result<(), Violation> {
        let (Some(machine), Some(notes)) = (self.fleet.machine(index), self.fleet.beside(index))
        else {
            return Ok(());
        };
        let state = machine.state();
        let phase = notes.place.map(|place| place.phase);
        let expected = match state {
            State::Connecting => Some(Phase::Opening),
            State::Connected { .. } => Some(Phase::Open),
            State::Closing => Some(Phase::Closing),
            _ => None,
        };
        ensure(phase == expected, "STATE-AND-PLACE", || {
            format!(
                "device {} is {state:?} and its place {phase:?}",
                notes.number
            )
        })?;
        let registers = state == State::Provisioning;
        ensure(
            notes.registering.is_some() == registers,
            "STATE-AND-DPS",
            || {
                format!(
                    "device {} is {state:?} and registers: {:?}",
                    notes.number, notes.registering
                )
            },
        )
    }
}
