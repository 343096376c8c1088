//! Timers of attempts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use drawspan_hub::AttemptId;

/// Times at which something is due for an attempt, earliest first.
#[derive(Debug, Default)]
pub(super) struct AttemptTimers(BinaryHeap<Reverse<(Duration, u32, u32)>>);

impl AttemptTimers {
    /// Adds a time. It stays until it is due, even if the attempt ends before.
    pub(super) fn add(&mut self, at: Duration, attempt: AttemptId) {
        self.0.push(Reverse((at, attempt.device, attempt.serial)));
    }

    /// The earliest time.
    pub(super) fn due(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    /// Removes an attempt whose time has come.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<AttemptId> {
        if self.due()? > now {
            return None;
        }
        let Reverse((_, device, serial)) = self.0.pop()?;
        Some(AttemptId { device, serial })
    }
}
