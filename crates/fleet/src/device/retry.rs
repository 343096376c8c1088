//! The failures of a device so far, and the schedule of its retries.

use std::time::Duration;

use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, Failure, FailureKind};

use super::FailureReason;
use crate::limits::{
    QUICK_PHASE, QUICK_STEP, QUICK_WAIT_MAX, QUICK_WAIT_MIN, REPROVISION_AFTER,
    REPROVISION_REFUSALS, SLOW_STEP, SLOW_WAIT_MAX, STABLE_AFTER, THEFTS_FORGOTTEN_AFTER,
    YIELD_MAX, YIELD_MIN,
};
use crate::time::Jitter;

/// A series of failures. Counters stop at their end, they do not wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetryState {
    /// When the series began.
    since: Option<Duration>,
    failures: u32,
    /// Failures after the quick phase.
    slow_failures: u16,
    /// Failures that may mean that the device has moved to another hub.
    refusals: u16,
    /// How often somebody else took the device. Outlives the series.
    thefts: u8,
    /// Whether a fresh token has been tried.
    pub(super) reauthenticated: bool,
    /// The next attempt is not like the one that failed.
    pub(super) another_way: bool,
    last: FailureReason,
}

impl RetryState {
    pub(super) const NONE: Self = Self {
        since: None,
        failures: 0,
        slow_failures: 0,
        refusals: 0,
        thefts: 0,
        reauthenticated: false,
        another_way: false,
        last: FailureReason {
            kind: FailureKind::Unknown,
            code: None,
        },
    };

    pub(super) const fn last_failure(&self) -> FailureReason {
        self.last
    }

    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// A connection stood that long before it was lost: long enough, and the series is over.
    pub(super) fn stood(&mut self, length: Duration) {
        if length >= STABLE_AFTER {
            self.forget_failures();
        }
        if length >= THEFTS_FORGOTTEN_AFTER {
            self.thefts = 0;
        }
    }

    pub(super) const fn forget_failures(&mut self) {
        *self = Self {
            thefts: self.thefts,
            ..Self::NONE
        };
    }

    /// Starts again, but keeps the last failure.
    pub(super) const fn start_over(&mut self) {
        *self = Self {
            last: self.last,
            ..Self::NONE
        };
    }

    /// Remembers a failure without counting it.
    pub(super) fn note(&mut self, failure: &Failure) {
        self.last = failure.into();
    }

    /// Counts a failure.
    pub(super) fn count(&mut self, failure: &Failure, now: Duration) {
        self.since.get_or_insert(now);
        self.failures = self.failures.saturating_add(1);
        if !self.is_quick(now) {
            self.slow_failures = self.slow_failures.saturating_add(1);
        }
        if failure.may_mean_moved() {
            self.refusals = self.refusals.saturating_add(1);
        }
    }

    /// Refused often and long enough to ask DPS where the device belongs.
    pub(super) fn may_have_moved(&self, now: Duration) -> bool {
        self.refusals >= REPROVISION_REFUSALS && self.lasts(now) >= REPROVISION_AFTER
    }

    /// DPS will be asked: the refusals have led to something.
    pub(super) const fn forget_refusals(&mut self) {
        self.refusals = 0;
    }

    /// How long to wait before the next attempt, after [`Self::count`].
    pub(super) fn wait(&self, now: Duration, jitter: Jitter) -> Duration {
        if self.is_quick(now) {
            return quick_wait(self.failures, jitter);
        }
        let most = SLOW_STEP * u32::from(self.slow_failures);
        jitter.between(Duration::ZERO, most.min(SLOW_WAIT_MAX))
    }

    /// Another client took the device: how long to stay away. A second taker is probably another bridge with the same keys, so the
    /// waits grow.
    pub(super) fn yield_for(&mut self, jitter: Jitter) -> Duration {
        self.thefts = self.thefts.saturating_add(1);
        let repeats = u32::from(self.thefts) - 1;
        if repeats == 0 {
            return jitter.between(YIELD_MIN, YIELD_MAX);
        }
        jitter.between(YIELD_MIN, (SLOW_STEP * repeats).min(SLOW_WAIT_MAX))
    }

