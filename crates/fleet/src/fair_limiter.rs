//! The rate of one kind of operation at one hub, shared fairly among its devices.
//!
//! A burst passes at once, as the hub allows. A device that sends more than its share (twice an equal part of the rate, since not all
//! send as much as they may) may not use all of it: half is left
//! for the others, so that these do not wait for it. What finds no room waits in a [`FairQueue`](crate::fair_queue::FairQueue).
//! As long as the rate does not bind, a message costs one atomic, and a second one of its device.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use drawspan_hub::limits::Rate;

use crate::RateLimiter;
use crate::limits::{RESERVED_BURST, SENDERS_COUNTED_FOR, SHARE_BURST, SHARES_PER_SENDER};

/// What a device used of its share, and when it was counted as a sender. Twelve bytes, kept with its connection.
#[derive(Debug, Default)]
pub struct Share {
    /// When its requests so far will all have been paid for at its share, in milliseconds.
    paid_at_ms: AtomicU64,
    counted_in: AtomicU32,
}

/// Whether a request goes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It does.
    Goes,
    /// It waits; `within_share`: before those of devices that send more than their share.
    Waits {
        /// Whether the device sends no more than its share.
        within_share: bool,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub struct FairLimiter {
    limiter: RateLimiter,
    /// Requests in the queue.
    waiting: AtomicU32,
    /// Devices that sent something, counted anew each [`SENDERS_COUNTED_FOR`].
    period: AtomicU32,
    senders: AtomicU32,
    senders_before: AtomicU32,
}

impl FairLimiter {
    /// At that rate; `None` means no limit.
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        Self {
            limiter: RateLimiter::new(rate),
            ..Self::default()
        }
    }

    /// Whether there is any limit.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.limiter.is_limited()
    }

    /// Time per operation.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.limiter.interval()
    }

    /// Whether a device's request goes at once. `queued`: others of the device wait already, which it does not overtake.
    pub fn admit(&self, share: &Share, queued: bool, now: Duration) -> Admission {
        if !self.is_limited() {
            return Admission::Goes;
        }
        let interval = self.limiter.interval() * self.senders(share, now) / SHARES_PER_SENDER;
        let within_share = !queued && share.take(interval, now);
        let others_wait = self.waiting.load(Ordering::Relaxed) > 0;
        let goes = match within_share {
            true => self.take_first(now).is_ok(),
            false => !queued && !others_wait && self.take_turn(now).is_ok(),
        };
        match goes {
            true => Admission::Goes,
            false => Admission::Waits { within_share },
        }
    }

    /// A permit for a request that is within its device's share, or how long until there is one.
    pub fn take_first(&self, now: Duration) -> Result<(), Duration> {
        self.limiter.take(now, Duration::ZERO)
    }

    /// A permit for another request, or how long until there is one: half of the burst is kept for those within their shares.
    pub fn take_turn(&self, now: Duration) -> Result<(), Duration> {
        self.limiter.take(now, RESERVED_BURST)
    }

    /// A background operation goes if there is room, or learns how long until there is.
    pub fn admit_background(&self, now: Duration) -> Result<(), Duration> {
        match self.is_limited() {
            true => self.take_turn(now),
            false => Ok(()),
        }
    }

    /// So many requests wait.
    pub fn note_waiting(&self, waiting: usize) {
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// How many devices send, this one included; at least one.
    fn senders(&self, share: &Share, now: Duration) -> u32 {
        let period = u32::try_from(now.as_secs() / SENDERS_COUNTED_FOR.as_secs()).unwrap_or(0) + 1;
        let known = self.period.load(Ordering::Relaxed);
        if known != period
            && self
                .period
                .compare_exchange(known, period, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            let senders = self.senders.swap(0, Ordering::Relaxed);
            let follows = period == known.wrapping_add(1);
            let before = if follows { senders } else { 0 };
            self.senders_before.store(before, Ordering::Relaxed);
        }
        if share.counted_in.load(Ordering::Relaxed) != period
            && share.counted_in.swap(period, Ordering::Relaxed) != period
        {
            self.senders.fetch_add(1, Ordering::Relaxed);
        }
        let now = self.senders.load(Ordering::Relaxed);
        now.max(self.senders_before.load(Ordering::Relaxed)).max(1)
    }
}

impl Share {
    /// Takes a request out of the share, if it is within that.
    fn take(&self, interval: Duration, now: Duration) -> bool {
        let interval_ms = millis(interval).max(1);
        // A device that sends several at a time now and then is within its share, too.
        let room_ms = millis(SHARE_BURST).max(2 * interval_ms);
        let now_ms = millis(now);
        let paid_at = self.paid_at_ms.load(Ordering::Relaxed);
        let next = paid_at.max(now_ms).saturating_add(interval_ms);
        if next > now_ms.saturating_add(room_ms) {
            return false;
        }
        // Two requests of a device at the same moment may count as one: it is a share, not a limit.
        self.paid_at_ms.store(next, Ordering::Relaxed);
        true
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
