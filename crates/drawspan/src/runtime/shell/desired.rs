//! Desired properties: changes as they come, and whole sections where changes were missed.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_bridge::Now;
use drawspan_bridge::delivery::NoRoom;
use drawspan_bridge::fleet::Attempt;
use drawspan_client::{Owner, SendFailure, TwinAnswer, TwinOperation, TwinRequest};
use drawspan_hub::{DeviceId, SubscriptionType};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Shell;
use super::news::attempt;
use crate::limits::{
    CATCH_UP_RETRY_MAX_S, CATCH_UP_RETRY_MIN_S, CATCH_UP_TIMEOUT_MS, CATCH_UPS_AT_ONCE,
};
use crate::runtime::brought::Brought;
use crate::runtime::names;
use crate::runtime::ticket::Ticket;
use crate::runtime::versions::{Desired, Look, Section, Seen, digest, is_complete, seen};
use crate::webhooks::{Content, Delivery, Verdict};

const KIND: SubscriptionType = SubscriptionType::DesiredProperties;

/// Twins that are to be read.
#[derive(Debug, Default)]
pub(super) struct CatchUps {
    queue: VecDeque<Attempt>,
    under_way: usize,
    /// Not before that: the hub's pace.
    next_at: Duration,
    /// Those whose turn comes later.
    later: BinaryHeap<Reverse<(Duration, u32, u32)>>,
}

