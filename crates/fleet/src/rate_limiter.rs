//! Rate limits of a hub, shared by all senders.
//!
//! The hub lets bursts pass and delays the excess; a queue here keeps the excess bounded and in order, so that callers learn how
//! long it will take. It uses one atomic and no lock (the generic cell rate algorithm).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use drawspan_hub::limits::Rate;

/// A second's worth may go at once.
const BURST: Duration = Duration::from_secs(1);

/// Paces operations of one kind at one hub.
#[derive(Debug, Default)]
pub struct RateLimiter {
    /// Nanoseconds per operation; zero when unlimited.
    interval: u64,
    /// When the operations admitted so far will all have been paid for, in nanoseconds.
    paid_at: AtomicU64,
}

impl RateLimiter {
    /// At that rate; `None` means no limit. A rate of zero counts as one per minute.
    #[must_use]
    pub fn new(rate: Option<Rate>) -> Self {
        let interval = rate.map_or(0, |rate| 60_000_000_000 / rate.per_minute.max(1));
        Self {
            interval,
            paid_at: AtomicU64::new(0),
        }
    }

    /// Whether there is any limit.
    #[must_use]
    pub const fn is_limited(&self) -> bool {
        self.interval != 0
    }

    /// How long an operation would wait that is admitted now.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Duration {
        let now = nanoseconds(now);
        let paid_at = self.paid_at.load(Ordering::Relaxed);
        let next = paid_at.max(now).saturating_add(self.interval);
        let most = now.saturating_add(nanoseconds(BURST));
        Duration::from_nanos(next.saturating_sub(most))
    }

    /// Time per operation; zero when unlimited.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval)
    }

    /// Admits one operation that does not wait, if that leaves so much of the burst to others.
    ///
    /// # Errors
    /// How long until one would be admitted. Nothing is taken then.
    pub fn take(&self, now: Duration, leaves: Duration) -> Result<(), Duration> {
        let room = BURST.saturating_sub(leaves).max(self.interval());
        admit_one(&self.paid_at, self.interval(), room, Duration::ZERO, now).map(|_| ())
    }

    /// Admits one operation: how long it must wait before it starts.
    ///
    /// # Errors
    /// When that would be longer than `patience`: how long until a queue place is free. Nothing is taken then.
    pub fn admit(&self, now: Duration, patience: Duration) -> Result<Duration, Duration> {
        if self.interval == 0 {
            return Ok(Duration::ZERO);
        }
        admit_one(&self.paid_at, self.interval(), BURST, patience, now)
    }
}

/// The generic cell rate algorithm, for an operation that costs `interval`. `paid_at` is when the operations so far will have been paid
/// for, in nanoseconds, and `room` how far that may be ahead without a wait. Returns when this one too will have been paid for, and how
/// long it must wait before it starts.
///
/// # Errors
/// When it would wait for longer than `patience`: by how much.
pub(crate) fn next_paid_at(
    paid_at: u64,
    interval: Duration,
    room: Duration,
    patience: Duration,
    now: Duration,
) -> Result<(u64, Duration), Duration> {
    let now = nanoseconds(now);
    let next = paid_at.max(now).saturating_add(nanoseconds(interval));
    let free_until = now.saturating_add(nanoseconds(room));
    let wait = Duration::from_nanos(next.saturating_sub(free_until));
    match wait.checked_sub(patience) {
        Some(excess) if !excess.is_zero() => Err(excess),
        _ => Ok((next, wait)),
    }
}

/// The same, and the operation is taken: how long it must wait.
///
/// # Errors
/// As [`next_paid_at`]. Nothing is taken then.
pub(crate) fn admit_one(
    paid_at: &AtomicU64,
    interval: Duration,
    room: Duration,
    patience: Duration,
    now: Duration,
) -> Result<Duration, Duration> {
    let mut before = paid_at.load(Ordering::Relaxed);
    loop {
        let (next, wait) = next_paid_at(before, interval, room, patience, now)?;
        let order = Ordering::Relaxed;
        match paid_at.compare_exchange_weak(before, next, order, order) {
            Ok(_) => return Ok(wait),
            Err(other) => before = other,
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn no_limit_admits_everything_at_once() {
        let bucket = RateLimiter::new(None);
        assert!((0..1_000_000).all(|_| bucket.admit(s(1), s(0)) == Ok(s(0))));
    }

    #[test]
    fn a_burst_passes_the_rest_waits_and_the_queue_ends() {
        let bucket = RateLimiter::new(Some(Rate::per_second(100)));
        assert!((0..100).all(|_| bucket.admit(s(10), s(2)) == Ok(s(0))));
        let waits: Vec<_> = (0..200).map(|_| bucket.admit(s(10), s(2))).collect();
        assert_eq!(waits[0], Ok(Duration::from_millis(10)));
        assert_eq!(waits[199], Ok(s(2)));
        assert_eq!(bucket.wait(s(10)), Duration::from_millis(2_010));
        assert_eq!(
            bucket.admit(s(10), s(2)),
            Err(Duration::from_millis(10)),
            "full, and says when it is not"
        );
        assert_eq!(bucket.admit(s(11), s(2)), Ok(Duration::from_millis(1_010)));
        assert_eq!(bucket.admit(s(100), s(2)), Ok(s(0)));
    }

    #[test]
    fn threads_together_get_no_more_than_the_rate() {
        let bucket = RateLimiter::new(Some(Rate::per_second(1_000)));
        let admitted = || {
            (0..5_000)
                .filter(|_| bucket.admit(s(1), s(1)).is_ok())
                .count()
        };
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(admitted)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(total, 2_000);
    }
}
