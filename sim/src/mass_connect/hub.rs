//! A model hub that shapes its traffic: a burst passes at once, what exceeds the rate is answered late, and what finds the queue full
//! is refused.

use std::time::Duration;

/// The limits of a hub for new connections.
#[derive(Debug, Clone, Copy)]
pub struct Shaping {
    /// Devices per second.
    pub per_second: u32,
    /// How much of the rate passes at once after a pause, in time.
    pub burst: Duration,
    /// The longest time that a device is made to wait.
    pub queue: Duration,
}

/// A hub with [`Shaping`].
#[derive(Debug)]
pub(super) struct ShapingHub {
    shaping: Shaping,
    interval: Duration,
    /// When all devices so far are paid for.
    paid_at: Duration,
}

impl ShapingHub {
    pub(super) fn new(shaping: Shaping) -> Self {
        Self {
            shaping,
            interval: Duration::from_secs(1) / shaping.per_second.max(1),
            paid_at: Duration::ZERO,
        }
    }

    /// A device arrives: how long its answer is held back, or `None` if it is refused.
    pub(super) fn arrives(&mut self, now: Duration) -> Option<Duration> {
        let earliest = now.saturating_sub(self.shaping.burst);
        let paid_at = self.paid_at.max(earliest) + self.interval;
        let wait = paid_at.saturating_sub(now);
        if wait > self.shaping.queue {
            return None;
        }
        self.paid_at = paid_at;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_the_rest_waits_and_what_finds_the_queue_full_is_refused() {
        let mut hub = ShapingHub::new(Shaping {
            per_second: 10,
            burst: Duration::from_secs(1),
            queue: Duration::from_secs(2),
        });
        let now = Duration::from_secs(100);
        let waits: Vec<_> = (0..40).map(|_| hub.arrives(now)).collect();
        assert!(waits[..10].iter().all(|wait| *wait == Some(Duration::ZERO)));
        assert_eq!(waits[10], Some(Duration::from_millis(100)));
        assert_eq!(waits[29], Some(Duration::from_secs(2)));
        assert!(waits[30..].iter().all(Option::is_none));
        let later = now + Duration::from_secs(2);
        assert_eq!(hub.arrives(later), Some(Duration::from_millis(100)));
    }
}
