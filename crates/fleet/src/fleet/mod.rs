//! All devices of a process: their machines, queues and timers.
//!
//! A [`Fleet`] owns a [`Device`] for each requested id, feeds it inputs, and turns its effects into [`Action`]s for the caller to
//! carry out in order. Devices that ask for a permit queue at the hub that they belong to, or at DPS ([`service`]); each of those
//! has a [`Governor`](crate::Governor), so that a hub that is down or slow does not delay devices of others. Requests go first, in
//! turns that rotate among callers, but every fourth permit goes to a device that reconnects by itself ([`queue`]).
//!
//! The caller's data for a device (who waits for it, where its connection is) is stored next to the machine, in a type of the
//! caller's ([`Context`]), so that a device is one entry and is forgotten as a whole.
//!
//! An attempt to connect is an [`AttemptId`], unique in the process. `Open` is answered by [`Fleet::opened`] or [`Fleet::ended`],
//! `Close` by [`Fleet::closed`], `Provision` by [`Fleet::assigned`]. An answer for a finished attempt changes nothing.

mod action;
mod admission;
mod contact;
mod entry;
mod gone;
mod lookup;
mod queue;
pub(crate) mod quota;
mod record;
mod responses;
mod service;
mod state_counts;
mod timers;
mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use drawspan_hub::{AttemptId, DeviceId, FailureKind, HostName};

use crate::credential_scope::CredentialScope;
use crate::device::{Assignment, Effect, Epoch};
use crate::governor::Pace;
use crate::mutation::{Mutation, planted};
use crate::time::{Chance, Now};
use crate::{Device, Effects, Input, State};
use entry::Entry;
use service::Service;
use timers::Timers;

pub use action::{Action, News, ServiceId};
pub use entry::Context;
pub use state_counts::StateCounts;
pub use turns::CallerId;

/// Timers that are not needed any more are thrown out when there are this many more than twice the devices.
const STALE_TIMERS: usize = 1_024;

/// The configuration of a fleet.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// How fast devices may connect to a hub.
    pub hub_pace: Pace,
    /// How fast devices may register at DPS.
    pub dps_pace: Pace,
    /// The provisioning service; only [`Assignment::Dps`] needs it.
    pub dps: HostName,
    /// The scope of the credentials.
    pub credentials: CredentialScope,
    /// Most devices at a time.
    pub max_devices: usize,
    /// Most hubs that devices may belong to.
    pub max_hubs: usize,
    /// A hub that could not be reached for that long may be gone: DPS is asked for its devices.
    pub hub_gone_after: Duration,
    /// For waits. Another seed spreads devices otherwise; nothing secret hangs on it.
    pub seed: u64,
}

/// Every device of a process. See the module.
#[derive(Debug)]
pub struct Fleet<B> {
    entries: Vec<Option<Entry<B>>>,
    free: Vec<u32>,
    /// In order, for those who list them.
    by_id: BTreeMap<DeviceId, u32>,
    timers: Timers,
    services: Vec<Service>,
    state_counts: StateCounts,
    actions: VecDeque<Action>,
    next_serial: u32,
    next_position: u32,
    chance: Chance,
    config: FleetConfig,
}

/// As many devices as there may be are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process has as many devices as it may have")]
pub struct FleetFull;

