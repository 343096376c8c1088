//! How long a peer has been silent.

use std::time::Duration;

/// The time since a peer was heard last. It may be counted faster or slower than it passes, for peers that are judged by another clock.
#[derive(Debug)]
pub(super) struct Silence {
    /// What was counted until `since`.
    spent: Duration,
    since: Duration,
    pace: f64,
}

impl Silence {
    /// Counted as it passes, from `now` on.
    pub(super) const fn new(now: Duration) -> Self {
        Self {
            spent: Duration::ZERO,
            since: now,
            pace: 1.0,
        }
    }

    /// The peer was heard.
    pub(super) const fn broken(&mut self, now: Duration) {
        self.spent = Duration::ZERO;
        self.since = now;
    }

    /// Counts `pace` times as fast from now on.
    pub(super) fn set_pace(&mut self, pace: f64, now: Duration) {
        if pace != self.pace {
            let passed = now.saturating_sub(self.since);
            self.spent += passed.mul_f64(self.pace);
            (self.since, self.pace) = (now, pace);
        }
    }

    /// When it will have lasted for `limit`.
    pub(super) fn lasts_until(&self, limit: Duration) -> Duration {
        let left = limit.saturating_sub(self.spent);
        if self.pace == 1.0 {
            return self.since + left;
        }
        let left = Duration::try_from_secs_f64(left.as_secs_f64() / self.pace);
        self.since.saturating_add(left.unwrap_or(Duration::MAX))
    }
}
