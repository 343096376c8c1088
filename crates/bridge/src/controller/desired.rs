//! Desired properties: changes as they come, and whole sections where changes may have been missed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::{DeviceId, SubscriptionType};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Controller;
use super::action::{Action, DeadLetter};
use super::correlation::{Correlation, WholeSection};
use super::dead_letters::is_refused;
use super::desired_marks::{Desired, Finding, Look, Mark, Section, version_of};
use super::platform::Platform;
use crate::delivery::NoRoom;
use crate::events::{Content, Delivery, event_id};
use crate::fleet::{Attempt, ServiceId};
use crate::limits::{CATCH_UP_RETRY_MAX, CATCH_UP_RETRY_MIN, CATCH_UP_TIMEOUT, CATCH_UPS_AT_ONCE};

const KIND: SubscriptionType = SubscriptionType::DesiredProperties;

/// Twins of one hub that are to be read, at the hub's pace.
#[derive(Debug, Default)]
pub(super) struct CatchUps {
    queue: VecDeque<Attempt>,
    under_way: usize,
    /// Not before that.
    next_at: Duration,
    /// Those whose turn comes later.
    later: BinaryHeap<Reverse<(Duration, u32, u32)>>,
}

impl CatchUps {
    pub(super) fn due(&self) -> Option<Duration> {
        let next = !self.queue.is_empty() && self.under_way < CATCH_UPS_AT_ONCE;
        let later = self.later.peek().map(|Reverse((at, ..))| *at);
        let next = next.then_some(self.next_at);
        [next, later].into_iter().flatten().min()
    }

    fn pop_later(&mut self, now: Duration) -> Option<Attempt> {
        let Reverse((at, ..)) = self.later.peek()?;
        if *at > now {
            return None;
        }
        let Reverse((_, device, serial)) = self.later.pop()?;
        Some(Attempt { device, serial })
    }
}

impl<P: Platform> Controller<P> {
    /// A change came.
    pub(super) fn desired_changed(&mut self, attempt: Attempt, change: Bytes) {
        let index = attempt.device;
        let Some(device) = self.fleet.id(index).cloned() else {
            return;
        };
        let mark = self.marks.get(&device);
        let version = version_of(&change);
        let Some(desired) = self.desired_mut(index) else {
            return;
        };
        if desired.arrived(version, mark, &change) {
            self.offer_desired(&device, index, version, None, change);
            self.look_at_desired(attempt, Look::No);
        }
    }

    /// Changes came for which there was no room.
    pub(super) fn desired_missed(&mut self, attempt: Attempt) {
        self.look_at_desired(attempt, Look::Dirty);
    }

    /// Changes come from here on; before, some may have been missed.
    pub(super) fn desired_linked(&mut self, attempt: Attempt) {
        if let Some(desired) = self.desired_mut(attempt.device) {
            desired.sent = None;
            desired.last_change = None;
        }
        self.look_at_desired(attempt, Look::Gap);
    }

    /// A receiver that has nothing, of a device whose link is there, gets everything.
    pub(super) fn desired_subscribed(&mut self, index: u32) {
        let (Some(attempt), Some(device)) = (self.fleet.attempt(index), self.fleet.id(index))
        else {
            return;
        };
        let is_new = self.table.of(device, KIND).is_some() && self.marks.get(device).is_none();
        let desired = self.desired_of(index);
        if is_new && desired.sent.is_none() && desired.look == Look::No {
            self.look_at_desired(attempt, Look::Gap);
        }
    }

    /// Nobody wants a device's desired properties any more. Whoever subscribes next begins with what is there then.
    pub(super) fn desired_unsubscribed(&mut self, device: &DeviceId) {
        if self.marks.remove(device) {
            self.act(Action::StoreMark(device.clone(), None));
        }
        if let Some(index) = self.fleet.find(device)
            && let Some(desired) = self.desired_mut(index)
        {
            *desired = Desired {
                busy: desired.busy,
                subscription: desired.subscription.wrapping_add(1),
                ..Desired::default()
            };
        }
    }

    /// An event that went before the device's changes is over: if its twin is to be looked at, that waited for it.
    pub(super) fn take_up_desired(&mut self, device: &DeviceId) {
        let index = self.fleet.find(device);
        if let Some(attempt) = index.and_then(|index| self.fleet.attempt(index)) {
            self.look_at_desired(attempt, Look::No);
        }
    }

    /// Queues a device whose twin is to be looked at; its events come first.
    fn look_at_desired(&mut self, attempt: Attempt, look: Look) {
        let idle = match self.fleet.id(attempt.device) {
            Some(device) => self.outbox.is_idle(device, KIND),
            None => return,
        };
        let Some(context) = self.fleet.beside_mut(attempt.device) else {
            return;
        };
        let desired = &mut context.desired;
        desired.look = desired.look.max(look);
        let busy = desired.busy == Some(attempt.serial);
        if desired.look == Look::No || !context.up.desired || !idle || busy {
            return;
        }
        let pool = context
            .place
            .and_then(|place| self.pools.get_mut(&place.hub));
        if let Some(pool) = pool {
            desired.busy = Some(attempt.serial);
            pool.catch_ups.queue.push_back(attempt);
        }
    }

