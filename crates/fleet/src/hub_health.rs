//! Whether a hub can be reached.
//!
//! An unreachable hub is one fault, not one per device: one probe at a time tries it, after 100 ms and then after as long as it has
//! been down already, up to 2 s. Its devices wait in their queue meanwhile and count no failure.

use std::time::Duration;

use crate::limits::{PROBE_TIMEOUT, PROBE_WAIT_MAX, PROBE_WAIT_MIN};
use crate::mutation::{Mutation, planted};

/// Whether a hub can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HubHealth {
    /// As far as known it can.
    #[default]
    Up,
    /// It could not be reached.
    Down {
        /// Since when.
        since: Duration,
        /// The probe, waiting or under way.
        probe: Probe,
    },
}

/// The one attempt that is made while a hub is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The time of the next probe.
    At(Duration),
    /// Under way; another one is made if it does not end by that time.
    Until(Duration),
}

impl HubHealth {
    /// Whether an attempt may start now, else how long to wait.
    pub fn check(&self, now: Duration) -> Result<(), Duration> {
        match self {
            Self::Up => Ok(()),
            Self::Down { probe, .. } => match probe.due().checked_sub(now) {
                None | Some(Duration::ZERO) => Ok(()),
                Some(wait) => Err(wait),
            },
        }
    }

    /// How long it could not be reached.
    #[must_use]
    pub const fn down_for(&self, now: Duration) -> Option<Duration> {
        match self {
            Self::Up => None,
            Self::Down { since, .. } => Some(now.saturating_sub(*since)),
        }
    }

    /// An attempt starts. While the hub is down it is the probe.
    pub fn attempt_starts(&mut self, now: Duration) {
        if let Self::Down { probe, .. } = self
            && !planted(Mutation::EverybodyProbes)
        {
            *probe = Probe::Until(now + PROBE_TIMEOUT);
        }
    }

    /// An attempt was given up before it said anything. If it was the probe, another one may start.
    pub fn attempt_abandoned(&mut self, now: Duration) {
        if let Self::Down { probe, .. } = self
            && matches!(probe, Probe::Until(_))
        {
            *probe = Probe::At(now);
        }
    }

    /// An attempt could not reach the hub. True if that is news.
    pub fn unreachable(&mut self, now: Duration) -> bool {
        match self {
            Self::Up => {
                *self = Self::Down {
                    since: now,
                    probe: Probe::At(now + PROBE_WAIT_MIN),
                };
                true
            }
            // Attempts from before the fall may report late; a probe that is waiting stays where it is.
            Self::Down {
                probe: Probe::At(_),
                ..
            } => false,
            Self::Down { since, probe } => {
                // Waiting as long again as it is down already doubles the waits.
                let wait = now.saturating_sub(*since);
                *probe = Probe::At(now + wait.clamp(PROBE_WAIT_MIN, PROBE_WAIT_MAX));
                false
            }
        }
    }

    /// The hub answered, with any result. True if that is a change.
    pub fn reached(&mut self) -> bool {
        std::mem::replace(self, Self::Up) != Self::Up
    }
}

impl Probe {
    const fn due(self) -> Duration {
        match self {
            Self::At(time) | Self::Until(time) => time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_hub_that_is_up_lets_everyone_through() {
        let mut hub = HubHealth::default();
        for _ in 0..1000 {
            assert_eq!(hub.check(ms(5)), Ok(()));
            hub.attempt_starts(ms(5));
        }
        assert!(!hub.reached());
    }

    #[test]
    fn one_probe_at_a_time_with_growing_waits() {
        let mut hub = HubHealth::default();
        let mut now = ms(1000);
        assert!(hub.unreachable(now));
        let mut waits = Vec::new();
        for _ in 0..8 {
            let wait = hub.check(now).unwrap_err();
            waits.push(wait.as_millis());
            now += wait;
            assert_eq!(hub.check(now), Ok(()));
            hub.attempt_starts(now);
            assert_eq!(hub.check(now), Err(PROBE_TIMEOUT), "only one probe");
            assert!(!hub.unreachable(now), "not news");
        }
        assert_eq!(waits, [100, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert!(hub.reached());
        assert_eq!(hub.check(now), Ok(()));
    }

    #[test]
    fn late_reports_do_not_postpone_the_probe() {
        let mut hub = HubHealth::default();
        hub.unreachable(ms(0));
        for late in 0..90 {
            hub.unreachable(ms(late));
            assert_eq!(hub.check(ms(late)), Err(ms(100 - late)));
        }
    }

    #[test]
    fn a_probe_that_never_ends_is_replaced() {
        let mut hub = HubHealth::default();
        hub.unreachable(ms(0));
        hub.attempt_starts(ms(100));
        assert_eq!(hub.check(ms(100) + PROBE_TIMEOUT), Ok(()));

        hub.attempt_starts(ms(200));
        hub.attempt_abandoned(ms(250));
        assert_eq!(hub.check(ms(250)), Ok(()));
        // One that is waiting is not brought forward.
        hub.unreachable(ms(250));
        hub.attempt_starts(ms(300));
        hub.unreachable(ms(310));
        hub.attempt_abandoned(ms(320));
        assert_eq!(hub.check(ms(320)), Err(ms(300)));
    }
}
