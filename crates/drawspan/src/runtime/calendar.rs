//! The calendar beside the monotonic clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_hub::UtcTime;

/// The calendar was set when it is off by more than this. Less is no reason to tell of the same moment by two times.
const SET: Duration = Duration::from_secs(2);

/// Tells monotonic times by the calendar; the same moment by the same time, unless the calendar is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    /// Unix time of the monotonic clock's start.
    origin: Duration,
}

impl Calendar {
    /// The two clocks at one moment.
    pub(super) const fn new(now: Duration, unix: Duration) -> Self {
        Self {
            origin: unix.saturating_sub(now),
        }
    }

    /// Looks whether the calendar was set.
    pub(super) fn look(&mut self, now: Duration, unix: Duration) {
        let other = Self::new(now, unix);
        if other.origin.abs_diff(self.origin) > SET {
            *self = other;
        }
    }

    /// A monotonic time by the calendar.
    pub(super) fn at(self, monotonic: Duration) -> UtcTime {
        let unix = self.origin.saturating_add(monotonic);
        UtcTime::from_unix_ms(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Unix time; zero where the calendar is before 1970.
pub(super) fn unix() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_time_until_the_calendar_is_set() {
        let ms = Duration::from_millis;
        let mut calendar = Calendar::new(ms(500), ms(10_499));
        let moment = |calendar: Calendar| calendar.at(ms(1_000)).to_string();
        assert_eq!(moment(calendar), "1970-01-01T00:00:10.9990000Z");
        // What a second clock reads is never quite the same.
        for unix in [11_498, 11_500, 9_700, 13_499] {
            calendar.look(ms(1_500), ms(unix));
            assert_eq!(moment(calendar), "1970-01-01T00:00:10.9990000Z");
        }
        calendar.look(ms(2_000), ms(102_000));
        assert_eq!(moment(calendar), "1970-01-01T00:01:41.0000000Z");
    }
}
