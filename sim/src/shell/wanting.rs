//! What callers ask for, and whether the devices do it.

use std::time::Duration;

use drawspan_bridge::State;
use drawspan_bridge::fleet::ServiceId;
use drawspan_bridge::limits::{TEMPORARY_MAX, TEMPORARY_MIN};

use super::notes::caller_of;
use super::{Shell, Want};
use crate::check::{Violation, ensure};
use crate::hub::DeviceNo;
use crate::scenario::Profile;

impl Shell {
    /// A request uses a device. True if it has to wait.
    pub(crate) fn used(&mut self, number: DeviceNo, now: Duration) -> bool {
        self.wants[number as usize].used = Some(now);
        let Some(index) = self.known(number) else {
            return false;
        };
        let state = self.fleet.machine(index).map(|it| it.state());
        let Some(notes) = self.notes(index) else {
            return false;
        };
        if matches!(state, Some(State::Connected { .. })) {
            notes.used = Some(now);
            return false;
        }
        notes.waiters += 1;
        let time = self.now(now);
        self.fleet.used(index, caller_of(number), now, time);
        true
    }

    /// Somebody waits no longer.
    pub(crate) fn gives_up(&mut self, number: DeviceNo) {
        let index = self.index_of(number);
        if let Some(notes) = index.and_then(|index| self.notes(index)) {
            notes.waiters = notes.waiters.saturating_sub(1);
        }
    }

    pub(crate) fn subscribe(&mut self, number: DeviceNo, permanent: bool, now: Duration) {
        self.wants[number as usize].permanent = permanent;
        let index = if permanent {
            self.known(number)
        } else {
            self.index_of(number)
        };
        if let Some(index) = index {
            self.touched.insert(index);
            let time = self.now(now);
            self.fleet.permanent(index, permanent, time);
        }
    }

    pub(crate) fn resync(&mut self, number: DeviceNo, now: Duration) {
        if let Some(index) = self.index_of(number) {
            self.touched.insert(index);
            let state = self.fleet.machine(index).map(|machine| machine.state());
            let by_dps = self.scenario.profile == Profile::Dps;
            let hub_down = by_dps && self.hub_down_for(index, now).is_some();
            if hub_down {
                self.asked.insert(number);
            }
            match state {
                Some(State::Queued | State::Connecting) if hub_down => {
                    self.budgets[number as usize].forgiven();
                }
                Some(State::Waiting { .. } | State::Yielded { .. }) => {
                    self.budgets[number as usize].forgiven();
                }
                _ => {}
            }
            let time = self.now(now);
            self.fleet.resync(index, time);
        }
    }

    /// A device is removed.
    pub(crate) fn release(&mut self, number: DeviceNo, now: Duration) {
        self.wants[number as usize] = Want::default();
        self.cache[number as usize] = None;
        let Some(index) = self.index_of(number) else {
            return;
        };
        self.touched.insert(index);
        if let Some(notes) = self.notes(index) {
            notes.waiters = 0;
        }
        let budget = &mut self.budgets[number as usize];
        budget.forgiven();
        budget.forgotten();
        let time = self.now(now);
        self.fleet.release(index, time);
    }

    /// A caller asks to register a device; some give up before it is its turn.
    pub(crate) fn ask_to_register(&mut self, number: DeviceNo, stays: bool) {
        if self.callers.len() >= self.most_registrations() {
            return;
        }
        self.next_registration += 1;
        let registration = self.next_registration;
        self.callers.insert(registration, stays.then_some(number));
        self.fleet.register(registration, caller_of(number));
    }

    /// Registrations by callers that may wait.
    fn most_registrations(&self) -> usize {
        5 + 2 * self.ids.len()
    }

    /// The index of a device, which the fleet knows from now on.
    fn known(&mut self, number: DeviceNo) -> Option<u32> {
        let id = self.ids[number as usize].clone();
        let index = match self.fleet.find(&id) {
            Some(index) => index,
            None => {
                self.budgets[number as usize].forgotten();
                let assignment = self.assignment(number);
                self.fleet.device(&id, || assignment).ok()?
            }
        };
        self.notes(index)?.number = number;
        self.touched.insert(index);
        Some(index)
    }

    /// Every device does what is wanted of it.
    pub(crate) fn scan(&mut self, due: Option<Duration>, now: Duration) -> Result<(), Violation> {
        let mut queued = 0;
        let hubs = 0..=self.hosts.len() as u16;
        let mut queues: Vec<(ServiceId, usize)> =
            hubs.map(|number| (ServiceId::of(number), 0)).collect();
        for number in 0..self.ids.len() {
            let want = self.wants[number];
            let Some(index) = self.index_of(number as DeviceNo) else {
                ensure(!want.surely(now), "WANTED-AND-FORGOTTEN", || {
                    format!("device {number}, wanted: {want:?}")
                })?;
                continue;
            };
            self.agrees(index)?;
            let Some(machine) = self.fleet.machine(index) else {
                continue;
            };
            let state = machine.state();
            self.tally.state(state);
            if state == State::Queued {
                queued += 1;
                let host = machine.hub().filter(|_| !machine.must_register());
                let at = |service| host.is_none_or(|host| self.fleet.host(service) == Some(host));
                if let Some((_, queue)) = queues.iter_mut().find(|(service, _)| at(*service)) {
                    *queue += 1;
                }
            }
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
            let told = self.fleet.beside(index).and_then(|notes| notes.status);
            ensure(status == told, "STATUS-TOLD", || {
                format!("device {number} is said to be {told:?}, and is {status:?}")
            })?;
        }
        for (service, queue) in queues {
            self.withheld(service, queue, due, now)?;
        }
        let (length, tickets) = (self.fleet.len(), self.fleet.queued());
        ensure(queued <= tickets, "QUEUE", || {
            format!("{queued} devices queue with {tickets} tickets")
        })?;
        let counted = self.fleet.census().queued;
        ensure(queued == counted, "CENSUS", || {
            format!("{queued} devices queue, {counted} are counted")
        })?;
        // Stale ones are thrown out when one too many comes, not when devices go.
        let most = 2 * self.ids.len() + 1_025;
        let queues = self.hosts.len() + 1;
        let timers = self.fleet.timers();
        let bounded = tickets <= most * queues + self.most_registrations() && timers <= most;
        ensure(bounded, "BOUNDS", || {
            format!("{tickets} tickets and {timers} timers for {length} devices")
        })
    }

    /// What happened to the devices that something happened to.
    pub(crate) fn check_touched(&mut self) -> Result<(), Violation> {
        while let Some(index) = self.touched.pop_first() {
            self.agrees(index)?;
            let Some(epoch) = self.fleet.machine(index).map(|it| it.epoch().number()) else {
                continue;
            };
            let Some(notes) = self.notes(index) else {
                continue;
            };
            let before = std::mem::replace(&mut notes.epoch, epoch);
            let number = notes.number;
            ensure(epoch >= before, "EPOCHS", || {
                format!("device {number}: {epoch} after {before}")
            })?;
        }
        Ok(())
    }
}

impl Want {
    /// Whether it must be wanted.
    pub(crate) fn surely(&self, now: Duration) -> bool {
        self.permanent || self.used.is_some_and(|used| now < used + TEMPORARY_MIN)
    }

    /// Whether it may be wanted.
    pub(crate) fn maybe(&self, now: Duration) -> bool {
        self.permanent || self.used.is_some_and(|used| now < used + TEMPORARY_MAX)
    }
}
