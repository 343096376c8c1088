//! Who may try to connect to a hub now.
//!
//! One [`Governor`] per hub. It hands out permits at the pace that the hub allows ([`Pacer`]), none but a probe's while the
//! hub is unreachable ([`HubState`]) or refuses everyone ([`Breaker`]). The queue of devices is the caller's; it asks
//! [`Governor::take`] for each device and waits as long as told.

use std::time::Duration;

use drawspan_hub::limits::{HubSize, Rate};

use crate::breaker::Breaker;
use crate::hub_state::HubState;

/// A learned pace grows when this much time's permits were taken up.
const LEARNING_PERIOD: Duration = Duration::from_secs(1);
/// It grows no further than this: 50,000 devices per second.
const INTERVAL_MIN: Duration = Duration::from_micros(20);
/// After the hub has throttled it does not grow for that long.
const THROTTLED_PAUSE: Duration = Duration::from_secs(60);
/// How long a pause a burst may make up for.
const BURST: Duration = Duration::from_millis(100);

/// Paces the attempts to connect to one hub.
#[derive(Debug, Clone)]
pub struct Governor {
    /// Whether the hub can be reached.
    pub hub: HubState,
    /// Whether the hub refuses everyone.
    pub breaker: Breaker,
    pacer: Pacer,
}

impl Governor {
    /// A governor with the given pace; [`Pace::default`] is right for a hub of unknown size.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            hub: HubState::default(),
            breaker: Breaker::default(),
            pacer: Pacer::new(pace),
        }
    }

    /// A permit for one attempt, or how long to wait before asking again. The wait ends earlier if the hub comes back.
    /// `hopeful` if a device asks whose credentials have not been refused.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&mut self, hopeful: bool, now: Duration) -> Result<(), Duration> {
        self.hub.check(now)?;
        self.breaker.check(now, hopeful)?;
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
            (HubState::Up, Breaker::Closed(_))
        )
    }

    /// The hub took a device: a pace that is learned may grow.
    pub fn accepted(&mut self, now: Duration) {
        self.pacer.accepted(now);
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

/// How fast permits are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// As fast as asked: for hubs without limits.
    Unlimited,
    /// At that rate, evenly.
    Limited(Rate),
    /// From the rate of the smallest paid hub, twice as fast each second while the hub takes all of it, half as fast when
    /// it throttles: for hubs whose size nobody told.
    #[default]
    Learned,
    /// The same, but never faster than that.
    LearnedUpTo(Rate),
}

impl Pace {
    /// The pace of new connections that a hub of that size allows.
    #[must_use]
    pub const fn of(size: HubSize) -> Self {
        Self::Limited(size.connections())
    }
}

/// A token bucket that holds a tenth of a second's tokens, at least one. Kept as the time at which it will be full.
#[derive(Debug, Clone)]
pub struct Pacer {
    /// Time per permit; zero when unlimited.
    interval: Duration,
    full_at: Duration,
    learning: Option<Learning>,
}

/// What is learned about the pace that a hub takes.
#[derive(Debug, Clone, Default)]
struct Learning {
    /// Devices taken since `since`.
    accepted: u32,
    since: Duration,
    /// No growth before that: the hub throttled.
    not_before: Duration,
    /// Time per permit at the fastest.
    fastest: Duration,
}

impl Pacer {
    /// A full bucket. A rate of zero is taken as one per minute: a device that never may is a mistake, not a rate.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        let (interval, learning) = match pace {
            Pace::Unlimited => (Duration::ZERO, None),
            Pace::Limited(rate) => (interval_of(rate), None),
            Pace::Learned => learning_from(Duration::ZERO),
            Pace::LearnedUpTo(rate) => learning_from(interval_of(rate)),
        };
        Self {
            interval,
            full_at: Duration::ZERO,
            learning,
        }
    }

    /// A device was taken: once a second's worth was, the pace doubles.
    fn accepted(&mut self, now: Duration) {
        let Some(learning) = &mut self.learning else {
            return;
        };
        if now < learning.not_before {
            return;
        }
        // A trickle says nothing about what the hub takes.
        if learning.accepted == 0 || now.saturating_sub(learning.since) > 2 * LEARNING_PERIOD {
            learning.accepted = 0;
            learning.since = now;
        }
        learning.accepted += 1;
        // Half of a second's permits say enough: the other half is still on its way.
        let enough = LEARNING_PERIOD.as_nanos() / (2 * self.interval.as_nanos().max(1));
        if u128::from(learning.accepted) >= enough {
            let fastest = learning.fastest.max(INTERVAL_MIN);
            self.interval = (self.interval / 2).max(fastest);
            learning.accepted = 0;
        }
    }

    /// Half as fast, at least the smallest hub's pace, and no growth for a while.
    fn throttled(&mut self, now: Duration) {
        let Some(learning) = &mut self.learning else {
            return;
        };
        if now >= learning.not_before {
            let slowest = interval_of(HubSize::S1.connections()).max(learning.fastest);
            self.interval = (self.interval * 2).min(slowest);
            learning.not_before = now + THROTTLED_PAUSE;
        }
        learning.accepted = 0;
    }

    /// Takes a token, or says how long until there is one.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let room = BURST.max(self.interval);
        let full_at = self.full_at.max(now) + self.interval;
        match full_at.checked_sub(now + room) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }

    /// Puts a token back.
    pub fn give_back(&mut self) {
        self.full_at = self.full_at.saturating_sub(self.interval);
    }
}

