//! Time and chance as arguments.

use std::time::Duration;

/// The present moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Time since the process started: for every wait. Never goes back.
    pub monotonic: Duration,
    /// Seconds since 1970 UTC: for quotas and tokens only. May jump.
    pub unix_s: u64,
}

/// A fresh random number, uniform over all of `u64`, drawn by the caller for each call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(pub u64);

impl Jitter {
    /// A duration from `low` to `high`, uniform, `high` excluded; `low` if that is empty.
    #[must_use]
    pub fn between(self, low: Duration, high: Duration) -> Duration {
        let span = high.saturating_sub(low).as_nanos();
        // 64 bits are taken of a span that has fewer than 64 up to 584 years.
        let part = (span.min(u128::from(u64::MAX)) * u128::from(self.0)) >> 64;
        low + Duration::from_nanos(part as u64)
    }

    /// A number below `count`, uniform; 0 if `count` is 0.
    #[must_use]
    pub(crate) const fn below(self, count: usize) -> usize {
        ((count as u128 * self.0 as u128) >> 64) as usize
    }
}

/// A source of [`Jitter`] that a seed determines (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Every seed is as good as another.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn draw(&mut self) -> Jitter {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Jitter(mixed ^ (mixed >> 31))
    }
}

const DAY_S: u64 = 86_400;

/// Seconds until the next 00:00 UTC, at least one.
pub(crate) const fn seconds_to_midnight(unix_s: u64) -> u64 {
    DAY_S - unix_s % DAY_S
}

/// Seconds since the last 00:00 UTC.
pub(crate) const fn seconds_since_midnight(unix_s: u64) -> u64 {
    unix_s % DAY_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_spans_its_range() {
        let (low, high) = (Duration::from_secs(10), Duration::from_secs(30));
        assert_eq!(Jitter(0).between(low, high), low);
        assert_eq!(Jitter(1 << 63).between(low, high), Duration::from_secs(20));
        assert!(Jitter(u64::MAX).between(low, high) < high);
        assert_eq!(Jitter(u64::MAX).between(high, low), high);
        assert_eq!(Jitter(u64::MAX).below(7), 6);
        assert_eq!(Jitter(1 << 63).below(7), 3);
        assert_eq!(Jitter(u64::MAX).below(0), 0);
    }

    #[test]
    fn midnight_is_never_now() {
        assert_eq!(seconds_to_midnight(0), 86_400);
        assert_eq!(seconds_to_midnight(86_399), 1);
        assert_eq!(seconds_to_midnight(86_401), 86_399);
    }
}
