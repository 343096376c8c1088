//! Reconciliation of the links that subscriptions need with the links that devices have.

use std::collections::VecDeque;
use std::ops::Bound;
use std::time::Duration;

use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_hub::{AttemptId, DeviceId, Receive, SubscriptionType, Wants};

use super::Controller;
use super::action::{Action, Note};
use super::platform::Platform;
use crate::limits::{DEVICES_PER_SWEEP, MAX_SWEEPS, WANT_AGAIN};
use crate::subscriptions::{Prefix, Wish};

/// Devices that are to be looked at again.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    waiting: VecDeque<Sweep>,
    /// Devices whose connection had no room for a change of their links.
    untold: Vec<AttemptId>,
    tell_at: Duration,
}

/// Known devices of a prefix, in the order of ids.
#[derive(Debug)]
struct Sweep {
    prefix: Prefix,
    /// How far it has come.
    after: Option<DeviceId>,
}

impl Sweeps {
    /// When there is something to do.
    pub(super) fn due(&self, now: Duration) -> Option<Duration> {
        let sweep = (!self.waiting.is_empty()).then_some(now);
        let untold = (!self.untold.is_empty()).then_some(self.tell_at);
        [sweep, untold].into_iter().flatten().min()
    }
}

impl<P: Platform> Controller<P> {
    /// Checks all known devices of a prefix, a few at a time.
    pub(super) fn sweep(&mut self, prefix: Prefix) {
        let sweeps = &mut self.sweeps.waiting;
        sweeps.retain(|sweep| sweep.prefix != prefix);
        let prefix = match sweeps.len() >= MAX_SWEEPS {
            false => prefix,
            true => {
                sweeps.clear();
                Prefix::default()
            }
        };
        sweeps.push_back(Sweep {
            prefix,
            after: None,
        });
    }

    /// Continues the sweeps that have begun.
    pub(super) fn sweep_some(&mut self) {
        self.tell_again();
        let Some(sweep) = self.sweeps.waiting.front() else {
            return;
        };
        let devices = self.known_after(&sweep.prefix, sweep.after.as_ref(), DEVICES_PER_SWEEP);
        match (self.sweeps.waiting.front_mut(), devices.last()) {
            (Some(sweep), Some(last)) => sweep.after = Some(last.clone()),
            _ => {
                self.sweeps.waiting.pop_front();
            }
        }
        for device in &devices {
            self.reconcile_id(device, false);
        }
    }

    /// Devices that are in memory, subscribed to, or whose hub is remembered: the next ones of a prefix, in the order of ids.
    #[must_use]
    pub fn known_after(
        &self,
        prefix: &Prefix,
        after: Option<&DeviceId>,
        limit: usize,
    ) -> Vec<DeviceId> {
        let prefix = prefix.as_str();
        let from = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        let within = |device: &&DeviceId| device.as_str().starts_with(prefix);
        let mut devices: Vec<DeviceId> = Vec::new();
        let (own, fleet) = (self.table.devices_from(from), self.fleet.devices_from(from));
        let cached = self.cache.devices_from(from);
        devices.extend(own.take_while(within).take(limit).cloned());
        devices.extend(fleet.take_while(within).take(limit).cloned());
        devices.extend(cached.take_while(within).take(limit).cloned());
        devices.sort_unstable();
        devices.dedup();
        devices.truncate(limit);
        devices
    }

    /// Requests the links that a device needs. `insist`: a caller changed them just now.
    pub(super) fn reconcile_id(&mut self, device: &DeviceId, insist: bool) {
        let kind = SubscriptionType::DesiredProperties;
        if self.table.of(device, kind).is_none() {
            self.desired_unsubscribed(device);
        }
        let index = match self.fleet.find(device) {
            Some(index) => index,
            None if !self.table.wish(device).permanent => return,
            None => match self.index_of(device) {
                Ok(index) => index,
                Err(failure) => {
                    return self.act(Action::Note(Note::NotConnectable(device.clone(), failure)));
                }
            },
        };
        self.reconcile(index, insist);
    }

    fn reconcile(&mut self, index: u32, insist: bool) {
        let permanent = self.wish(index).permanent;
        let is_permanent = self
            .fleet
            .machine(index)
            .is_some_and(|machine| machine.is_permanent());
        if insist || permanent != is_permanent {
            self.fleet.permanent(index, permanent, self.now);
        }
        self.tell_wants(index);
        self.desired_subscribed(index);
    }

    fn wish(&self, index: u32) -> Wish {
        let removed = self.fleet.context(index).is_none_or(|it| it.removed);
        match self.fleet.id(index) {
            Some(id) if !removed => self.table.wish(id),
            _ => Wish::default(),
        }
    }

    /// The links that a device is to have.
    #[must_use]
    pub fn wanted_links(&self, index: u32) -> Wants {
        let mut wants = self.wish(index).links;
        let pulls = self.fleet.context(index).and_then(|it| it.pulls.as_ref());
        if wants.c2d == Receive::No && pulls.is_some() {
            wants.c2d = Receive::OnDemand;
        }
        wants
    }

    /// Sends an open device's links to its connection, if they changed.
    pub(super) fn tell_wants(&mut self, index: u32) {
        let wants = self.wanted_links(index);
        if wants.c2d == Receive::Flowing {
            self.end_pulls(index);
        }
        // One that is being opened is looked at once it is open.
        let Some(place) = self.open_place(index) else {
            return;
        };
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        if context.told != wants {
            context.told = wants;
            self.act(Action::Want(place, wants));
        }
    }

    /// A connection had no room for what a device wants.
    pub(super) fn want_again(&mut self, attempt: AttemptId) {
        if self.sweeps.untold.is_empty() {
            self.sweeps.tell_at = self.now.monotonic + WANT_AGAIN;
        }
        if !planted(Mutation::WantForgotten) {
            self.sweeps.untold.push(attempt);
        }
    }

    fn tell_again(&mut self) {
        if self.sweeps.untold.is_empty() || self.now.monotonic < self.sweeps.tell_at {
            return;
        }
        let mut untold = std::mem::take(&mut self.sweeps.untold);
        untold.sort_unstable_by_key(|attempt| attempt.serial);
        untold.dedup();
        for attempt in untold {
            if self.fleet.is_current(attempt)
                && let Some(place) = self.open_place(attempt.device)
            {
                let wants = self.wanted_links(attempt.device);
                if let Some(context) = self.fleet.context_mut(attempt.device) {
                    context.told = wants;
                }
                self.act(Action::Want(place, wants));
            }
        }
    }
}
