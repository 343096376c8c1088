//! Desired properties: changes as they come, and the full state after missed changes.

use bytes::Bytes;
use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_hub::{AttemptId, DeviceId, SubscriptionType};

use super::Controller;
use super::action::{Action, DeadLetter};
use super::correlation::{Correlation, WholeSection};
use super::dead_letters::is_refused;
use super::desired_marks::{Desired, Finding, First, Look, Section, receiver};
use super::platform::Platform;
use crate::delivery::NoRoom;
use crate::events::{Content, DeliveryOutcome, event_id};
use crate::subscriptions::{Callback as _, Scope};

const KIND: SubscriptionType = SubscriptionType::DesiredProperties;

impl<P: Platform> Controller<P> {
    /// A change came.
    pub(super) fn desired_changed(&mut self, attempt: AttemptId, change: Bytes) {
        let index = attempt.device;
        let Some(device) = self.fleet.id(index).cloned() else {
            return;
        };
        let mark = self.mark_of(&device);
        let version = Section::of(&change).map(|change| change.version);
        let Some(desired) = self.desired_mut(index) else {
            return;
        };
        if desired.arrived(version, mark, &change) {
            self.offer_desired(&device, index, version, None, change);
            self.look_at_desired(attempt, Look::No);
        }
    }

    /// Changes came for which there was no room.
    pub(super) fn desired_missed(&mut self, attempt: AttemptId) {
        self.look_at_desired(attempt, Look::Dirty);
    }

    /// Changes come from here on; before, some may have been missed.
    pub(super) fn desired_linked(&mut self, attempt: AttemptId) {
        if let Some(context) = self.fleet.context_mut(attempt.device) {
            let hub = context.place.map(|place| place.hub);
            context.desired.linked_at(hub);
        }
        self.look_at_desired(attempt, Look::Gap);
    }

    /// A device's subscriptions may be others: another receiver gets what it does not have, at once if the device's link is there.
    pub(super) fn desired_subscribed(&mut self, index: u32) {
        let receiver = self.fleet.id(index).and_then(|id| self.receiver_of(id));
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        if context.desired.receiver == receiver {
            return;
        }
        context.desired = context.desired.anew(receiver);
        context.section = None;
        if let Some(attempt) = self.fleet.attempt(index) {
            self.look_at_desired(attempt, Look::No);
        }
    }

    /// A subscription was made where there was none.
    pub(super) fn desired_begun(&mut self, device: &DeviceId) {
        let index = self.fleet.find(device);
        if let Some(desired) = index.and_then(|index| self.desired_mut(index)) {
            desired.first = First::Nothing;
        }
    }

    /// The device's desired properties have no subscriber any more. The next subscriber starts with the full state at that time.
    pub(super) fn desired_unsubscribed(&mut self, device: &DeviceId) {
        if self.marks.take(device).is_some() {
            self.act(Action::StoreMark(device.clone(), None));
        }
        let index = self.fleet.find(device);
        if let Some(context) = index.and_then(|index| self.fleet.context_mut(index)) {
            context.desired = context.desired.anew(None);
            context.section = None;
        }
    }

    /// An event that went before the device's changes is over: if its twin is to be looked at, that waited for it.
    pub(super) fn take_up_desired(&mut self, device: &DeviceId) {
        let index = self.fleet.find(device);
        if let Some(attempt) = index.and_then(|index| self.fleet.attempt(index))
            && !planted(Mutation::LookForgotten)
        {
            self.look_at_desired(attempt, Look::No);
        }
    }

