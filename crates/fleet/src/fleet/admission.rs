//! Queueing for permits.

use std::time::Duration;

use drawspan_hub::{Failure, HostName};

use super::queue::Standing;
use super::turns::{CallerId, Callers};
use super::{Action, Context, Fleet, ServiceId, service::Service};
use crate::device::Epoch;
use crate::limits::PROBES_PER_CALLER;
use crate::mutation::{Mutation, planted};
use crate::time::Now;
use crate::{Input, State};

/// Tickets that nobody waits for any more are thrown out when there are this many more than twice the devices.
const STALE_TICKETS: usize = 1_024;

/// A device's place in a queue. Stale when the device does not queue any more, or has another place by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) device: u32,
    pub(super) epoch: Epoch,
    /// Tells it from those of devices that had the same index before.
    number: u32,
}

impl Position {
    /// Whether it is older than another one.
    pub(super) const fn is_before(&self, other: &Self) -> bool {
        self.number.wrapping_sub(other.number) > u32::MAX / 2
    }
}

/// What is in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticket {
    /// A device's attempt.
    Attempt(Position),
    /// A registration that a caller asked for.
    Registration(u64),
}

impl<B: Context> Fleet<B> {
    /// Queues for a registration by request, of which the caller keeps a bounded number; [`Action::Register`] says when it may start. It must be ended by
    /// [`Fleet::registration_ended`].
    pub fn register(&mut self, registration: u64, caller: CallerId) {
        let ticket = Ticket::Registration(registration);
        if let Some(dps) = self.service_mut(ServiceId::DPS) {
            dps.queue.push_asked(ticket, Standing::default(), caller);
        }
    }

    /// A registration that [`Action::Register`] allowed is not made yet: its caller has hung up, and those that are waited for go
    /// first from now on.
    pub fn registration_gives_way(&mut self, registration: u64, now: Now) {
        self.pass(0, now);
        if let Some(dps) = self.service_mut(ServiceId::DPS) {
            dps.queue.push_back(registration);
        }
    }

    /// The host of a hub, or of DPS.
    #[must_use]
    pub fn host(&self, service: ServiceId) -> Option<&HostName> {
        self.service(service).map(|service| &service.host)
    }

    /// The last failure of a service, or of the credentials shown to it.
    #[must_use]
    pub fn last_failure_of(&self, service: ServiceId) -> Option<&Failure> {
        self.service(service)?.record.last()
    }

    /// Why a caller should not wait for a device, if that is known: its hub, or DPS, has not answered since the start, or refuses what
    /// all devices share.
    #[must_use]
    pub fn refusal(&self, device: u32, now: Now) -> Option<&Failure> {
        self.refusal_of(self.waits_for(device)?, now)
    }

    /// The same of a service.
    #[must_use]
    pub fn refusal_of(&self, service: ServiceId, now: Now) -> Option<&Failure> {
        self.service(service)?.refusal(now.monotonic)
    }

    /// How long a device that was refused itself gives way to others, if it does: its hub, or DPS, refuses everyone, and those
    /// that it has not refused are tried first. A caller should not wait for that.
    #[must_use]
    pub fn stands_back(&self, device: u32, now: Now) -> Option<Duration> {
        let service = self.service(self.queues_at(device)?)?;
        let entry = self.entry(device)?;
        let wait = service.stands_back(entry.machine.has_another_way(), now.monotonic);
        wait.filter(|_| entry.standing.doubtful)
    }

    /// How long until the next device finds out whether a service still refuses everyone.
    #[must_use]
    pub fn next_probe(&self, service: ServiceId, now: Now) -> Option<Duration> {
        let service = self.service(service)?;
        let probe = service.next_probe();
        service.governor.breaker.check(now.monotonic, probe).err()
    }

    /// Whether a service refuses everyone, and as many registrations by request as may do so wait to find out whether it still does.
    #[must_use]
    pub fn has_probes_enough(&self, service: ServiceId) -> bool {
        self.service(service).is_some_and(|service| {
            let queue = &service.queue;
            service.governor.breaker.is_open() && queue.registrations() >= PROBES_PER_CALLER
        })
    }

    /// Whether a service refuses everyone: it gives permits to probes only.
    #[must_use]
    pub fn refuses_everyone(&self, service: ServiceId) -> bool {
        let service = self.service(service);
        service.is_some_and(|service| service.governor.breaker.is_open())
    }

    /// Whether a service has not answered since the start, so that callers do not wait for it.
    #[must_use]
    pub fn never_reached(&self, service: ServiceId, now: Now) -> bool {
        let service = self.service(service);
        service.is_some_and(|service| service.never_reached(now.monotonic))
    }

