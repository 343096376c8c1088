//! Many devices refused at once are one fault: a wrong key, a clock that is off.
//!
//! The breaker opens when a number of different devices was refused within a short time while no device is connected and no
//! device was accepted in that time. Otherwise a refusal concerns the refused device alone. While the breaker is open, one
//! device tries now and then; the first that is accepted closes it. So a wrong key is one line in the log and a trickle of
//! attempts, not fifty thousand devices hammering the hub.

use std::time::Duration;

use crate::limits::{
    BREAKER_DEVICES, BREAKER_REFUSED_PROBE_INTERVAL, BREAKER_SHARED_PROBE_INTERVAL,
    BREAKER_UNTRIED_PROBE_INTERVAL, BREAKER_WINDOW,
};
use crate::mutation::{Mutation, planted};

/// Watches the refused credentials of one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialBreaker {
    /// Counting.
    Closed(Refused),
    /// The fault is not the devices'.
    Open {
        /// When the last device tried; `None` if its attempt proved nothing about credentials.
        last_probe: Option<Duration>,
        /// The same of the attempt before, should the last one not be made.
        probe_before: Option<Duration>,
    },
}

/// The next device that finds out whether everyone is still refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// One that was refused itself.
    Refused,
    /// One that was not tried yet, with credentials that others share.
    Shared,
    /// An untried device with its own credentials.
    Untried,
}

impl Probe {
    /// From one probe to the next.
    #[must_use]
    pub const fn interval(self) -> Duration {
        match self {
            Self::Refused => BREAKER_REFUSED_PROBE_INTERVAL,
            Self::Shared => BREAKER_SHARED_PROBE_INTERVAL,
            Self::Untried => BREAKER_UNTRIED_PROBE_INTERVAL,
        }
    }
}

/// Devices refused lately, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// Since when; the window starts again with the first refusal after its end.
    since: Duration,
    /// Hashes of their ids; never more than [`BREAKER_DEVICES`].
    devices: Vec<u64>,
    /// When a device was accepted last.
    accepted_at: Option<Duration>,
}

impl Default for CredentialBreaker {
    fn default() -> Self {
        Self::Closed(Refused::default())
    }
}

impl CredentialBreaker {
    /// Whether an attempt may start now, else how long to wait.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, now: Duration, probe: Probe) -> Result<(), Duration> {
        let Self::Open {
            last_probe: Some(last),
            ..
        } = self
        else {
            return Ok(());
        };
        match (*last + probe.interval()).checked_sub(now) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    /// Whether only one device tries now and then.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }

    /// An attempt starts. While the breaker is open it is the probe.
    pub const fn attempt_starts(&mut self, now: Duration) {
        if let Self::Open {
            last_probe,
            probe_before,
        } = self
        {
            *probe_before = *last_probe;
            *last_probe = Some(now);
        }
    }

    /// The attempt that started last is not made.
    pub const fn attempt_abandoned(&mut self) {
        if let Self::Open {
            last_probe,
            probe_before,
        } = self
        {
            *last_probe = *probe_before;
        }
    }

    /// The hub refused a device's credentials. `device` is a hash of its id; `connected` if any device of this hub is
    /// connected; `enough` devices open the breaker. True if it opens by that.
    pub fn refused(&mut self, device: u64, connected: bool, enough: usize, now: Duration) -> bool {
        let Self::Closed(refused) = self else {
            return false;
        };
        if connected {
            refused.devices.clear();
            return false;
        }
        if now.saturating_sub(refused.since) > BREAKER_WINDOW {
            refused.devices.clear();
        }
        if refused.devices.is_empty() {
            refused.since = now;
        }
        if refused.devices.len() < BREAKER_DEVICES && !refused.devices.contains(&device) {
            refused.devices.push(device);
        }
        self.opens_at(enough).is_some_and(|at| at <= now) && self.open(false, now)
    }

    /// When the breaker opens, as enough devices were refused: not soon after one was accepted, which may have been the only
    /// good one.
    #[must_use]
    pub fn opens_at(&self, enough: usize) -> Option<Duration> {
        let Self::Closed(refused) = self else {
            return None;
        };
        let accepted = refused.accepted_at.map(|at| at + BREAKER_WINDOW);
        (refused.devices.len() >= enough).then(|| accepted.unwrap_or_default())
    }

    /// Opens, unless a device is connected. True if it does.
    pub fn open(&mut self, connected: bool, now: Duration) -> bool {
        if connected {
            if let Self::Closed(refused) = self {
                refused.devices.clear();
            }
            return false;
        }
        *self = Self::Open {
            last_probe: Some(now),
            probe_before: None,
        };
        true
    }