    /// Reads what may be read now.
    pub(super) fn catch_up_some(&mut self) {
        let now = self.now.monotonic;
        let due = |(id, pool): (&ServiceId, &super::Pool)| {
            let due = pool.catch_ups.due();
            due.is_some_and(|due| due <= now).then_some(*id)
        };
        let hubs: Vec<ServiceId> = self.pools.iter().filter_map(due).collect();
        for hub in hubs {
            self.catch_up_at(hub);
        }
    }

    pub(super) fn catch_up_due(&self) -> Option<Duration> {
        let pools = self.pools.values();
        pools.filter_map(|pool| pool.catch_ups.due()).min()
    }

    fn catch_up_at(&mut self, hub: ServiceId) {
        let now = self.now.monotonic;
        while let Some(attempt) = self.catch_ups(hub).and_then(|it| it.pop_later(now)) {
            self.free_desired(attempt);
            if self.fleet.is_current(attempt) {
                self.look_at_desired(attempt, Look::No);
            }
        }
        loop {
            let Some(pool) = self.pools.get_mut(&hub) else {
                return;
            };
            if pool.catch_ups.under_way >= CATCH_UPS_AT_ONCE || now < pool.catch_ups.next_at {
                return;
            }
            let Some(attempt) = pool.catch_ups.queue.front().copied() else {
                return;
            };
            let is_current = self.fleet.is_current(attempt);
            if is_current && let Err(wait) = pool.paces.admit_catch_up(now) {
                pool.catch_ups.next_at = now + wait;
                return;
            }
            pool.catch_ups.queue.pop_front();
            self.read_twin(attempt, hub);
        }
    }

    fn read_twin(&mut self, attempt: Attempt, hub: ServiceId) {
        let place = self
            .open_place(attempt.device)
            .filter(|place| place.attempt == attempt);
        let (Some(place), Some(catch_ups)) = (place, self.catch_ups(hub)) else {
            return self.free_desired(attempt);
        };
        catch_ups.under_way += 1;
        let deadline = self.now.monotonic + CATCH_UP_TIMEOUT;
        self.reading.insert(attempt, hub);
        self.act(Action::ReadTwin { place, deadline });
    }

    /// A twin was read.
    pub(super) fn twin_read(&mut self, attempt: Attempt, twin: Option<Bytes>) {
        if let Some(hub) = self.reading.remove(&attempt)
            && let Some(catch_ups) = self.catch_ups(hub)
        {
            catch_ups.under_way = catch_ups.under_way.saturating_sub(1);
        }
        self.free_desired(attempt);
        if !self.fleet.is_current(attempt) {
            return;
        }
        let Some(device) = self.fleet.id(attempt.device).cloned() else {
            return;
        };
        match twin.and_then(|twin| section(&twin)) {
            Some(properties) => self.look_at_section(attempt, &device, properties),
            None => self.later(attempt),
        }
    }

    fn look_at_section(&mut self, attempt: Attempt, device: &DeviceId, properties: Bytes) {
        let index = attempt.device;
        let mark = self.marks.get(device);
        let desired = self.desired_of(index);
        if desired.look == Look::No || self.table.of(device, KIND).is_none() {
            return;
        }
        if !self.outbox.is_idle(device, KIND) {
            // What the receiver does not have may be on its way; once that is over, it is looked at again.
            return;
        }
        // No hub leaves the version out.
        let found = Section::of(&properties);
        if found.is_some_and(|found| Some(found.version) < desired.sent) {
            // It is older than a change that came meanwhile.
            return self.later(attempt);
        }
        let finding = found.map_or(Finding::Same, |found| found.compare(mark, &desired));
        if let Some(desired) = self.desired_mut(index) {
            desired.look = Look::No;
            desired.last_change = None;
            desired.sent = desired.sent.max(found.map(|found| found.version));
        }
        match (finding, found) {
            (Finding::News, Some(found)) => {
                let section = Some(WholeSection(found.fingerprint));
                self.offer_desired(device, index, Some(found.version), section, properties);
            }
            (Finding::Complete, Some(found)) => self.set_mark(device, found.mark()),
            _ => {}
        }
    }

    fn offer_desired(
        &mut self,
        device: &DeviceId,
        index: u32,
        version: Option<i64>,
        section: Option<WholeSection>,
        properties: Bytes,
    ) {
        let full_state = section.is_some();
        let webhook_id = self.desired_id(index, version, full_state);
        let content = Content::Desired {
            properties,
            full_state,
        };
        let correlation = Correlation::Desired {
            version,
            section,
            subscription: self.desired_of(index).subscription,
        };
        let Some(event) = self.event(device, webhook_id, content, correlation) else {
            return;
        };
        let offered = self.offer(event);
        let Some(desired) = self.desired_mut(index) else {
            return;
        };
        match offered {
            Ok(()) => desired.sent = desired.sent.max(version),
            // The verdict of what waits there takes it up.
            Err(NoRoom::Lane) => desired.look = Look::Dirty,
            Err(NoRoom::Share | NoRoom::Origins) => {
                desired.look = Look::Dirty;
                if let Some(attempt) = self.fleet.attempt(index) {
                    self.later(attempt);
                }
            }
        }
    }