impl CatchUps {
    pub(super) fn due(&self) -> Option<Duration> {
        let next = !self.queue.is_empty() && self.under_way < CATCH_UPS_AT_ONCE;
        let later = self.later.peek().map(|Reverse((at, ..))| *at);
        [next.then_some(self.next_at), later]
            .into_iter()
            .flatten()
            .min()
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

impl Shell {
    /// A change came.
    pub(super) fn desired(&mut self, owner: Owner, properties: Bytes) {
        let Some(device) = self.device_of(owner) else {
            return;
        };
        let version = names::version_of(&properties);
        let sent = self.desired_of(owner.index).sent;
        if version.is_some() && version <= sent {
            // A whole section had it already.
            return;
        }
        if let Some(beside) = self.fleet.beside_mut(owner.index)
            && beside.desired.look != Look::No
        {
            beside.desired.last_change = digest(&properties);
        }
        self.offer_desired(&device, owner.index, version, false, properties);
    }

    /// Changes came for which there was no room.
    pub(super) fn desired_missed(&mut self, owner: Owner) {
        if self.device_of(owner).is_some() {
            self.look_at_desired(attempt(owner), Look::Dirty);
        }
    }

    /// Queues a device whose twin is to be looked at; its events come first.
    pub(super) fn look_at_desired(&mut self, attempt: Attempt, look: Look) {
        let idle = match self.fleet.id(attempt.device) {
            Some(device) => self.webhooks.is_idle(device, KIND),
            None => return,
        };
        let Some(beside) = self.fleet.beside_mut(attempt.device) else {
            return;
        };
        let desired = &mut beside.desired;
        desired.look = desired.look.max(look);
        let busy = desired.busy == Some(attempt.serial);
        if desired.look != Look::No && beside.up.desired && idle && !busy {
            desired.busy = Some(attempt.serial);
            self.catch_ups.queue.push_back(attempt);
        }
    }

    /// An event that went before the device's changes is over: if its twin is to be looked at, that waited for it.
    pub(super) fn take_up_desired(&mut self, device: &DeviceId) {
        let index = self.fleet.find(device);
        if let Some(attempt) = index.and_then(|index| self.fleet.attempt(index)) {
            self.look_at_desired(attempt, Look::No);
        }
    }

    /// Reads what may be read now.
    pub(super) fn catch_up_some(&mut self, now: Now) {
        while let Some(attempt) = self.catch_ups.pop_later(now.monotonic) {
            self.free_desired(attempt);
            if self.fleet.is_current(attempt) {
                self.look_at_desired(attempt, Look::No);
            }
        }
        if now.monotonic < self.catch_ups.next_at {
            return;
        }
        while self.catch_ups.under_way < CATCH_UPS_AT_ONCE
            && let Some(attempt) = self.catch_ups.queue.pop_front()
        {
            if !self.fleet.is_current(attempt) {
                self.free_desired(attempt);
            } else if let Err(wait) = self.read_twin(attempt, now.monotonic) {
                self.catch_ups.queue.push_front(attempt);
                self.catch_ups.next_at = now.monotonic + wait;
                return;
            }
        }
    }

    fn read_twin(&mut self, attempt: Attempt, now: Duration) -> Result<(), Duration> {
        let place = self.fleet.beside(attempt.device).and_then(|it| it.place);
        let pool = place.and_then(|place| self.pools.get(&place.hub));
        let session = place.and_then(|place| place.session);
        let (Some(pool), Some(session), Some(connection)) =
            (pool, session, self.connection_of(attempt))
        else {
            self.free_desired(attempt);
            return Ok(());
        };
        pool.paces.admit_catch_up(now)?;
        self.catch_ups.under_way += 1;
        let brought = Arc::clone(&self.parts.brought);
        let request = TwinRequest {
            session,
            operation: TwinOperation::Get,
            deadline: now + Duration::from_millis(CATCH_UP_TIMEOUT_MS),
        };
        tokio::spawn(async move {
            let answer = connection.twin(request).await;
            brought.post(Brought::Twin { attempt, answer });
        });
        Ok(())
    }

    /// A twin was read.
    pub(super) fn twin_read(&mut self, attempt: Attempt, answer: Result<TwinAnswer, SendFailure>) {
        self.catch_ups.under_way = self.catch_ups.under_way.saturating_sub(1);
        self.free_desired(attempt);
        if !self.fleet.is_current(attempt) {
            return;
        }
        let Some(device) = self.fleet.id(attempt.device).cloned() else {
            return;
        };
        match answer.ok().and_then(|answer| section(&answer.body)) {
            Some(properties) => self.look_at_section(attempt, &device, properties),
            None => self.later(attempt),
        }
    }

    fn look_at_section(&mut self, attempt: Attempt, device: &DeviceId, properties: Bytes) {
        let version = names::version_of(&properties);
        let known = self.versions.get(device);
        let look = self.desired_of(attempt.device).look;
        if look == Look::No || self.table.of(device, KIND).is_none() {
            return;
        }
        if !self.webhooks.is_idle(device, KIND) {
            // What the receiver does not have may be on its way; once that is over, it is looked at again.
            return;
        }
        let last_change = self.desired_of(attempt.device).last_change;
        let section = Section {
            version,
            is_empty: names::is_empty(&properties),
            is_last_change: last_change.is_some() && last_change == digest(&properties),
        };
        match (seen(look, known, section), version) {
            (Seen::News, _) => {
                if let Some(beside) = self.fleet.beside_mut(attempt.device) {
                    beside.desired.look = Look::No;
                    beside.desired.sent = None;
                    beside.desired.last_change = None;
                }
                self.offer_desired(device, attempt.device, version, true, properties);
                return;
            }
            (Seen::Complete, Some(version)) => self.versions.set(device, version),
            (Seen::Complete, None) | (Seen::Same, _) => {}
        }
        if let Some(beside) = self.fleet.beside_mut(attempt.device) {
            beside.desired.look = Look::No;
            beside.desired.last_change = None;
        }
    }

    fn offer_desired(
        &mut self,
        device: &DeviceId,
        index: u32,
        version: Option<i64>,
        full_state: bool,
        properties: Bytes,
    ) {
        let webhook_id = self.desired_name(index, version, full_state);
        let content = Content::Desired {
            properties,
            full_state,
        };
        let ticket = Ticket::Desired {
            version,
            full_state,
        };
        let Some(event) = self.event(device, webhook_id, content, ticket) else {
            return;
        };
        let offered = self.offer(event);
        let Some(beside) = self.fleet.beside_mut(index) else {
            return;
        };
        match offered {
            Ok(()) => beside.desired.sent = beside.desired.sent.max(version),
            // The verdict of what waits there takes it up.
            Err(NoRoom::Lane) => beside.desired.look = Look::Dirty,
            Err(NoRoom::Share | NoRoom::Origins) => {
                beside.desired.look = Look::Dirty;
                if let Some(attempt) = self.fleet.attempt(index) {
                    self.later(attempt);
                }
            }
        }
    }

    pub(super) fn desired_verdict(
        &mut self,
        version: Option<i64>,
        full_state: bool,
        verdict: &Verdict<Ticket>,
    ) {
        let device = &verdict.event.device;
        let index = self.fleet.find(device);
        let attempt = index.and_then(|index| self.fleet.attempt(index));
        let look = index.map_or(Look::No, |index| self.desired_of(index).look);
        if self.table.of(device, KIND).is_none() {
            return;
        }
        match verdict.outcome {
            Delivery::Taken { .. } => {
                if let Some(version) = version
                    && is_complete(look, self.versions.get(device), version, full_state)
                {
                    self.versions.set(device, version);
                }
                if let Some(beside) = index.and_then(|index| self.fleet.beside_mut(index)) {
                    beside.desired.failures = 0;
                }
                if let Some(attempt) = attempt {
                    self.look_at_desired(attempt, Look::No);
                }
            }
            Delivery::Refused { .. } | Delivery::Failed { .. } | Delivery::Untried => {
                if let Some(beside) = index.and_then(|index| self.fleet.beside_mut(index)) {
                    beside.desired.look = Look::Dirty;
                }
                if let Some(attempt) = attempt {
                    self.later(attempt);
                }
            }
        }
    }

    /// Looks at the twin again after a while, longer each time.
    fn later(&mut self, attempt: Attempt) {
        let now = self.parts.clock.now();
        let jitter = self.chance.draw();
        let Some(beside) = self.fleet.beside_mut(attempt.device) else {
            return;
        };
        let desired = &mut beside.desired;
        if desired.busy.replace(attempt.serial) == Some(attempt.serial) {
            return;
        }
        let most = (CATCH_UP_RETRY_MIN_S << desired.failures.min(8)).min(CATCH_UP_RETRY_MAX_S);
        desired.failures = desired.failures.saturating_add(1);
        let most = Duration::from_secs(most);
        let at = now + jitter.between(most / 2, most);
        let later = (at, attempt.device, attempt.serial);
        self.catch_ups.later.push(Reverse(later));
    }

    fn desired_of(&self, index: u32) -> Desired {
        self.fleet
            .beside(index)
            .map_or(Desired::default(), |beside| beside.desired)
    }

    fn free_desired(&mut self, attempt: Attempt) {
        if let Some(beside) = self.fleet.beside_mut(attempt.device) {
            beside
                .desired
                .busy
                .take_if(|serial| *serial == attempt.serial);
        }
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
        assert_eq!(names::version_of(&section), Some(3));
        assert_eq!(super::section(&Bytes::from_static(b"{}")), None);
    }
}
