//! The clocks of hubs, as far as they explain why credentials are refused.

use std::time::Duration;

use drawspan_fleet::{ServiceId, State};
use drawspan_hub::failure::Ending;
use drawspan_hub::limits::CLOCK_TOLERANCE_S;
use drawspan_hub::{Failure, FailureKind};

use super::Controller;
use super::action::Action;
use super::platform::Platform;
use crate::limits::CLOCK_LOOK_INTERVAL;

/// What is known of a hub's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PeerClock {
    /// When it was asked for last, monotonic.
    asked_at: Option<Duration>,
    /// How far this machine's clock is ahead of it, in seconds; negative if it is behind. `None` if the difference is tolerated, or
    /// not known.
    ahead_s: Option<i64>,
}

impl PeerClock {
    /// The hub took a token.
    pub(super) const fn agrees(&mut self) {
        self.ahead_s = None;
    }

    fn explains(self, mut failure: Failure) -> Failure {
        let Some(ahead_s) = self.ahead_s else {
            return failure;
        };
        let seconds = ahead_s.unsigned_abs();
        let how = if ahead_s < 0 { "behind" } else { "ahead of" };
        let text = format!("; this machine's clock is {seconds} s {how} the hub's: set it");
        failure.message.push_str(&text);
        failure.with_ending(Ending::ClocksDiffer)
    }
}

impl<P: Platform> Controller<P> {
    /// A failure of a device at a hub. If credentials were refused, with what is known of the clocks; if nothing is, they are looked at.
    pub(super) fn with_clock(&mut self, hub: Option<ServiceId>, failure: Failure) -> Failure {
        let is_refusal = failure.kind == FailureKind::Unauthorized;
        let by_hub = !matches!(failure.ending, Ending::Found | Ending::Own);
        let Some(hub) = hub.filter(|_| is_refusal && by_hub) else {
            return failure;
        };
        let now = self.now.monotonic;
        let host = self.fleet.host(hub).cloned();
        let (Some(pool), Some(host)) = (self.pools.get_mut(&hub), host) else {
            return failure;
        };
        let clock = &mut pool.clock;
        let is_old = |at: Duration| now.saturating_sub(at) >= CLOCK_LOOK_INTERVAL;
        let known = *clock;
        if clock.asked_at.is_none_or(is_old) {
            clock.asked_at = Some(now);
            self.act(Action::LookAtClock(hub, host));
        }
        known.explains(failure)
    }

    /// A hub said what time it is there, or did not. `ahead_s`: how far this machine's clock is ahead.
    pub(super) fn clock_seen(&mut self, hub: ServiceId, ahead_s: Option<i64>) {
        let Some(pool) = self.pools.get_mut(&hub) else {
            return;
        };
        let tolerated = |ahead: &i64| ahead.unsigned_abs() <= CLOCK_TOLERANCE_S;
        let before = pool.clock.ahead_s;
        pool.clock.ahead_s = ahead_s.filter(|ahead| !tolerated(ahead));
        let clock = pool.clock;
        if clock.ahead_s.is_none() || before.is_some() {
            return;
        }
        // Those that were refused before that was known.
        let host = self.fleet.host(hub).cloned();
        let refused = self.fleet.iter().filter(|(_, _, machine)| {
            let waits = matches!(machine.state(), State::Waiting { .. } | State::Queued);
            waits
                && machine.last_failure().kind == FailureKind::Unauthorized
                && machine.hub() == host.as_ref()
        });
        let refused: Vec<u32> = refused.map(|(index, ..)| index).collect();
        for index in refused {
            let context = self.fleet.context(index);
            let Some(noted) = context.and_then(|context| context.last_failure.clone()) else {
                continue;
            };
            let failure = clock.explains(noted.failure.clone());
            self.note_failure_at(index, failure, Some(hub));
            self.fleet.clocks_differ(index, self.now);
        }
    }
}
