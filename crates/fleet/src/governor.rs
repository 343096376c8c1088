//! The governor of a hub: grants permits to connect.
//!
//! One [`Governor`] per hub. It grants permits at the pace that the hub allows ([`Pacer`]), and only to a probe while the hub is
//! unreachable ([`HubHealth`]) or refuses everyone ([`CredentialBreaker`]). The queue of devices belongs to the caller, which asks
//! [`Governor::take`] for each device and waits as long as it answers.

mod learned_pace;
mod pacer;

use std::time::Duration;

use crate::credential_breaker::{CredentialBreaker, Probe};
use crate::hub_health::HubHealth;

pub use pacer::{Pace, Pacer};

/// An attempt that a hub answered, or did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// When it had its permit.
    pub permitted: Duration,
    /// When the hub was asked: it may have waited for its connection.
    pub asked: Duration,
}

impl Opening {
    /// On a connection that stands.
    #[must_use]
    pub const fn at(now: Duration) -> Self {
        Self {
            permitted: now,
            asked: now,
        }
    }
}

/// Paces the attempts to connect to one hub.
#[derive(Debug, Clone)]
pub struct Governor {
    /// Whether the hub can be reached.
    pub hub: HubHealth,
    /// Whether the hub refuses everyone.
    pub breaker: CredentialBreaker,
    pacer: Pacer,
}

impl Governor {
    /// A governor with the given pace; [`Pace::default`] is right for a hub of unknown size.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            hub: HubHealth::default(),
            breaker: CredentialBreaker::default(),
            pacer: Pacer::new(pace),
        }
    }

    /// A permit for one attempt, or how long to wait before asking again. The wait ends earlier if the hub comes back.
    /// `probe` is what the attempt would be if the hub refused everyone.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&mut self, probe: Probe, now: Duration) -> Result<(), Duration> {
        self.hub.check(now)?;
        self.breaker.check(now, probe)?;
        self.pacer.take(now)?;
        self.hub.attempt_starts(now);
        self.breaker.attempt_starts(now);
        Ok(())
    }

    /// Whether only probes may try, because the hub cannot be reached or refuses everyone.
    #[must_use]
    pub const fn stops_everybody(&self) -> bool {
        !matches!(
            (&self.hub, &self.breaker),
            (HubHealth::Up, CredentialBreaker::Closed(_))
        )
    }

    /// The hub took a device, or said that it does not know it, after an attempt of which this is known: a pace that is learned may
    /// grow, or shrinks where the hub took longer than it did before.
    pub fn accepted(&mut self, opening: Option<Opening>, now: Duration) {
        self.pacer.accepted(opening, now);
    }

    /// An attempt was left without an answer: a pace that is learned shrinks.
    pub fn timed_out(&mut self, opening: Opening, now: Duration) {
        self.pacer.timed_out(opening, now);
    }

    /// The hub throttles: a pace that is learned shrinks.
    pub fn throttled(&mut self, now: Duration) {
        self.pacer.throttled(now);
    }

    /// A permit was not used.
    pub fn give_back(&mut self, now: Duration) {
        self.pacer.give_back();
        self.hub.attempt_abandoned(now);
        self.breaker.attempt_abandoned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_a_hub_is_down_only_the_probe_passes() {
        let mut governor = Governor::new(Pace::Unlimited);
        let start = Duration::from_secs(1);
        assert_eq!(governor.take(Probe::Refused, start), Ok(()));
        governor.hub.unreachable(start);
        let wait = governor.take(Probe::Refused, start).unwrap_err();
        let probe = start + wait;
        assert_eq!(governor.take(Probe::Refused, probe), Ok(()));
        assert!(governor.take(Probe::Refused, probe).is_err());

        governor.give_back(probe);
        assert_eq!(
            governor.take(Probe::Refused, probe),
            Ok(()),
            "the probe went to someone else"
        );

        governor.hub.reached();
        assert!((0..1000).all(|_| governor.take(Probe::Refused, probe).is_ok()));
    }

    #[test]
    fn while_a_hub_refuses_everyone_few_pass() {
        let mut governor = Governor::new(Pace::Unlimited);
        let now = Duration::from_secs(1);
        (0..100).for_each(|device| {
            governor
                .breaker
                .refused(device, false, crate::limits::BREAKER_DEVICES, now);
        });
        let wait = governor.take(Probe::Refused, now).unwrap_err();
        assert_eq!(governor.take(Probe::Refused, now + wait), Ok(()));
        assert!(governor.take(Probe::Refused, now + wait).is_err());
        governor.give_back(now + wait);
        assert_eq!(
            governor.take(Probe::Refused, now + wait),
            Ok(()),
            "the probe went to someone else"
        );
        governor.breaker.accepted(now);
        assert_eq!(governor.take(Probe::Refused, now + wait), Ok(()));
    }

    /// Devices taken within `length` by a hub that takes `limit` per second and throttles the rest.
    fn learned(length: Duration, limit: usize) -> usize {
        let mut governor = Governor::new(Pace::Learned);
        let (mut now, mut count, mut this_second) = (Duration::from_secs(1), 0, (1, 0));
        let end = now + length;
        while now < end {
            match governor.take(Probe::Refused, now) {
                Err(wait) => now += wait,
                Ok(()) => {
                    if this_second.0 != now.as_secs() {
                        this_second = (now.as_secs(), 0);
                    }
                    this_second.1 += 1;
                    if this_second.1 > limit {
                        governor.throttled(now);
                    } else {
                        governor.accepted(Some(Opening::at(now)), now);
                        count += 1;
                    }
                }
            }
        }
        count
    }

    #[test]
    fn a_learned_pace_grows_while_the_hub_takes_everything() {
        assert!(learned(Duration::from_secs(3), usize::MAX) >= 1_000);
        assert!(learned(Duration::from_secs(10), usize::MAX) >= 50_000);
    }

    #[test]
    fn a_learned_pace_stays_near_what_a_hub_takes() {
        let check = |limit: usize| {
            let taken = learned(Duration::from_secs(60), limit);
            assert!(taken >= 60 * limit / 3, "{taken} of {limit} per second");
        };
        check(120);
        check(1_000);
    }
}
