//! Whether every device does what is wanted of it, and is where it should be.

use std::time::Duration;

use drawspan_bridge::limits::{REGISTRATION_TIMEOUT, WAITING_REGISTRATIONS};
use drawspan_fleet::{ServiceId, State};

use super::Process;
use super::device::Phase;
use crate::check::{Violation, ensure};
use crate::hub::DeviceNo;

impl Process {
    /// Looks at every device.
    pub(crate) fn scan(&mut self, now: Duration) -> Result<(), Violation> {
        let mut queued = 0;
        let hubs = 0..=self.hosts.len() as u16;
        let mut queues: Vec<(ServiceId, usize)> =
            hubs.map(|number| (ServiceId::of(number), 0)).collect();
        for number in 0..self.ids.len() as DeviceNo {
            let Some(queue) = self.look_at(number, now)? else {
                continue;
            };
            queued += 1;
            if let Some((_, length)) = queues.iter_mut().find(|(service, _)| *service == queue) {
                *length += 1;
            }
        }
        // Of those that callers ask for, some are permitted and not made: they wait for another one of their device.
        let asked = self.asked_to_register;
        let unclear = asked.is_some_and(|asked| now < asked + REGISTRATION_TIMEOUT);
        // A permit for a device that has no place on any connection is used up.
        let placed = self.scenario.max_connections.is_none();
        for (service, queue) in queues {
            let clear = match service {
                ServiceId::DPS => !unclear,
                _ => placed,
            };
            if clear {
                self.services.withheld(service, queue, now)?;
            }
        }
        self.is_bounded(queued)
    }

    /// Whether a device does what is wanted of it. Where it queues, if it does.
    fn look_at(&mut self, number: DeviceNo, now: Duration) -> Result<Option<ServiceId>, Violation> {
        let want = self.wants[number as usize];
        let Some(index) = self.index_of(number) else {
            ensure(!want.surely(now), "WANTED-AND-FORGOTTEN", || {
                format!("device {number}, wanted: {want:?}")
            })?;
            return Ok(None);
        };
        self.agrees(number)?;
        let Some(machine) = self.fleet().machine(index) else {
            return Ok(None);
        };
        let state = machine.state();
        let due = machine.next_deadline();
        ensure(due.is_none_or(|due| due > now), "DEADLINE-MISSED", || {
            format!("device {number} was due at {due:?} and is {state:?}")
        })?;
        let waits = matches!(state, State::Waiting { .. } | State::Yielded { .. });
        ensure(!waits || due.is_some(), "NO-DEADLINE", || {
            format!("device {number} is {state:?} for ever")
        })?;
        ensure(
            state != State::Idle || !want.surely(now),
            "WANTED-AND-IDLE",
            || format!("device {number}, wanted: {want:?}"),
        )?;
        let at_rest = matches!(state, State::Idle | State::Closing | State::Provisioning);
        ensure(at_rest || want.maybe(now), "UNWANTED", || {
            format!("device {number} is {state:?}, wanted: {want:?}")
        })?;
        let status = machine.status();
        let told = self.devices[number as usize].status;
        ensure(status == told, "STATUS-TOLD", || {
            format!("device {number} is said to be {told:?}, and is {status:?}")
        })?;
        let published = self.routes.contains_key(&number);
        let connected = matches!(state, State::Connected { .. });
        ensure(published == connected, "PUBLISHED", || {
            format!("device {number} is {state:?}, published: {published}")
        })?;
        let host = machine.hub().filter(|_| !machine.must_register());
        let service = match host {
            Some(_) => self.service_of(number),
            None => Some(ServiceId::DPS),
        };
        self.tally.state(state);
        Ok(service.filter(|_| state == State::Queued))
    }

    fn is_bounded(&self, queued: usize) -> Result<(), Violation> {
        let fleet = self.fleet();
        let (length, tickets) = (fleet.len(), fleet.queued());
        ensure(queued <= tickets, "QUEUE", || {
            format!("{queued} devices queue with {tickets} tickets")
        })?;
        let counted = fleet.state_counts().queued;
        ensure(queued == counted, "CENSUS", || {
            format!("{queued} devices queue, {counted} are counted")
        })?;
        // Stale ones are thrown out when one too many comes, not when devices go.
        let most = 2 * self.ids.len() + 1_025;
        let queues = self.hosts.len() + 1;
        let timers = fleet.timers();
        let bounded = tickets <= most * queues + WAITING_REGISTRATIONS && timers <= most;
        ensure(bounded, "BOUNDS", || {
            format!("{tickets} tickets and {timers} timers for {length} devices")
        })
    }

    /// What happened to the devices that something happened to.
    pub(crate) fn check_touched(&mut self) -> Result<(), Violation> {
        while let Some(number) = self.touched.pop_first() {
            self.agrees(number)?;
            let Some(index) = self.index_of(number) else {
                continue;
            };
            let epoch = self.fleet().machine(index).map(|it| it.epoch().number());
            let seen = epoch.map(|epoch| (index, epoch));
            let Some(notes) = self.notes(number) else {
                continue;
            };
            let before = std::mem::replace(&mut notes.epoch, seen);
            let same = before.filter(|(of, _)| *of == index);
            let grows = same.is_none_or(|(_, before)| epoch >= Some(before));
            ensure(grows, "EPOCHS", || {
                format!("device {number}: {epoch:?} after {before:?}")
            })?;
        }
        Ok(())
    }

    /// Whether a device's state and its place mean the same.
    fn agrees(&self, number: DeviceNo) -> Result<(), Violation> {
        let Some(machine) = self.machine_of(number) else {
            return Ok(());
        };
        let state = machine.state();
        let place = self.devices[number as usize].place;
        let phase = place.map(|place| place.phase);
        let expected = match state {
            State::Connecting => Some(Phase::Opening),
            State::Connected { .. } => Some(Phase::Open),
            State::Closing => Some(Phase::Closing),
            _ => None,
        };
        ensure(phase == expected, "STATE-AND-PLACE", || {
            format!("device {number} is {state:?} and its place {phase:?}")
        })?;
        let registers = state == State::Provisioning;
        let mut registering = self.registering.values();
        let asked = !registers || registering.any(|(device, _)| *device == number);
        ensure(asked, "STATE-AND-DPS", || {
            format!("device {number} is {state:?}, and nobody asks DPS")
        })
    }
}