    /// Whether a service gives permits to probes only, because it cannot be reached or refuses everyone.
    #[must_use]
    pub fn stops_everybody(&self, service: ServiceId) -> bool {
        let service = self.service(service);
        service.is_some_and(|service| service.governor.stops_everybody())
    }

    /// Devices and registrations that queue at a service; tickets of attempts that are over count for a while.
    #[must_use]
    pub fn queue_of(&self, service: ServiceId) -> usize {
        self.service(service)
            .map_or(0, |service| service.queue.len())
    }

    /// Where a device queues, if it does.
    #[must_use]
    pub fn queues_at(&self, device: u32) -> Option<ServiceId> {
        let machine = self.machine(device)?;
        if machine.state() != State::Queued {
            return None;
        }
        if machine.must_register() {
            return Some(ServiceId::DPS);
        }
        self.known_hub(machine.hub()?)
    }

    /// The service whose permit or answer a device waits for, if it does.
    #[must_use]
    pub fn waits_for(&self, device: u32) -> Option<ServiceId> {
        match self.machine(device)?.state() {
            State::Queued => self.queues_at(device),
            State::Provisioning => Some(ServiceId::DPS),
            State::Connecting => self.entry(device)?.attempt.map(|attempt| attempt.hub),
            _ => None,
        }
    }

