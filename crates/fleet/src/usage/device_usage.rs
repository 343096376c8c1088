//! One device's counts of today, and whether it may send.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use drawspan_hub::limits::Rate;

use crate::limits::DEVICE_BURST;
use crate::rate_limiter::{admit_one, next_paid_at};
use crate::time::{Now, seconds_to_midnight};

/// What a hub counts as one message of its daily quota.
pub const BLOCK_BYTES: usize = 4_096;

const DAY_S: u64 = 86_400;
/// Bits of each count: up to 67 million a day, which is 776 a second.
const BITS: u32 = 26;
const MOST: u64 = (1 << BITS) - 1;
/// Days are told apart by their last 12 bits.
const DAY_BITS: u32 = 64 - 2 * BITS;

/// The limits that every device has; without any by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Messages, with a second's worth at once.
    pub rate: Option<Rate>,
    /// Blocks of [`BLOCK_BYTES`] per UTC day.
    pub daily_blocks: Option<u32>,
}

impl DeviceLimits {
    /// Whether there is a limit.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.rate.is_some() || self.daily_blocks.is_some()
    }
}

/// A message that a device may not send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// The device sends faster than its rate.
    Rate {
        /// When it may send the next one.
        retry_in: Duration,
    },
    /// The message does not fit into what is left of the device's blocks today.
    DailyBlocks {
        /// Until the next day begins.
        retry_in: Duration,
    },
}

/// Counts of one UTC day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Messages.
    pub sends: u64,
    /// Blocks of [`BLOCK_BYTES`].
    pub blocks: u64,
}

impl std::ops::AddAssign for Used {
    fn add_assign(&mut self, other: Self) {
        self.sends += other.sends;
        self.blocks += other.blocks;
    }
}

/// The blocks of a message of that size; at least one.
#[must_use]
pub fn blocks_of(size_bytes: usize) -> u32 {
    u32::try_from(size_bytes.div_ceil(BLOCK_BYTES)).map_or(u32::MAX, |blocks| blocks.max(1))
}

/// What a device used today. Shared by all who send for it.
#[derive(Debug, Default)]
pub struct DeviceUsage {
    /// The day, messages and blocks, in one word, so that a new day sets both to zero at once.
    today: AtomicU64,
    /// When the messages so far will all have been paid for at the device's rate, in nanoseconds.
    paid_at: AtomicU64,
}

impl DeviceUsage {
    /// Counts a message that is about to be sent.
    ///
    /// # Errors
    /// The limit that the message would exceed. Nothing is counted then.
    pub fn charge(&self, blocks: u32, limits: &DeviceLimits, now: Now) -> Result<(), Excess> {
        self.count(blocks, limits.daily_blocks, now.unix_s)?;
        self.take(limits.rate, now.monotonic).inspect_err(|_| {
            self.refund(blocks, now.unix_s);
        })
    }

    /// Whether a message would exceed a limit.
    ///
    /// # Errors
    /// The limit.
    pub fn check(&self, blocks: u32, limits: &DeviceLimits, now: Now) -> Result<(), Excess> {
        let used = self.today(now.unix_s).blocks + u64::from(blocks);
        if limits.daily_blocks.is_some_and(|most| used > most.into()) {
            return Err(over_daily_blocks(now.unix_s));
        }
        let Some(rate) = limits.rate else {
            return Ok(());
        };
        let paid_at = self.paid_at.load(Ordering::Relaxed);
        let (interval, room) = interval_and_room(rate);
        next_paid_at(paid_at, interval, room, Duration::ZERO, now.monotonic)
            .map(|_| ())
            .map_err(over_rate)
    }

    /// A message that was counted was not sent, or the hub refused it.
    pub fn refund(&self, blocks: u32, unix_s: u64) {
        let today = day_of(unix_s);
        let _ = self
            .today
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let (day, used) = unpacked(word);
                let used = Used {
                    sends: used.sends.saturating_sub(1),
                    blocks: used.blocks.saturating_sub(blocks.into()),
                };
                (day == today).then(|| packed(day, used))
            });
    }

    /// What it used on that day.
    #[must_use]
    pub fn today(&self, unix_s: u64) -> Used {
        let (day, used) = unpacked(self.today.load(Ordering::Relaxed));
        match day == day_of(unix_s) {
            true => used,
            false => Used::default(),
        }
    }

    fn count(&self, blocks: u32, most: Option<u32>, unix_s: u64) -> Result<(), Excess> {
        let today = day_of(unix_s);
        let counted = self
            .today
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let (day, before) = unpacked(word);
                let before = if day == today {
                    before
                } else {
                    Used::default()
                };
                let used = Used {
                    sends: before.sends + 1,
                    blocks: before.blocks + u64::from(blocks),
                };
                let fits = most.is_none_or(|most| used.blocks <= most.into());
                fits.then(|| packed(today, used))
            });
        counted.map(|_| ()).map_err(|_| over_daily_blocks(unix_s))
    }

    fn take(&self, rate: Option<Rate>, now: Duration) -> Result<(), Excess> {
        let Some(rate) = rate else {
            return Ok(());
        };
        let (interval, room) = interval_and_room(rate);
        admit_one(&self.paid_at, interval, room, Duration::ZERO, now)
            .map(|_| ())
            .map_err(over_rate)
    }
}

/// The time of one message, and that of those that may go at once: a second's, at least one.
fn interval_and_room(rate: Rate) -> (Duration, Duration) {
    let interval = Duration::from_nanos(60_000_000_000 / rate.per_minute.max(1));
    (interval, DEVICE_BURST.max(interval))
}

