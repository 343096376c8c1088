//! The wall clock in relation to the monotonic clock.

use std::time::Duration;

use drawspan_hub::UtcTime;

/// Wall-clock drift above this counts as a clock step. Smaller drift is ignored, so that one instant always maps to one timestamp.
const STEP: Duration = Duration::from_secs(2);

/// Maps monotonic times to UTC. One instant maps to one timestamp until the wall clock is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    /// Unix time of the monotonic clock's start.
    origin: Duration,
}

impl WallClock {
    /// The two clocks at one moment.
    pub(crate) const fn new(now: Duration, unix: Duration) -> Self {
        Self {
            origin: unix.saturating_sub(now),
        }
    }

    /// Notices whether the wall clock was set.
    pub(crate) fn observe(&mut self, now: Duration, unix: Duration) {
        let other = Self::new(now, unix);
        if other.origin.abs_diff(self.origin) > STEP {
            *self = other;
        }
    }

    /// The UTC time of a monotonic one.
    pub(crate) fn at(self, monotonic: Duration) -> UtcTime {
        let unix = self.origin.saturating_add(monotonic);
        UtcTime::from_unix_ms(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_time_until_the_clock_is_set() {
        let ms = Duration::from_millis;
        let mut clock = WallClock::new(ms(500), ms(10_499));
        let moment = |clock: WallClock| clock.at(ms(1_000)).to_string();
        assert_eq!(moment(clock), "1970-01-01T00:00:10.9990000Z");
        // Two readings of clocks never match exactly.
        for unix in [11_498, 11_500, 9_700, 13_499] {
            clock.observe(ms(1_500), ms(unix));
            assert_eq!(moment(clock), "1970-01-01T00:00:10.9990000Z");
        }
        clock.observe(ms(2_000), ms(102_000));
        assert_eq!(moment(clock), "1970-01-01T00:01:41.0000000Z");
    }
}
