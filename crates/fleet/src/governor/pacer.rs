//! Permits at a pace, given or learned.

use std::time::Duration;

use drawspan_hub::limits::{HubSize, Rate};

use super::Opening;
use super::learned_pace::Learning;

/// How long a pause a burst may make up for.
const BURST: Duration = Duration::from_millis(100);

/// How fast permits are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// As fast as asked: for hubs without limits.
    Unlimited,
    /// At that rate, evenly.
    Limited(Rate),
    /// From the rate of the smallest paid hub, twice as fast each second while the hub takes all of it as quickly as before,
    /// slower when it throttles, takes longer or leaves attempts without an answer: for hubs of unknown size.
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

    pub(super) fn accepted(&mut self, opening: Option<Opening>, now: Duration) {
        if let Some(learning) = &mut self.learning {
            learning.accepted(opening, now);
            self.interval = learning.interval();
        }
    }

    pub(super) fn timed_out(&mut self, opening: Opening, now: Duration) {
        if let Some(learning) = &mut self.learning {
            learning.timed_out(opening, now);
            self.interval = learning.interval();
        }
    }

    pub(super) fn throttled(&mut self, now: Duration) {
        if let Some(learning) = &mut self.learning {
            learning.throttled(now);
            self.interval = learning.interval();
        }
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

    /// Returns a token.
    pub fn give_back(&mut self) {
        self.full_at = self.full_at.saturating_sub(self.interval);
    }
}

/// From the smallest paid hub's pace, or from less.
fn learning_from(fastest: Duration) -> (Duration, Option<Learning>) {
    let learning = Learning::new(fastest);
    (learning.interval(), Some(learning))
}

pub(super) const fn interval_of(rate: Rate) -> Duration {
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

    /// Takes greedily for `length`, waiting as asked; returns the number of permits.
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
    fn a_learned_pace_stays_beneath_what_it_may_be() {
        let check = |per_second: u32, throttled: bool| {
            let mut pacer = Pacer::new(Pace::LearnedUpTo(Rate::per_second(per_second)));
            for second in 0..100 {
                let now = Duration::from_secs(second / 50);
                match throttled {
                    true => pacer.throttled(now),
                    false => (0..1_000).for_each(|_| pacer.accepted(None, now)),
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
}
