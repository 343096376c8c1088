//! The daily quota of messages.

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Messages of one day, counted in blocks. The day begins at 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    meter_bytes: u64,
    limit: u64,
    day: u64,
    used: u64,
}

impl Quota {
    /// A quota of `limit` messages a day, each of up to `meter_bytes`, none of which is used.
    pub const fn new(limit: u64, meter_bytes: u64, unix_ms: u64) -> Self {
        Self {
            meter_bytes: if meter_bytes == 0 { 1 } else { meter_bytes },
            limit,
            day: unix_ms / DAY_MS,
            used: 0,
        }
    }

    /// The messages that data of these sizes count as; each at least one.
    pub fn blocks(&self, sizes: impl IntoIterator<Item = usize>) -> u64 {
        let blocks = |bytes: usize| (bytes as u64).div_ceil(self.meter_bytes).max(1);
        sizes.into_iter().map(blocks).sum()
    }

    /// Whether there is room for so many messages today.
    pub const fn has_room(&self, messages: u64, unix_ms: u64) -> bool {
        self.used(unix_ms).saturating_add(messages) <= self.limit
    }

    /// Counts messages that were taken.
    pub const fn count(&mut self, messages: u64, unix_ms: u64) {
        self.used = self.used(unix_ms).saturating_add(messages);
        self.day = unix_ms / DAY_MS;
    }

    /// The same day with another limit.
    #[must_use]
    pub const fn with_limit(self, limit: u64, meter_bytes: u64) -> Self {
        Self {
            day: self.day,
            used: self.used,
            ..Self::new(limit, meter_bytes, 0)
        }
    }

    /// Messages of today.
    pub const fn used(&self, unix_ms: u64) -> u64 {
        // A clock that is set back begins a new day too.
        if unix_ms / DAY_MS == self.day {
            self.used
        } else {
            0
        }
    }

    /// Messages of a day.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Milliseconds until 00:00 UTC.
    pub const fn resets_in_ms(unix_ms: u64) -> u64 {
        DAY_MS - unix_ms % DAY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_count_in_blocks_and_a_day_ends_at_midnight() {
        let noon = 20_000 * DAY_MS + DAY_MS / 2;
        let mut quota = Quota::new(10, 4_096, noon);
        assert_eq!(quota.blocks([0, 1, 4_096, 4_097, 262_144]), 69);
        assert_eq!(Quota::new(10, 512, noon).blocks([4_096]), 8);
        quota.count(9, noon);
        assert!(quota.has_room(1, noon) && !quota.has_room(2, noon));
        quota.count(1, noon);
        let last = 20_001 * DAY_MS - 1;
        assert_eq!((quota.used(last), quota.has_room(1, last)), (10, false));
        assert_eq!(Quota::resets_in_ms(last), 1);
        assert!(quota.has_room(10, last + 1), "a new day");
        quota.count(3, last + 1);
        assert_eq!(quota.used(last + 1), 3);
        assert_eq!(quota.with_limit(20, 512).used(last + 1), 3);
    }
}