/// From the smallest paid hub's pace, or from less.
fn learning_from(fastest: Duration) -> (Duration, Option<Learning>) {
    let learning = Learning {
        fastest,
        ..Learning::default()
    };
    let interval = interval_of(HubSize::S1.connections()).max(fastest);
    (interval, Some(learning))
}

const fn interval_of(rate: Rate) -> Duration {
    let per_minute = if rate.per_minute == 0 {
        1
    } else {
        rate.per_minute
    };
    Duration::from_nanos(60_000_000_000 / per_minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes greedily for `length`, waiting as told; returns the number of permits.
    fn taken(pacer: &mut Pacer, length: Duration) -> usize {
        let mut now = Duration::from_secs(5);
        let end = now + length;
        let mut count = 0;
        while now < end {
            match pacer.take(now) {
                Ok(()) => count += 1,
                Err(wait) => now += wait,
            }
        }
        count
    }

    #[test]
    fn keeps_the_rate() {
        let check = |pace, seconds, expected: usize, burst: usize| {
            let count = taken(&mut Pacer::new(pace), Duration::from_secs(seconds));
            assert!((expected..=expected + burst).contains(&count), "{count}");
        };
        check(Pace::of(HubSize::S1), 10, 1000, 10);
        check(Pace::Learned, 10, 1000, 10);
        check(Pace::LearnedUpTo(Rate::per_minute(600)), 10, 100, 1);
        check(Pace::Limited(Rate::per_minute(6)), 60, 6, 1);
        check(Pace::Limited(Rate::per_minute(0)), 120, 2, 1);
        let size = HubSize::new(drawspan_hub::limits::Sku::S3, 1).unwrap();
        check(Pace::of(size), 2, 12_000, 600);
    }

    #[test]
    fn unlimited_never_waits() {
        let mut pacer = Pacer::new(Pace::Unlimited);
        assert!((0..100_000).all(|_| pacer.take(Duration::ZERO).is_ok()));
    }

    #[test]
    fn a_permit_given_back_can_be_taken_again() {
        let mut pacer = Pacer::new(Pace::Limited(Rate::per_second(1)));
        assert_eq!(pacer.take(Duration::ZERO), Ok(()));
        assert_eq!(pacer.take(Duration::ZERO), Err(Duration::from_secs(1)));
        pacer.give_back();
        assert_eq!(pacer.take(Duration::ZERO), Ok(()));
    }

    #[test]
    fn while_a_hub_is_down_only_the_probe_passes() {
        let mut governor = Governor::new(Pace::Unlimited);
        let start = Duration::from_secs(1);
        assert_eq!(governor.take(false, start), Ok(()));
        governor.hub.unreachable(start);
        let wait = governor.take(false, start).unwrap_err();
        let probe = start + wait;
        assert_eq!(governor.take(false, probe), Ok(()));
        assert!(governor.take(false, probe).is_err());

        governor.give_back(probe);
        assert_eq!(
            governor.take(false, probe),
            Ok(()),
            "the probe went to someone else"
        );

        governor.hub.reached();
        assert!((0..1000).all(|_| governor.take(false, probe).is_ok()));
    }

    #[test]
    fn while_a_hub_refuses_everyone_few_pass() {
        let mut governor = Governor::new(Pace::Unlimited);
        let now = Duration::from_secs(1);
        (0..100).for_each(|device| {
            governor.breaker.refused(device, false, now);
        });
        let wait = governor.take(false, now).unwrap_err();
        assert_eq!(governor.take(false, now + wait), Ok(()));
        assert!(governor.take(false, now + wait).is_err());
        governor.give_back(now + wait);
        assert_eq!(
            governor.take(false, now + wait),
            Ok(()),
            "the probe went to someone else"
        );
        governor.breaker.accepted(now);
        assert_eq!(governor.take(false, now + wait), Ok(()));
    }

    /// Devices taken within `length` by a hub that takes `limit` per second and throttles the rest.
    fn learned(length: Duration, limit: usize) -> usize {
        let mut governor = Governor::new(Pace::Learned);
        let (mut now, mut count, mut this_second) = (Duration::from_secs(1), 0, (1, 0));
        let end = now + length;
        while now < end {
            match governor.take(false, now) {
                Err(wait) => now += wait,
                Ok(()) => {
                    if this_second.0 != now.as_secs() {
                        this_second = (now.as_secs(), 0);
                    }
                    this_second.1 += 1;
                    if this_second.1 > limit {
                        governor.throttled(now);
                    } else {
                        governor.accepted(now);
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
    fn a_learned_pace_stays_beneath_what_it_may_be() {
        let check = |per_second: u32, throttled: bool| {
            let mut pacer = Pacer::new(Pace::LearnedUpTo(Rate::per_second(per_second)));
            for second in 0..100 {
                let now = Duration::from_secs(second / 50);
                match throttled {
                    true => pacer.throttled(now),
                    false => (0..1_000).for_each(|_| pacer.accepted(now)),
                }
            }
            let least = if throttled {
                per_second.min(100)
            } else {
                per_second
            };
            let expected = interval_of(Rate::per_second(least));
            assert_eq!(pacer.interval, expected, "{per_second} {throttled}");
        };
        for per_second in [5, 100, 150] {
            check(per_second, false);
        }
        check(5, true);
        check(150, true);
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
