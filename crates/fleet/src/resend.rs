//! The schedule for resending a message or twin request within its time.
//!
//! A hub with a fault may recover at once, or may refuse everything while it is asked. So the waits grow, and chance spreads them:
//! within 30 s one request is sent a few dozen times at most, and requests that were refused together do not return together.

use std::time::Duration;

use drawspan_hub::{Failure, FailureKind};

use crate::limits::{
    ASKED_WAIT_SPREAD_PERCENT, RESEND_WAIT_MAX, RESEND_WAIT_MIN, THROTTLED_RESEND_WAIT,
};
use crate::time::Jitter;

/// The refusals of a request so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resend {
    deadline: Duration,
    /// Faults of the hub, one after the other.
    faults: u32,
}

/// The step after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is sent again after this wait.
    After(Duration),
    /// It would be worth sending again, but there is no time left.
    OutOfTime,
    /// The hub will not take it, however often it is sent.
    Never,
}

impl Resend {
    /// A request whose caller gives up at `deadline`, monotonic.
    #[must_use]
    pub const fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            faults: 0,
        }
    }

    /// The hub refused it.
    pub fn refused(&mut self, failure: &Failure, now: Duration, jitter: Jitter) -> Next {
        let asked = Duration::from_secs(failure.retry_after_s.unwrap_or(0).into());
        let wait = match failure.kind {
            FailureKind::Throttled => spread(asked.max(THROTTLED_RESEND_WAIT), jitter),
            FailureKind::ServerError | FailureKind::Timeout => {
                self.grown_wait(jitter).max(spread(asked, jitter))
            }
            _ => return Next::Never,
        };
        if now.saturating_add(wait) >= self.deadline {
            return Next::OutOfTime;
        }
        Next::After(wait)
    }

    fn grown_wait(&mut self, jitter: Jitter) -> Duration {
        let doublings = self.faults.min(16);
        self.faults = self.faults.saturating_add(1);
        let least = (RESEND_WAIT_MIN * (1 << doublings)).min(RESEND_WAIT_MAX / 2);
        jitter.between(least, least * 2)
    }
}

/// The wait that a hub asks for, and a little more.
fn spread(asked: Duration, jitter: Jitter) -> Duration {
    jitter.between(asked, asked + asked * ASKED_WAIT_SPREAD_PERCENT / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Chance;

    const REQUEST: Duration = Duration::from_secs(30);

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn failure(kind: FailureKind, retry_after_s: Option<u32>) -> Failure {
        Failure {
            retry_after_s,
            ..Failure::local(kind, "refused")
        }
    }

    /// The waits of a request that a hub refuses at once, each time with this.
    fn waits(failure: &Failure, chance: &mut Chance) -> Vec<Duration> {
        let (mut resend, mut now) = (Resend::new(REQUEST), Duration::ZERO);
        let mut waits = Vec::new();
        while let Next::After(wait) = resend.refused(failure, now, chance.draw()) {
            now += wait;
            assert!(now < REQUEST, "{now:?}");
            waits.push(wait);
        }
        waits
    }

    #[test]
    fn a_hub_with_a_fault_is_sent_one_request_a_few_dozen_times_at_most() {
        for kind in [FailureKind::ServerError, FailureKind::Timeout] {
            for seed in 0..200 {
                let waits = waits(&failure(kind, None), &mut Chance::new(seed));
                assert!(
                    (10..=20).contains(&waits.len()),
                    "{}: {waits:?}",
                    waits.len()
                );
                for (at, wait) in (0..).zip(&waits) {
                    let least = (RESEND_WAIT_MIN * (1 << at)).min(RESEND_WAIT_MAX / 2);
                    assert!(least <= *wait && *wait < 2 * least, "{at}: {wait:?}");
                }
            }
        }
    }

    #[test]
    fn requests_that_were_refused_together_do_not_come_back_together() {
        let mut chance = Chance::new(1);
        let refusal = failure(FailureKind::ServerError, None);
        let mut firsts: Vec<Duration> = (0..100).map(|_| waits(&refusal, &mut chance)[0]).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 100);
        assert!(firsts[99] - firsts[0] > ms(80), "{firsts:?}");
    }

    #[test]
    fn the_hub_may_ask_for_a_longer_wait_but_not_for_none() {
        let check = |kind, asked, least, most| {
            let wait = |jitter| match Resend::new(REQUEST).refused(
                &failure(kind, asked),
                Duration::ZERO,
                Jitter(jitter),
            ) {
                Next::After(wait) => wait,
                next => panic!("{next:?}"),
            };
            assert_eq!(wait(0), ms(least));
            let longest = wait(u64::MAX);
            assert!(
                longest < ms(most) && longest + ms(1) > ms(most),
                "{longest:?}"
            );
        };
        check(FailureKind::ServerError, None, 100, 200);
        check(FailureKind::ServerError, Some(0), 100, 200);
        check(FailureKind::ServerError, Some(7), 7_000, 8_400);
        check(FailureKind::Throttled, None, 1_000, 1_200);
        check(FailureKind::Throttled, Some(0), 1_000, 1_200);
        check(FailureKind::Throttled, Some(20), 20_000, 24_000);
    }

    #[test]
    fn a_throttled_request_waits_as_long_each_time() {
        for seed in 0..50 {
            let waits = waits(
                &failure(FailureKind::Throttled, None),
                &mut Chance::new(seed),
            );
            assert!((25..=30).contains(&waits.len()), "{}", waits.len());
        }
        // It is no fault of the hub: the next one is still waited for a short time.
        let mut resend = Resend::new(REQUEST);
        let throttled = failure(FailureKind::Throttled, None);
        for _ in 0..10 {
            resend.refused(&throttled, Duration::ZERO, Jitter(0));
        }
        let fault = failure(FailureKind::ServerError, None);
        let next = resend.refused(&fault, Duration::ZERO, Jitter(0));
        assert_eq!(next, Next::After(RESEND_WAIT_MIN));
    }

    #[test]
    fn nothing_is_sent_at_the_deadline_or_after_it() {
        let check = |kind, asked, now, expected| {
            let mut resend = Resend::new(REQUEST);
            let next = resend.refused(&failure(kind, asked), now, Jitter(0));
            assert_eq!(next, expected);
        };
        let fault = FailureKind::ServerError;
        check(fault, None, ms(29_899), Next::After(ms(100)));
        check(fault, None, ms(29_900), Next::OutOfTime);
        check(fault, None, Duration::MAX, Next::OutOfTime);
        check(fault, Some(30), ms(0), Next::OutOfTime);
        check(
            FailureKind::Throttled,
            Some(u32::MAX),
            ms(0),
            Next::OutOfTime,
        );
        check(FailureKind::Throttled, None, ms(29_000), Next::OutOfTime);
    }

    #[test]
    fn what_the_hub_will_not_take_is_not_sent_again() {
        for kind in FailureKind::ALL {
            let next = Resend::new(REQUEST).refused(&failure(kind, Some(1)), ms(0), Jitter(0));
            let again = matches!(
                kind,
                FailureKind::Throttled | FailureKind::ServerError | FailureKind::Timeout
            );
            assert_eq!(next != Next::Never, again, "{kind:?}");
        }
    }
}