    /// Devices and registrations that queue for a permit; tickets of attempts that are over count for a while.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.services
            .iter()
            .map(|service| service.queue.len())
            .sum()
    }

    /// DPS first, then every hub that was needed: each with its host, and how many queue for a permit of it. Tickets of
    /// attempts that are over count for a while.
    pub fn services(&self) -> impl Iterator<Item = (ServiceId, &HostName, usize)> {
        let numbered = (0..).zip(&self.services);
        numbered.map(|(number, service)| (ServiceId(number), &service.host, service.queue.len()))
    }

    pub(super) fn queue_device(&mut self, device: u32, epoch: Epoch, now: Now) {
        let service = self.service_of(device);
        self.next_position = self.next_position.wrapping_add(1);
        let number = self.next_position;
        let Some(entry) = self.entries.get_mut(device as usize) else {
            return;
        };
        let (Some(entry), Some(service)) = (entry, self.services.get_mut(usize::from(service.0)))
        else {
            return;
        };
        let position = Position {
            device,
            epoch,
            number,
        };
        entry.position = number;
        entry.callers = Callers::default();
        let standing = entry.standing_at(service.connected == 0);
        for caller in entry.context.callers() {
            if entry.callers.insert(caller) {
                let ticket = Ticket::Attempt(position);
                service.queue.push_asked(ticket, standing, caller);
            }
        }
        if entry.callers.is_empty() {
            service.queue.push(position, standing);
        } else if service.governor.breaker.is_open() {
            self.actions.push_back(Action::MayWaitInVain(device));
        }
        let refused_for_now = service.governor.breaker.is_open() && entry.standing.doubtful;
        self.throw_out_stale_tickets();
        if refused_for_now {
            self.feed(device, Input::RefusedForNow, now);
        }
    }

    /// A caller waits for a device that may be in a queue already: it gets a ticket in the caller's turn.
    pub(super) fn bring_forward(&mut self, device: u32, caller: CallerId) {
        let Some(service) = self.queues_at(device) else {
            return;
        };
        let Some(Some(entry)) = self.entries.get_mut(device as usize) else {
            return;
        };
        if !entry.context.is_waited_for() {
            return;
        }
        if entry.callers.is_empty() {
            // This makes its ticket among the devices without a waiting caller stale.
            self.next_position = self.next_position.wrapping_add(1);
            entry.position = self.next_position;
        }
        if !entry.callers.insert(caller) {
            return;
        }
        let ticket = Ticket::Attempt(Position {
            device,
            epoch: entry.machine.epoch(),
            number: entry.position,
        });
        if let Some(service) = self.services.get_mut(usize::from(service.0)) {
            let standing = entry.standing_at(service.connected == 0);
            service.queue.push_asked(ticket, standing, caller);
        }
        self.throw_out_stale_tickets();
    }

    /// Throws out stale tickets from each queue that may have too many of them.
    fn throw_out_stale_tickets(&mut self) {
        let most = 2 * self.by_id.len() + STALE_TICKETS;
        let is_long =
            |service: &Service| service.queue.attempts() > service.most_attempts.max(most);
        if !self.services.iter().any(is_long) {
            return;
        }
        let mut services = std::mem::take(&mut self.services);
        for service in services.iter_mut().filter(|service| is_long(service)) {
            service.queue.retain(|position| self.is_valid(*position));
            // A device has a ticket for each of its callers, so that many may be left.
            service.most_attempts = service.queue.attempts() + most;
        }
        self.services = services;
    }

    /// Where a device's next permit comes from.
    fn service_of(&mut self, index: u32) -> ServiceId {
        let Some(machine) = self.machine(index) else {
            return ServiceId::DPS;
        };
        if machine.must_register() {
            return ServiceId::DPS;
        }
        let host = machine.hub().cloned();
        host.and_then(|host| self.hub(&host))
            .unwrap_or(ServiceId::DPS)
    }

    pub(super) fn known_hub(&self, host: &HostName) -> Option<ServiceId> {
        let hubs = self.services.iter().skip(1);
        let known = hubs.zip(1..).find(|(service, _)| service.host == *host);
        known.map(|(_, number)| ServiceId(number))
    }

    /// The number of a hub, given on first sight; `None` when there are as many as there may be.
    pub(super) fn hub(&mut self, host: &HostName) -> Option<ServiceId> {
        if let Some(known) = self.known_hub(host) {
            return Some(known);
        }
        if self.services.len() > self.config.max_hubs {
            return None;
        }
        let number = u16::try_from(self.services.len()).ok()?;
        self.services.push(Service::new(
            host.clone(),
            self.config.hub_pace,
            self.config.credentials,
        ));
        Some(ServiceId(number))
    }

    /// Where a service refuses everyone, a caller's devices wait for their turn to be the probe: only so many that it comes in
    /// time. The others, which were asked for longest ago, stay in the queue without it.
    pub(super) fn turn_away_surplus(&mut self) {
        for number in 0..self.services.len() {
            while let Some(position) = self.surplus_of(number) {
                if !self.is_valid(position) {
                    continue;
                }
                self.next_position = self.next_position.wrapping_add(1);
                let position = Position {
                    number: self.next_position,
                    ..position
                };
                let Some(entry) = self.entry_mut(position.device) else {
                    continue;
                };
                entry.position = position.number;
                entry.callers = Callers::default();
                let standing = entry.standing_at(true);
                if let Some(service) = self.services.get_mut(number) {
                    service.queue.push(position, standing);
                }
                self.actions
                    .push_back(Action::TurnAwayDevice(position.device));
            }
        }
    }

    fn surplus_of(&mut self, number: usize) -> Option<Position> {
        let service = self.services.get_mut(number)?;
        let is_open = service.governor.breaker.is_open();
        is_open.then(|| service.queue.surplus(PROBES_PER_CALLER))?
    }

    /// Gives out what the governors allow, and says when they allow more.
    pub(super) fn grant_permits(&mut self, now: Now) -> Option<Duration> {
        let mut due = None;
        for number in 0..self.services.len() {
            if let Some(wait) = self.grant_permits_of(number, now) {
                let at = now.monotonic + wait;
                due = Some(due.map_or(at, |due: Duration| due.min(at)));
            }
        }
        due
    }

    fn grant_permits_of(&mut self, number: usize, now: Now) -> Option<Duration> {
        loop {
            let jitter = self.chance.draw();
            let service = self.services.get_mut(number)?;
            match service.next(now.monotonic, jitter) {
                Err(wait) => return Some(wait),
                Ok(None) => return None,
                Ok(Some(Ticket::Registration(registration))) => {
                    service.record.contact.begins(now.monotonic);
                    self.actions.push_back(Action::Register { registration });
                }
                Ok(Some(Ticket::Attempt(position))) if self.is_valid(position) => {
                    let epoch = position.epoch;
                    if self.is_waited_for_no_more(number, position) {
                        self.pass(number, now);
                        self.queue_device(position.device, epoch, now);
                    } else {
                        let service = self.services.get_mut(number)?;
                        service.record.contact.begins(now.monotonic);
                        self.feed(position.device, Input::Permit { epoch }, now);
                    }
                }
                Ok(Some(Ticket::Attempt(..))) => self.pass(number, now),
            }
        }
    }

    /// The ticket whose turn it was is not used.
    fn pass(&mut self, number: usize, now: Now) {
        if let Some(service) = self.services.get_mut(number)
            && !planted(Mutation::PermitKept)
        {
            service.queue.pass();
            service.governor.give_back(now.monotonic);
        }
    }

    fn is_valid(&self, position: Position) -> bool {
        self.entry(position.device).is_some_and(|entry| {
            entry.position == position.number
                && entry.machine.state() == State::Queued
                && entry.machine.epoch() == position.epoch
        })
    }

    /// Whether a device went before others for callers who have all hung up since. Those who were refused for what all devices share
    /// have not: they may come back.
    fn is_waited_for_no_more(&self, number: usize, position: Position) -> bool {
        let service = self.services.get(number);
        let entry = self.entry(position.device);
        !service.is_some_and(Service::refuses_shared)
            && entry
                .is_some_and(|entry| !entry.callers.is_empty() && !entry.context.is_waited_for())
    }

    pub(super) fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(usize::from(id.0))
    }

    pub(super) fn service_mut(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.services.get_mut(usize::from(id.0))
    }
}
