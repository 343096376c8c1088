//! The daily quota of a hub as it affects messages of connected devices: the devices stay connected, and their messages are held
//! back.
//!
//! The first message that is refused for the quota blocks all others. One at a time is sent to check whether units were added, less
//! and less often, and after midnight; the first accepted message unblocks all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drawspan_hub::Failure;

use crate::fleet::quota::Quota;
use crate::limits::{MIDNIGHT_SPREAD, QUOTA_PROBE_TIME, SEND_PROBE_LASTS};
use crate::time::{Now, seconds_to_midnight};

/// The quota state of one hub, shared by all senders.
#[derive(Debug, Default)]
pub struct SendQuota {
    /// The only state that a message reads in normal operation.
    is_closed: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    quota: Quota,
    refusal: Option<Refusal>,
}

/// The last refusal for the quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The hub's answer.
    pub failure: Failure,
    /// When, monotonic.
    pub at: Duration,
}

/// A message that may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// As all others.
    Free,
    /// Alone, to see whether the quota is still used up.
    Probe,
}

/// A message that does not go, or was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverQuota {
    /// The hub's answer to the last message.
    pub failure: Failure,
    /// When it is worth asking again: after the next probe.
    pub retry_in: Duration,
}

impl SendQuota {
    /// Whether a message may go.
    pub fn admit(&self, now: Duration) -> Result<Turn, OverQuota> {
        if !self.is_closed.load(Ordering::Relaxed) {
            return Ok(Turn::Free);
        }
        let mut known = self.known();
        if known.quota.lets_one_go(now, SEND_PROBE_LASTS) {
            return Ok(Turn::Probe);
        }
        known.over_quota(now).map_or(Ok(Turn::Free), Err)
    }

    /// The hub refused a message for its quota. The flag says whether the controller is to know.
    pub fn refused(&self, turn: Turn, failure: &Failure, now: Now) -> (OverQuota, bool) {
        let mut known = self.known();
        let begins = known.quota.probe_at().is_none();
        match turn {
            Turn::Free => known.quota.exceeded(now.monotonic),
            Turn::Probe => known.quota.probe_failed(now.monotonic),
        }
        let midnight = Duration::from_secs(seconds_to_midnight(now.unix_s)) + MIDNIGHT_SPREAD;
        known.quota.probes_before(now.monotonic + midnight);
        known.refusal = Some(Refusal {
            failure: failure.clone(),
            at: now.monotonic,
        });
        self.is_closed.store(true, Ordering::Relaxed);
        let over = known.over_quota(now.monotonic).unwrap_or(OverQuota {
            failure: failure.clone(),
            retry_in: QUOTA_PROBE_TIME,
        });
        (over, begins || turn == Turn::Probe)
    }

    /// The hub accepted a message. True if the controller is to know: the quota was used up. What was sent before that says nothing.
    pub fn accepted(&self, turn: Turn, now: Duration) -> bool {
        match turn {
            Turn::Free => false,
            Turn::Probe => {
                let mut known = self.known();
                known.refusal = None;
                self.is_closed.store(false, Ordering::Relaxed);
                known.quota.accepted(now)
            }
        }
    }

    /// The last refusal, while the quota is used up.
    pub fn refusal(&self) -> Option<Refusal> {
        self.known().refusal.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn over_quota(&self, now: Duration) -> Option<OverQuota> {
        let after_probe = self.quota.probe_at()?.saturating_add(QUOTA_PROBE_TIME);
        Some(OverQuota {
            failure: self.refusal.as_ref()?.failure.clone(),
            retry_in: after_probe.saturating_sub(now),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use drawspan_hub::FailureKind;

    const fn at(seconds: u64) -> Now {
        Now {
            monotonic: Duration::from_secs(seconds),
            // 02:00 UTC at the start.
            unix_s: 86_400 * 20_000 + 7_200 + seconds,
        }
    }

    fn quota() -> Failure {
        Failure::local(FailureKind::QuotaExceeded, "403002")
    }

    fn retry_in(refused: &OverQuota) -> u64 {
        refused.retry_in.as_secs()
    }

    #[test]
    fn after_the_first_refusal_nothing_goes_but_one_probe_at_a_time() {
        let sends = SendQuota::default();
        let now = at(100);
        assert_eq!(sends.admit(now.monotonic), Ok(Turn::Free));
        let (over, is_news) = sends.refused(Turn::Free, &quota(), now);
        assert_eq!((retry_in(&over), is_news), (65, true));
        // Messages that were in flight change nothing, whatever their results.
        let (over, is_news) = sends.refused(Turn::Free, &quota(), at(101));
        assert_eq!((retry_in(&over), is_news), (64, false));
        assert!(!sends.accepted(Turn::Free, at(101).monotonic));
        let refused = |s| sends.admit(at(s).monotonic).unwrap_err();
        assert_eq!(refused(102).failure, quota());
        assert_eq!(retry_in(&refused(159)), 6);
        assert_eq!(sends.admit(at(160).monotonic), Ok(Turn::Probe));
        assert_eq!(retry_in(&refused(160)), 35);
        assert!(sends.accepted(Turn::Probe, at(161).monotonic));
        assert_eq!(sends.admit(at(161).monotonic), Ok(Turn::Free));
        assert_eq!(sends.refusal(), None);
    }

    #[test]
    fn probes_grow_rarer_from_a_minute_to_an_hour() {
        let sends = SendQuota::default();
        sends.refused(Turn::Free, &quota(), at(0));
        let (mut now, mut last, mut waits) = (0, 0, Vec::new());
        while waits.len() < 8 {
            now += 1;
            if sends.admit(at(now).monotonic) == Ok(Turn::Probe) {
                sends.refused(Turn::Probe, &quota(), at(now));
                waits.push(now - last);
                last = now;
            }
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    }

    #[test]
    fn a_probe_without_an_outcome_is_followed_by_another() {
        let sends = SendQuota::default();
        sends.refused(Turn::Free, &quota(), at(0));
        assert_eq!(sends.admit(at(60).monotonic), Ok(Turn::Probe));
        assert!(sends.admit(at(89).monotonic).is_err());
        assert_eq!(sends.admit(at(90).monotonic), Ok(Turn::Probe));
        let (over, _) = sends.refused(Turn::Probe, &quota(), at(91));
        assert_eq!(retry_in(&over), 125);
    }

    #[test]
    fn midnight_is_waited_for_if_it_comes_first() {
        let sends = SendQuota::default();
        let midnight = 22 * 3_600;
        let mut turn = Turn::Free;
        let mut now = midnight - 10_000;
        while now < midnight {
            sends.refused(turn, &quota(), at(now));
            turn = Turn::Probe;
            while sends.admit(at(now).monotonic) != Ok(Turn::Probe) {
                now += 1;
            }
        }
        assert!((midnight..=midnight + 60).contains(&now), "{now}");
    }
}