impl<B: Context> Fleet<B> {
    /// Without devices.
    #[must_use]
    pub fn new(config: FleetConfig) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            timers: Timers::default(),
            services: vec![Service::new(
                config.dps.clone(),
                match planted(Mutation::DpsUnpaced) {
                    true => Pace::Unlimited,
                    false => config.dps_pace,
                },
                config.credentials,
            )],
            state_counts: StateCounts::default(),
            actions: VecDeque::new(),
            next_serial: 0,
            next_position: 0,
            chance: Chance::new(config.seed),
            config,
        }
    }

    // Devices.

    /// The device's index, valid until the fleet is run again; `assignment` is asked for when it was not known.
    ///
    /// # Errors
    /// `FleetFull`.
    pub fn device(
        &mut self,
        id: &DeviceId,
        assignment: impl FnOnce() -> Assignment,
    ) -> Result<u32, FleetFull> {
        if let Some(index) = self.by_id.get(id) {
            return Ok(*index);
        }
        if self.by_id.len() >= self.config.max_devices {
            return Err(FleetFull);
        }
        let entry = Entry::new(id.clone(), Device::new(assignment()));
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.entries.push(None);
                u32::try_from(self.entries.len() - 1).map_err(|_| FleetFull)?
            }
        };
        if let Some(slot) = self.entries.get_mut(index as usize) {
            *slot = Some(entry);
        }
        self.by_id.insert(id.clone(), index);
        if let Some(machine) = self.machine(index) {
            let state = machine.state();
            self.state_counts.add(state);
        }
        Ok(index)
    }

    // Operations requested by callers.

    /// A caller's request used the device, at that time. If the caller waits for it ([`Context::callers`]), it goes first from
    /// now on, in the caller's turn.
    pub fn used(&mut self, index: u32, caller: CallerId, at: Duration, now: Now) {
        self.feed(index, Input::Use { at }, now);
        self.bring_forward(index, caller);
    }

    /// Its subscriptions changed; true while there are any.
    pub fn permanent(&mut self, index: u32, permanent: bool, now: Now) {
        self.catch_up(index, now);
        self.feed(index, Input::Permanent(permanent), now);
    }

    /// Requests an immediate retry. If its hub cannot be reached, DPS is asked whether the device has moved.
    pub fn resync(&mut self, index: u32, now: Now) {
        self.feed(index, Input::Resync, now);
        self.ask_for(index, now);
    }

    /// Configuration names another hub for it: its connection is closed, and opened there if it is still wanted.
    pub fn moved(&mut self, index: u32, hub: HostName, now: Now) {
        self.catch_up(index, now);
        self.feed(index, Input::Moved { hub }, now);
    }

    /// Its connection is to be replaced: it is closed, and opened again if it is still wanted.
    pub fn relocate(&mut self, index: u32, now: Now) {
        self.catch_up(index, now);
        self.feed(index, Input::Relocate, now);
    }

    /// The clocks of a device's hub and of this machine differ, which is why its credentials were refused.
    pub fn clocks_differ(&mut self, index: u32, now: Now) {
        self.feed(index, Input::ClocksDiffer, now);
    }

    /// The keys have changed: devices whose credentials were refused try again, and so does one at each hub that refuses everyone.
    pub fn credentials_changed(&mut self, now: Now) {
        for service in &mut self.services {
            service.governor.breaker.inconclusive();
        }
        for entry in self.entries.iter_mut().flatten() {
            entry.standing.doubtful = false;
        }
        let refused = self.iter().filter(|(_, _, machine)| {
            matches!(machine.state(), State::Waiting { why, .. } if why.kind == FailureKind::Unauthorized)
        });
        let refused: Vec<_> = refused.map(|(index, ..)| index).collect();
        for index in refused {
            self.feed(index, Input::Resync, now);
        }
    }

    /// The device is no longer wanted.
    pub fn release(&mut self, index: u32, now: Now) {
        self.feed(index, Input::Release, now);
    }

    // Time.

    /// Does what is due by now, and says when to come back.
    pub fn run(&mut self, now: Now) -> Option<Duration> {
        while let Some(index) = self.timers.pop_due(now.monotonic) {
            self.deadline(index, now);
        }
        let quotas = self.probe_quotas(now);
        let gone = self.ask_for_gone_hubs(now);
        self.turn_away_surplus();
        let permits = self.grant_permits(now);
        let doubts = self.doubt_services(now);
        let contacts = self.give_up_first_contacts(now);
        let due = [self.timers.next(), quotas, gone, permits, doubts, contacts];
        due.into_iter().flatten().min()
    }

    /// The next action. Call this until it returns `None`, after each input.
    pub fn action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn deadline(&mut self, index: u32, now: Now) {
        let Some(entry) = self.entry_mut(index) else {
            return;
        };
        if entry.timer.is_none_or(|timer| timer > now.monotonic) {
            return;
        }
        entry.timer = None;
        self.catch_up(index, now);
        self.feed(index, Input::Deadline, now);
    }

    /// Reports uses that bypassed the fleet ([`Context::last_use`]) to the machine, before it is decided whether the device is
    /// wanted. Call this before the caller's data forgets them, which is when its connection ends.
    pub fn catch_up(&mut self, index: u32, now: Now) {
        let last_use = self.context(index).and_then(Context::last_use);
        if let Some(at) = last_use {
            self.feed(index, Input::Use { at }, now);
        }
    }

    // The machines.

    fn feed(&mut self, index: u32, input: Input<'_>, now: Now) {
        let jitter = self.chance.draw();
        let Some(entry) = self.entry_mut(index) else {
            return;
        };
        let before = entry.machine.state();
        let effects = entry.machine.handle(input, now, jitter);
        let after = entry.machine.state();
        self.state_counts.remove(before);
        self.state_counts.add(after);
        self.count_connected(index, after);
        let session = match (before, after) {
            (State::Connected { .. }, State::Connected { .. }) => None,
            (State::Connected { since }, _) => Some(now.monotonic.saturating_sub(since)),
            _ => None,
        };
        self.carry_out(index, effects, session, now);
        self.set_timer(index);
        self.forget_if_idle(index, now);
    }

    /// Keeps the number of connected devices of its hub, and of DPS, when a device's state may have changed.
    fn count_connected(&mut self, index: u32, state: State) {
        let Some(entry) = self.entry_mut(index) else {
            return;
        };
        let attempt = entry.attempt.map(|attempt| attempt.hub);
        let at = attempt.filter(|_| matches!(state, State::Connected { .. }));
        let before = std::mem::replace(&mut entry.connected_at, at);
        let dps = entry.machine.finds_hub_by_dps().then_some(ServiceId::DPS);
        if before == at {
            return;
        }
        for id in [before, dps.filter(|_| before.is_some())] {
            if let Some(service) = id.and_then(|id| self.service_mut(id)) {
                service.connected = service.connected.saturating_sub(1);
            }
        }
        for id in [at, dps.filter(|_| at.is_some())] {
            if let Some(service) = id.and_then(|id| self.service_mut(id)) {
                service.connected += 1;
            }
        }
    }

    /// `session`: how long the session lasted that ends with it, if one does.
    fn carry_out(&mut self, device: u32, effects: Effects, session: Option<Duration>, now: Now) {
        for effect in effects {
            match effect {
                Effect::RequestPermit { epoch } => {
                    if !self.asks_instead(device, now) {
                        self.queue_device(device, epoch, now);
                    }
                }
                // The ticket that was granted is looked at where it was granted.
                Effect::ReturnPermit { .. } => {}
                Effect::Provision { epoch } => {
                    self.actions.push_back(Action::Provision { device, epoch });
                }
                Effect::Open { epoch, options } => match self.begin_attempt(device, epoch, now) {
                    Some((attempt, hub)) => {
                        self.actions.push_back(Action::Open {
                            attempt,
                            hub,
                            options,
                        });
                    }
                    None => self.nothing_to_open(device, epoch, now),
                },
                Effect::Close { epoch } => match self.attempt(device) {
                    Some(attempt) => self.actions.push_back(Action::Close { attempt }),
                    None => self.feed(device, Input::Closed { epoch }, now),
                },
                Effect::StatusChanged {
                    status,
                    reason,
                    why,
                    is_new,
                } => {
                    if let Some(id) = self.id(device).cloned() {
                        self.actions.push_back(Action::StatusChanged {
                            device,
                            id,
                            status,
                            reason,
                            why,
                            is_new,
                            session,
                        });
                    }
                }
            }
        }
    }

    fn begin_attempt(
        &mut self,
        device: u32,
        epoch: Epoch,
        now: Now,
    ) -> Option<(AttemptId, ServiceId)> {
        self.next_serial = self.next_serial.wrapping_add(1);
        let serial = self.next_serial;
        let host = self.machine(device)?.hub()?.clone();
        let hub = self.hub(&host)?;
        let entry = self.entry_mut(device)?;
        entry.attempt = Some(entry::Running {
            serial,
            epoch,
            hub,
            since: now.monotonic,
            asked: now.monotonic,
        });
        Some((AttemptId { device, serial }, hub))
    }

    fn set_timer(&mut self, index: u32) {
        let Some(entry) = self.entry_mut(index) else {
            return;
        };
        let Some(at) = entry.machine.next_deadline() else {
            return;
        };
        let earlier = |timer| at < timer && !planted(Mutation::TimerLate);
        if entry.timer.is_none_or(earlier) {
            entry.timer = Some(at);
            self.timers.set(at, index);
            self.throw_out_stale_timers();
        }
    }

    /// Timers of devices that had earlier ones meanwhile. A device that connects and disconnects would pile them up.
    fn throw_out_stale_timers(&mut self) {
        if self.timers.len() > 2 * self.by_id.len() + STALE_TIMERS {
            let mut timers = std::mem::take(&mut self.timers);
            timers.retain(|at, index| {
                let timer = self.entry(index).and_then(|entry| entry.timer);
                timer == Some(at)
            });
            self.timers = timers;
        }
    }

    fn forget_if_idle(&mut self, index: u32, now: Now) {
        let Some(entry) = self.entry_mut(index) else {
            return;
        };
        let forgettable = entry.machine.is_forgettable(now)
            && entry.attempt.is_none()
            && entry.context.may_be_forgotten();
        if !forgettable {
            return;
        }
        let (id, state) = (entry.id.clone(), entry.machine.state());
        self.state_counts.remove(state);
        self.by_id.remove(&id);
        self.ask_for_no_more(index);
        if let Some(slot) = self.entries.get_mut(index as usize) {
            *slot = None;
            self.free.push(index);
        }
    }

    fn entry(&self, index: u32) -> Option<&Entry<B>> {
        self.entries.get(index as usize)?.as_ref()
    }

    fn entry_mut(&mut self, index: u32) -> Option<&mut Entry<B>> {
        self.entries.get_mut(index as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests;