    /// The public words after [`Self::count`].
    pub(super) fn status(
        &self,
        failure: &Failure,
        now: Duration,
    ) -> (ConnectionStatus, ConnectionStatusReason) {
        match failure.status_reason() {
            ConnectionStatusReason::CommunicationError if self.is_quick(now) => RETRYING,
            ConnectionStatusReason::CommunicationError => (
                ConnectionStatus::Disconnected,
                ConnectionStatusReason::RetryExpired,
            ),
            reason => (ConnectionStatus::Disconnected, reason),
        }
    }

    fn is_quick(&self, now: Duration) -> bool {
        self.lasts(now) < QUICK_PHASE
    }

    fn lasts(&self, now: Duration) -> Duration {
        self.since
            .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }
}

/// The public words while another attempt is near.
pub(super) const RETRYING: (ConnectionStatus, ConnectionStatusReason) = (
    ConnectionStatus::DisconnectedRetrying,
    ConnectionStatusReason::CommunicationError,
);

/// As the .NET client waits: least + (2ⁿ − 1) · step ± 20 %, at most 10 s, n = 0 for the first failure.
fn quick_wait(failures: u32, jitter: Jitter) -> Duration {
    // From 2⁷ on the limit applies.
    let doublings = failures.saturating_sub(1).min(10);
    let steps = (1_u32 << doublings) - 1;
    let step = jitter.between(QUICK_STEP * 8 / 10, QUICK_STEP * 12 / 10);
    (QUICK_WAIT_MIN + step * steps).min(QUICK_WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: Jitter = Jitter(1 << 63);

    fn failure() -> Failure {
        Failure::local(FailureKind::ServerError, "")
    }

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn quick_waits_double_up_to_ten_seconds() {
        let waits: Vec<u128> = (1..=9).map(|n| quick_wait(n, MIDDLE).as_millis()).collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        assert_eq!(quick_wait(u32::MAX, Jitter(u64::MAX)), QUICK_WAIT_MAX);
        assert_eq!(quick_wait(3, Jitter(0)).as_millis(), 100 + 3 * 80);
    }

    #[test]
    fn slow_waits_grow_to_half_an_hour() {
        let mut retry = RetryState::NONE;
        retry.count(&failure(), s(1000));
        let late = s(1000) + QUICK_PHASE;
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                retry.count(&failure(), late);
                retry.wait(late, MIDDLE).as_secs()
            })
            .collect();
        assert_eq!(waits, [150, 300, 450, 600, 750, 900, 900, 900]);
    }

    #[test]
    fn counters_stop_at_their_end() {
        let mut retry = RetryState {
            since: Some(s(0)),
            failures: u32::MAX - 1,
            slow_failures: u16::MAX - 1,
            refusals: u16::MAX - 1,
            thefts: u8::MAX - 1,
            ..RetryState::NONE
        };
        for _ in 0..3 {
            retry.count(&failure(), s(10_000));
            assert!(retry.yield_for(MIDDLE) < SLOW_WAIT_MAX);
        }
        assert_eq!(retry.failures, u32::MAX);
        assert_eq!(retry.slow_failures, u16::MAX);
        assert_eq!(retry.refusals, u16::MAX);
        assert_eq!(retry.thefts, u8::MAX);
        assert!(retry.wait(s(10_000), Jitter(u64::MAX)) < SLOW_WAIT_MAX);
    }

    #[test]
    fn short_connections_belong_to_the_series() {
        let mut retry = RetryState::NONE;
        retry.count(&failure(), s(10));
        retry.yield_for(MIDDLE);
        let before = retry;
        retry.stood(s(59));
        assert_eq!(retry, before);
        retry.stood(s(60));
        assert_eq!(
            retry,
            RetryState {
                thefts: 1,
                ..RetryState::NONE
            }
        );
        retry.stood(s(1800));
        assert_eq!(retry, RetryState::NONE);
    }

    #[test]
    fn takes_ten_refusals_and_a_quarter_of_an_hour_to_have_moved() {
        let mut retry = RetryState::NONE;
        for _ in 0..9 {
            retry.count(&failure(), s(10));
        }
        assert!(!retry.may_have_moved(s(10_000)));
        retry.count(&failure(), s(20));
        assert!(!retry.may_have_moved(s(909)));
        assert!(retry.may_have_moved(s(910)));

        let mut throttled = RetryState::NONE;
        for _ in 0..100 {
            throttled.count(&Failure::local(FailureKind::Throttled, ""), s(10));
        }
        assert!(!throttled.may_have_moved(s(10_000)));
    }
}