const fn over_rate(retry_in: Duration) -> Excess {
    Excess::Rate { retry_in }
}

const fn over_daily_blocks(unix_s: u64) -> Excess {
    Excess::DailyBlocks {
        retry_in: Duration::from_secs(seconds_to_midnight(unix_s)),
    }
}

const fn day_of(unix_s: u64) -> u64 {
    (unix_s / DAY_S) & ((1 << DAY_BITS) - 1)
}

fn packed(day: u64, used: Used) -> u64 {
    day << (2 * BITS) | used.sends.min(MOST) << BITS | used.blocks.min(MOST)
}

const fn unpacked(word: u64) -> (u64, Used) {
    let used = Used {
        sends: (word >> BITS) & MOST,
        blocks: word & MOST,
    };
    (word >> (2 * BITS), used)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 22:00 UTC at the start.
    const fn at(ms: u64) -> Now {
        Now {
            monotonic: Duration::from_millis(5_000 + ms),
            unix_s: 86_400 * 20_000 + 22 * 3_600 + ms / 1_000,
        }
    }

    const NONE: DeviceLimits = DeviceLimits {
        rate: None,
        daily_blocks: None,
    };

    #[test]
    fn a_block_has_4096_bytes_and_a_message_at_least_one() {
        for (size, blocks) in [(0, 1), (1, 1), (4_096, 1), (4_097, 2), (262_144, 64)] {
            assert_eq!(blocks_of(size), blocks, "{size}");
        }
    }

    #[test]
    fn a_device_takes_sixteen_bytes() {
        assert_eq!(size_of::<DeviceUsage>(), 16);
    }

    #[test]
    fn messages_and_blocks_are_counted_until_midnight() {
        let usage = DeviceUsage::default();
        for _ in 0..3 {
            assert_eq!(usage.charge(2, &NONE, at(0)), Ok(()));
        }
        let used = |sends, blocks| Used { sends, blocks };
        assert_eq!(usage.today(at(0).unix_s), used(3, 6));
        usage.refund(2, at(0).unix_s);
        assert_eq!(usage.today(at(0).unix_s), used(2, 4));
        let tomorrow = at(2 * 3_600_000);
        assert_eq!(usage.today(tomorrow.unix_s), used(0, 0));
        // Charged yesterday: nothing to give back.
        usage.refund(2, tomorrow.unix_s);
        assert_eq!(usage.charge(1, &NONE, tomorrow), Ok(()));
        assert_eq!(usage.today(tomorrow.unix_s), used(1, 1));
    }

    #[test]
    fn counts_stay_at_their_bound() {
        let usage = DeviceUsage::default();
        let most = u32::try_from(MOST).unwrap();
        for _ in 0..3 {
            assert_eq!(usage.charge(most, &NONE, at(0)), Ok(()));
        }
        assert_eq!(usage.today(at(0).unix_s).blocks, MOST);
        assert_eq!(usage.today(at(0).unix_s).sends, 3);
    }

    #[test]
    fn over_its_rate_a_device_learns_when_the_next_may_go() {
        let limits = DeviceLimits {
            rate: Some(Rate::per_second(5)),
            ..NONE
        };
        let usage = DeviceUsage::default();
        assert!((0..5).all(|_| usage.charge(1, &limits, at(0)).is_ok()));
        let retry_in = Duration::from_millis(200);
        let over = Err(Excess::Rate { retry_in });
        assert_eq!(usage.check(1, &limits, at(0)), over);
        assert_eq!(usage.charge(1, &limits, at(0)), over);
        // What was refused costs nothing.
        assert_eq!(usage.today(at(0).unix_s).sends, 5);
        assert_eq!(usage.charge(1, &limits, at(200)), Ok(()));
        assert!(usage.charge(1, &limits, at(200)).is_err());
        // Less than one per second: one at a time.
        let limits = DeviceLimits {
            rate: Some(Rate::per_minute(6)),
            ..NONE
        };
        let usage = DeviceUsage::default();
        assert_eq!(usage.charge(1, &limits, at(0)), Ok(()));
        let retry_in = Duration::from_secs(9);
        assert_eq!(
            usage.charge(1, &limits, at(1_000)),
            Err(Excess::Rate { retry_in })
        );
        assert_eq!(usage.charge(1, &limits, at(10_000)), Ok(()));
    }

    #[test]
    fn over_its_daily_blocks_a_device_waits_for_midnight_utc() {
        let limits = DeviceLimits {
            daily_blocks: Some(10),
            ..NONE
        };
        let usage = DeviceUsage::default();
        assert_eq!(usage.charge(8, &limits, at(0)), Ok(()));
        let retry_in = Duration::from_secs(2 * 3_600 - 60);
        let over = Err(Excess::DailyBlocks { retry_in });
        assert_eq!(usage.check(3, &limits, at(60_000)), over);
        assert_eq!(usage.charge(3, &limits, at(60_000)), over);
        assert_eq!(usage.charge(2, &limits, at(60_000)), Ok(()));
        assert_eq!(usage.charge(1, &limits, at(60_000)), over);
        assert_eq!(usage.charge(10, &limits, at(7_200_000)), Ok(()));
    }

    #[test]
    fn threads_together_send_no_more_than_is_allowed() {
        let limits = DeviceLimits {
            rate: Some(Rate::per_second(1_000)),
            daily_blocks: Some(600),
        };
        let usage = DeviceUsage::default();
        let sent = || {
            (0..1_000)
                .filter(|_| usage.charge(1, &limits, at(0)).is_ok())
                .count()
        };
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(sent)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(total, 600);
        assert_eq!(usage.today(at(0).unix_s).blocks, 600);
    }
}
