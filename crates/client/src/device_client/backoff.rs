//! The wait before the next attempt.

use std::time::Duration;

use crate::limits;

/// After that many failures in a row: 0.1 s, doubled each time up to 10 s, of which chance takes up to half.
pub(super) fn backoff(failures: u32, chance: u64) -> Duration {
    let doubled = limits::RECONNECT_MIN_MS << failures.saturating_sub(1).min(16);
    let most = doubled.min(limits::RECONNECT_MAX_MS);
    let off = (most / 2).saturating_mul(chance >> 32) >> 32;
    Duration::from_millis(most - off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_chance_takes_up_to_half() {
        let check = |failures, chance, ms| {
            assert_eq!(backoff(failures, chance), Duration::from_millis(ms));
        };
        check(1, 0, 100);
        check(2, 0, 200);
        check(7, 0, 6_400);
        check(8, 0, 10_000);
        check(u32::MAX, 0, 10_000);
        check(8, u64::MAX, 5_001);
        check(1, 1 << 63, 75);
    }
}