    /// Queues a device whose twin is to be looked at; its events come first.
    pub(super) fn look_at_desired(&mut self, attempt: AttemptId, look: Look) {
        let idle = match self.fleet.id(attempt.device) {
            Some(device) => self.outbox.is_idle(device, KIND),
            None => return,
        };
        let Some(context) = self.fleet.context_mut(attempt.device) else {
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

    pub(super) fn look_at_section(
        &mut self,
        attempt: AttemptId,
        device: &DeviceId,
        properties: Bytes,
    ) {
        let index = attempt.device;
        let mark = self.mark_of(device);
        let desired = self.desired_of(index);
        if desired.look == Look::No || self.table.of(device, KIND).is_none() {
            return;
        }
        if !self.outbox.is_idle(device, KIND) {
            // The missing change may be in delivery; once that is finished, the twin is checked again.
            return;
        }
        // No hub leaves the version out.
        let found = Section::of(&properties);
        let version = found.as_ref().map(|found| found.version);
        if version.is_some() && version < desired.sent {
            // It is older than a change that came meanwhile.
            return self.later(attempt);
        }
        if let Some(desired) = self.desired_mut(index) {
            desired.look = Look::No;
            desired.sent = desired.sent.max(version);
        }
        let Some(found) = found else { return };
        match found.compare(mark, &desired) {
            Finding::News => {
                let section = Some(WholeSection(found.fingerprint()));
                self.offer_desired(device, index, version, section, properties);
            }
            Finding::Complete | Finding::Same => self.has_all(device, index, &found),
            Finding::Refused => {}
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
            section,
            subscription: self.desired_of(index).subscription,
        };
        let Some(event) = self.event(device, webhook_id, content, correlation) else {
            return;
        };
        let offered = self.offer(event);
        if offered.is_ok()
            && self.mark_of(device).is_none()
            && let Some(receiver) = self.receiver_of(device)
        {
            self.set_mark(device, super::Mark::unknown(receiver));
        }
        let Some(desired) = self.desired_mut(index) else {
            return;
        };
        if full_state {
            desired.first = First::Unknown;
        }
        match offered {
            Ok(()) => desired.sent = desired.sent.max(version),
            // The end of the event that waits there takes it up.
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
        (section, subscription): (Option<WholeSection>, u32),
        (content, delivery): (&Content, &DeliveryOutcome),
        letter: Option<Box<DeadLetter<P::Callback>>>,
    ) {
        let index = self.fleet.find(device);
        let desired = index.map_or_else(Desired::default, |index| self.desired_of(index));
        self.bury(letter);
        let is_present = desired.subscription == subscription;
        let Some(index) = index.filter(|_| is_present) else {
            // It says nothing about what the present receiver has.
            return self.take_up_desired(device);
        };
        match (delivery, content) {
            (DeliveryOutcome::Taken { .. }, Content::Desired { properties, .. }) => {
                self.desired_taken(device, index, section, properties);
                self.take_up_desired(device);
            }
            (_, Content::Desired { properties, .. }) => {
                if !matches!(delivery, DeliveryOutcome::Untried) {
                    self.is_in_doubt(device, index);
                }
                self.desired_not_taken(index, section, is_refused(delivery), properties);
            }
            _ => debug_assert!(false, "an event of desired properties without any"),
        }
    }

    fn desired_taken(
        &mut self,
        device: &DeviceId,
        index: u32,
        section: Option<WholeSection>,
        properties: &Bytes,
    ) {
        let Some(found) = Section::of(properties) else {
            return;
        };
        if let Some(desired) = self.desired_mut(index) {
            desired.failures = 0;
            desired.last_try = false;
        }
        if section.is_some() {
            return self.has_all(device, index, &found);
        }
        let desired = self.desired_of(index);
        let Some(mut mark) = desired.after_change(Some(found.version), self.mark_of(device)) else {
            // A change before it is missing.
            if let Some(desired) = self.desired_mut(index) {
                desired.look = desired.look.max(Look::Gap);
            }
            return self.is_in_doubt(device, index);
        };
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        let before = context.section.take();
        let after = before.and_then(|before| Section::changed(&before, properties));
        mark.fingerprint = after.as_ref().map(Section::fingerprint);
        context.section = after.and_then(|after| after.remembered());
        self.set_mark(device, mark);
    }

    /// The receiver's version is no longer known: it accepted, or may have accepted, a state that the mark does not cover.
    fn is_in_doubt(&mut self, device: &DeviceId, index: u32) {
        if let Some(context) = self.fleet.context_mut(index) {
            context.section = None;
        }
        if let Some(receiver) = self.receiver_of(device) {
            self.set_mark(device, super::Mark::unknown(receiver));
        }
    }

    /// The receiver has exactly this.
    fn has_all(&mut self, device: &DeviceId, index: u32, section: &Section) {
        let Some(receiver) = self.receiver_of(device) else {
            return;
        };
        if let Some(context) = self.fleet.context_mut(index) {
            context.section = section.remembered();
        }
        self.set_mark(device, section.mark(receiver));
    }

    /// An undelivered change is followed by the full state: once after a refusal, until it is accepted after a failure.
    fn desired_not_taken(
        &mut self,
        index: u32,
        section: Option<WholeSection>,
        is_refused: bool,
        properties: &Bytes,
    ) {
        let attempt = self.fleet.attempt(index);
        let version = Section::of(properties).map(|section| section.version);
        let Some(desired) = self.desired_mut(index) else {
            return;
        };
        let section = section.map(|WholeSection(fingerprint)| fingerprint);
        if desired.not_taken(section, version, is_refused)
            && let Some(attempt) = attempt
        {
            self.later(attempt);
        }
    }

    /// Requests that refused properties are sent to a device's receiver again.
    pub(super) fn desired_again(&mut self, index: u32) {
        let rests = self.desired_mut(index).is_some_and(Desired::try_again);
        if rests && let Some(attempt) = self.fleet.attempt(index) {
            self.look_at_desired(attempt, Look::No);
        }
    }

    /// A subscription for the devices of a scope was made, perhaps again.
    pub(super) fn desired_subscribed_again(&mut self, scope: &Scope) {
        let devices: Vec<u32> = match scope {
            Scope::Device(device) => self.fleet.find(device).into_iter().collect(),
            Scope::Fleet(prefix) => {
                let devices = self.fleet.iter().filter(|(_, id, _)| prefix.covers(id));
                devices.map(|(index, ..)| index).collect()
            }
        };
        for index in devices {
            self.desired_again(index);
        }
    }

    /// How far the present receiver of a device is.
    pub(super) fn mark_of(&self, device: &DeviceId) -> Option<super::Mark> {
        self.marks.get(device, self.receiver_of(device)?)
    }

    fn receiver_of(&self, device: &DeviceId) -> Option<i64> {
        let row = self.table.of(device, KIND)?;
        Some(receiver(row.callback.without_query()))
    }

    fn set_mark(&mut self, device: &DeviceId, mark: super::Mark) {
        if self.marks.set(device, mark) {
            self.act(Action::StoreMark(device.clone(), Some(mark)));
        }
    }

    fn desired_of(&self, index: u32) -> Desired {
        let context = self.fleet.context(index);
        context.map_or_else(Desired::default, |context| context.desired)
    }

    pub(super) fn desired_mut(&mut self, index: u32) -> Option<&mut Desired> {
        let context = self.fleet.context_mut(index)?;
        Some(&mut context.desired)
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