    /// The event of desired properties is over.
    pub(super) fn desired_over(
        &mut self,
        device: &DeviceId,
        (version, section, subscription): (Option<i64>, Option<WholeSection>, u32),
        delivery: &Delivery,
        letter: Option<Box<DeadLetter<P::Callback>>>,
    ) {
        let index = self.fleet.find(device);
        let desired = index.map_or_else(Desired::default, |index| self.desired_of(index));
        if self.table.of(device, KIND).is_none() || desired.subscription != subscription {
            // It says nothing about what the present receiver has.
            self.bury(letter);
            return self.take_up_desired(device);
        }
        let attempt = index.and_then(|index| self.fleet.attempt(index));
        if let Delivery::Taken { .. } = delivery {
            let mark = match (section, version) {
                (Some(WholeSection(fingerprint)), Some(version)) => Some(Mark {
                    version,
                    fingerprint,
                }),
                _ => desired.after_change(version, self.marks.get(device)),
            };
            if let Some(mark) = mark {
                self.set_mark(device, mark);
            }
            if let Some(desired) = index.and_then(|index| self.desired_mut(index)) {
                desired.failures = 0;
            }
            if let Some(attempt) = attempt {
                self.look_at_desired(attempt, Look::No);
            }
            return;
        }
        let is_given_up = is_refused(delivery) && section.is_some();
        if let Some(desired) = index.and_then(|index| self.desired_mut(index)) {
            match section {
                Some(WholeSection(fingerprint)) if is_given_up => desired.refused = fingerprint,
                _ => desired.look = Look::Dirty,
            }
        }
        self.bury(letter);
        if let Some(attempt) = attempt {
            match is_given_up {
                true => self.look_at_desired(attempt, Look::No),
                false => self.later(attempt),
            }
        }
    }

    /// Looks at the twin again after a while, longer each time.
    fn later(&mut self, attempt: Attempt) {
        let now = self.now.monotonic;
        let jitter = self.chance.draw();
        let Some(context) = self.fleet.beside_mut(attempt.device) else {
            return;
        };
        let pool = context
            .place
            .and_then(|place| self.pools.get_mut(&place.hub));
        let Some(pool) = pool else {
            // A look follows when the device is connected again.
            return;
        };
        let desired = &mut context.desired;
        if desired.busy.replace(attempt.serial) == Some(attempt.serial) {
            return;
        }
        let doubled = CATCH_UP_RETRY_MIN * (1 << desired.failures.min(8));
        let most = doubled.min(CATCH_UP_RETRY_MAX);
        desired.failures = desired.failures.saturating_add(1);
        let at = now + jitter.between(most / 2, most);
        let later = (at, attempt.device, attempt.serial);
        pool.catch_ups.later.push(Reverse(later));
    }

    fn set_mark(&mut self, device: &DeviceId, mark: Mark) {
        if self.marks.set(device, mark) {
            self.act(Action::StoreMark(device.clone(), Some(mark)));
        }
    }

    fn desired_of(&self, index: u32) -> Desired {
        let context = self.fleet.beside(index);
        context.map_or_else(Desired::default, |context| context.desired)
    }

    fn desired_mut(&mut self, index: u32) -> Option<&mut Desired> {
        let context = self.fleet.beside_mut(index)?;
        Some(&mut context.desired)
    }

    fn catch_ups(&mut self, hub: ServiceId) -> Option<&mut CatchUps> {
        self.pools.get_mut(&hub).map(|pool| &mut pool.catch_ups)
    }

    fn free_desired(&mut self, attempt: Attempt) {
        if let Some(desired) = self.desired_mut(attempt.device) {
            desired.busy.take_if(|serial| *serial == attempt.serial);
        }
    }

    fn desired_id(&mut self, index: u32, version: Option<i64>, full: bool) -> String {
        let hub = self.fleet.machine(index).and_then(|machine| machine.hub());
        let identity = self.identity(index);
        event_id::desired(
            hub.map_or("", |hub| hub.as_str()),
            identity.as_ref().map_or("", DeviceId::as_str),
            version,
            full,
            &mut self.secrets,
        )
    }
}

/// The desired section of a twin, as the hub wrote it.
fn section(twin: &Bytes) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Twin<'a> {
        #[serde(borrow)]
        desired: &'a RawValue,
    }
    let read: Twin<'_> = serde_json::from_slice(twin).ok()?;
    Some(twin.slice_ref(read.desired.get().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_is_as_the_hub_wrote_it() {
        let twin = Bytes::from_static(br#"{"desired":{"a": 1.50,"$version":3},"reported":{}}"#);
        let section = section(&twin).unwrap();
        assert_eq!(section, r#"{"a": 1.50,"$version":3}"#);
        assert_eq!(version_of(&section), Some(3));
        assert_eq!(super::section(&Bytes::from_static(b"{}")), None);
    }
}