    /// The hub said something that has nothing to do with credentials, such as that it does not know the device. Another
    /// one may probe: should all devices have moved to another hub meanwhile, each has to learn that.
    pub const fn inconclusive(&mut self) {
        if let Self::Open { last_probe, .. } = self {
            *last_probe = None;
        }
    }

    /// The hub accepted a device's credentials. True if the breaker closes by that.
    pub fn accepted(&mut self, now: Duration) -> bool {
        let was_open = self.is_open();
        if was_open && planted(Mutation::BreakerStays) {
            return false;
        }
        *self = Self::Closed(Refused {
            accepted_at: Some(now),
            ..Refused::default()
        });
        was_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn opened() -> CredentialBreaker {
        let mut breaker = CredentialBreaker::default();
        let news: Vec<bool> = (0..30)
            .map(|device| breaker.refused(device, false, BREAKER_DEVICES, s(100)))
            .collect();
        assert_eq!(news.iter().filter(|news| **news).count(), 1, "said once");
        assert!(news[BREAKER_DEVICES - 1]);
        breaker
    }

    #[test]
    fn opens_once_lets_one_through_and_closes() {
        let mut breaker = opened();
        assert_eq!(breaker.check(s(110), Probe::Refused), Err(s(20)));
        assert_eq!(breaker.check(s(100), Probe::Shared), Err(s(1)));
        assert_eq!(breaker.check(s(101), Probe::Shared), Ok(()));
        let soon = breaker.check(s(100), Probe::Untried).unwrap_err();
        assert!(soon <= Duration::from_millis(100));
        assert_eq!(breaker.check(s(130), Probe::Refused), Ok(()));
        breaker.attempt_starts(s(130));
        assert_eq!(breaker.check(s(130), Probe::Refused), Err(s(30)));
        assert!(!breaker.refused(99, false, BREAKER_DEVICES, s(131)));
        assert!(breaker.accepted(s(131)));
        assert_eq!(breaker.check(s(131), Probe::Refused), Ok(()));
        assert!(!breaker.accepted(s(131)));
    }

    #[test]
    fn a_probe_that_says_nothing_of_credentials_makes_room_for_the_next() {
        let mut breaker = opened();
        breaker.attempt_starts(s(130));
        breaker.inconclusive();
        assert_eq!(breaker.check(s(131), Probe::Refused), Ok(()));
        breaker.attempt_starts(s(131));
        assert_eq!(
            breaker.check(s(131), Probe::Refused),
            Err(s(30)),
            "one at a time"
        );
        breaker.attempt_abandoned();
        assert_eq!(breaker.check(s(131), Probe::Refused), Ok(()));
        let mut closed = CredentialBreaker::default();
        closed.inconclusive();
        assert_eq!(closed, CredentialBreaker::default());
    }

    #[test]
    fn one_device_refused_often_is_its_own_fault() {
        let mut breaker = CredentialBreaker::default();
        assert!((0..1000).all(|_| !breaker.refused(7, false, BREAKER_DEVICES, s(1))));
    }

    #[test]
    fn a_few_bad_devices_among_good_ones_open_nothing() {
        let mut breaker = CredentialBreaker::default();
        for device in 0..1000 {
            assert!(!breaker.refused(device, false, BREAKER_DEVICES, s(1)));
            if device % 10 == 0 {
                breaker.accepted(s(1));
            }
        }
    }

    #[test]
    fn refusals_far_apart_open_nothing() {
        let mut breaker = CredentialBreaker::default();
        assert!((0..100).all(|device| !breaker.refused(
            device,
            false,
            BREAKER_DEVICES,
            s(device * 2)
        )));
    }

    #[test]
    fn while_one_is_connected_or_was_just_accepted_refusals_are_the_devices_own() {
        let mut breaker = CredentialBreaker::default();
        assert!((0..1000).all(|device| !breaker.refused(device, true, BREAKER_DEVICES, s(1))));
        breaker.accepted(s(100));
        let at = s(100) + BREAKER_WINDOW;
        assert!((0..1000).all(|device| !breaker.refused(
            device,
            false,
            BREAKER_DEVICES,
            at - s(1)
        )));
        // It is remembered until that time.
        assert_eq!(breaker.opens_at(BREAKER_DEVICES), Some(at));
        assert!(!breaker.clone().open(true, at), "one is connected by then");
        assert!(breaker.open(false, at));
        assert_eq!(breaker.opens_at(BREAKER_DEVICES), None, "it is open");
    }
}
