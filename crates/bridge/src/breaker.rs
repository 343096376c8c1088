//! Many devices refused at once are one fault: a wrong key, a clock that is off.
//!
//! The breaker opens when a number of different devices was refused within a short time and none was accepted. While
//! it is open one device tries now and then; the first that is accepted closes it. So a wrong key is one line in the log
//! and a trickle of attempts, not fifty thousand devices hammering the hub.

use std::time::Duration;

use crate::limits::{BREAKER_DEVICES, BREAKER_PROBE_INTERVAL, BREAKER_WINDOW};
use crate::mutation::{Mutation, planted};

/// Watches the refused credentials of one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Breaker {
    /// Counting.
    Closed(Refused),
    /// The fault is not the devices'.
    Open {
        /// When the next device may try.
        next_probe: Duration,
    },
}

/// Devices refused lately, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// Since when; the window starts again with the first refusal after its end.
    since: Duration,
    /// Hashes of their ids; never more than [`BREAKER_DEVICES`].
    devices: Vec<u64>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed(Refused::default())
    }
}

impl Breaker {
    /// Whether an attempt may start now, else how long to wait.
    pub fn check(&self, now: Duration) -> Result<(), Duration> {
        match self {
            Self::Closed(_) => Ok(()),
            Self::Open { next_probe } => match next_probe.checked_sub(now) {
                None | Some(Duration::ZERO) => Ok(()),
                Some(wait) => Err(wait),
            },
        }
    }

    /// An attempt starts. While the breaker is open it is the probe.
    pub fn attempt_starts(&mut self, now: Duration) {
        if let Self::Open { next_probe } = self {
            *next_probe = now + BREAKER_PROBE_INTERVAL;
        }
    }

    /// The hub refused a device's credentials. `device` is a hash of its id. True if the breaker opens by that.
    pub fn refused(&mut self, device: u64, now: Duration) -> bool {
        let Self::Closed(refused) = self else {
            return false;
        };
        if now.saturating_sub(refused.since) > BREAKER_WINDOW {
            refused.devices.clear();
        }
        if refused.devices.is_empty() {
            refused.since = now;
        }
        if !refused.devices.contains(&device) {
            refused.devices.push(device);
        }
        if refused.devices.len() < BREAKER_DEVICES {
            return false;
        }
        *self = Self::Open {
            next_probe: now + BREAKER_PROBE_INTERVAL,
        };
        true
    }

    /// An attempt was not made, or the hub said something that has nothing to do with credentials, such as that it does not
    /// know the device. Another one may probe: should all devices have moved to another hub meanwhile, each has to learn that.
    pub fn inconclusive(&mut self, now: Duration) {
        if let Self::Open { next_probe } = self {
            *next_probe = now.min(*next_probe);
        }
    }

    /// The hub accepted a device's credentials. True if the breaker closes by that.
    pub fn accepted(&mut self) -> bool {
        match self {
            Self::Closed(refused) => {
                refused.devices.clear();
                false
            }
            Self::Open { .. } if planted(Mutation::BreakerStays) => false,
            Self::Open { .. } => {
                *self = Self::default();
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        let news: Vec<bool> = (0..30)
            .map(|device| breaker.refused(device, s(100)))
            .collect();
        assert_eq!(news.iter().filter(|news| **news).count(), 1, "said once");
        assert!(news[BREAKER_DEVICES - 1]);
        breaker
    }

    #[test]
    fn opens_once_lets_one_through_and_closes() {
        let mut breaker = opened();
        assert_eq!(breaker.check(s(110)), Err(s(20)));
        assert_eq!(breaker.check(s(130)), Ok(()));
        breaker.attempt_starts(s(130));
        assert_eq!(breaker.check(s(130)), Err(s(30)));
        assert!(!breaker.refused(99, s(131)));
        assert!(breaker.accepted());
        assert_eq!(breaker.check(s(131)), Ok(()));
        assert!(!breaker.accepted());
    }

    #[test]
    fn a_probe_that_says_nothing_of_credentials_makes_room_for_the_next() {
        let mut breaker = opened();
        breaker.attempt_starts(s(130));
        breaker.inconclusive(s(131));
        assert_eq!(breaker.check(s(131)), Ok(()));
        breaker.attempt_starts(s(131));
        assert_eq!(breaker.check(s(131)), Err(s(30)), "one at a time");
        let mut closed = Breaker::default();
        closed.inconclusive(s(1));
        assert_eq!(closed, Breaker::default());
    }

    #[test]
    fn one_device_refused_often_is_its_own_fault() {
        let mut breaker = Breaker::default();
        assert!((0..1000).all(|_| !breaker.refused(7, s(1))));
    }

    #[test]
    fn a_few_bad_devices_among_good_ones_open_nothing() {
        let mut breaker = Breaker::default();
        for device in 0..1000 {
            assert!(!breaker.refused(device, s(1)));
            if device % 10 == 0 {
                breaker.accepted();
            }
        }
    }

    #[test]
    fn refusals_far_apart_open_nothing() {
        let mut breaker = Breaker::default();
        assert!((0..100).all(|device| !breaker.refused(device, s(device * 2))));
    }
}
