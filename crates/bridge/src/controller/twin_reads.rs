//! Reading twins to check their desired properties, at each hub's pace.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use drawspan_fleet::ServiceId;
use drawspan_hub::AttemptId;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Controller;
use super::action::Action;
use super::attempt_timers::AttemptTimers;
use super::desired_marks::Look;
use super::platform::Platform;
use crate::limits::{CATCH_UP_RETRY_MAX, CATCH_UP_RETRY_MIN, CATCH_UP_TIMEOUT, CATCH_UPS_AT_ONCE};

/// Twins of one hub that are to be read, at the hub's pace.
#[derive(Debug, Default)]
pub(super) struct CatchUps {
    pub(super) queue: VecDeque<AttemptId>,
    under_way: usize,
    /// Not before that.
    next_at: Duration,
    /// Twins whose turn comes later.
    later: AttemptTimers,
}

impl CatchUps {
    pub(super) fn due(&self) -> Option<Duration> {
        let next = !self.queue.is_empty() && self.under_way < CATCH_UPS_AT_ONCE;
        let next = next.then_some(self.next_at);
        [next, self.later.due()].into_iter().flatten().min()
    }
}

impl<P: Platform> Controller<P> {
    /// Reads as many twins as allowed now.
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
        while let Some(attempt) = self.catch_ups(hub).and_then(|it| it.later.pop_due(now)) {
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

    fn read_twin(&mut self, attempt: AttemptId, hub: ServiceId) {
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
    pub(super) fn twin_read(&mut self, attempt: AttemptId, twin: Option<Bytes>) {
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

    /// Checks the twin again after a while, longer each time.
    pub(super) fn later(&mut self, attempt: AttemptId) {
        let now = self.now.monotonic;
        let jitter = self.chance.draw();
        let Some(context) = self.fleet.context_mut(attempt.device) else {
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
        pool.catch_ups.later.add(at, attempt);
    }

    fn catch_ups(&mut self, hub: ServiceId) -> Option<&mut CatchUps> {
        self.pools.get_mut(&hub).map(|pool| &mut pool.catch_ups)
    }

    fn free_desired(&mut self, attempt: AttemptId) {
        if let Some(desired) = self.desired_mut(attempt.device) {
            desired.busy.take_if(|serial| *serial == attempt.serial);
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
        assert_eq!(super::section(&Bytes::from_static(b"{}")), None);
    }
}
