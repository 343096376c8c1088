//! What was seen of a mass connect.

use std::time::Duration;

/// What was seen of a mass connect. Times are virtual.
#[derive(Debug, Clone, Default)]
pub struct MassConnectReport {
    starts: Vec<Duration>,
    connects: Vec<Duration>,
    refusals: usize,
    first_delayed: Option<Duration>,
    longest_wait: Duration,
}

impl MassConnectReport {
    pub(super) fn starts(&mut self, now: Duration) {
        self.starts.push(now);
    }

    pub(super) fn arrives(&mut self, now: Duration, wait: Option<Duration>) {
        let Some(wait) = wait else {
            self.refusals += 1;
            return;
        };
        self.longest_wait = self.longest_wait.max(wait);
        if !wait.is_zero() {
            self.first_delayed.get_or_insert(now);
        }
    }

    pub(super) fn connects(&mut self, now: Duration) {
        self.connects.push(now);
    }

    /// Devices that the hub took.
    #[must_use]
    pub const fn connected(&self) -> usize {
        self.connects.len()
    }

    /// Attempts that the hub refused.
    #[must_use]
    pub const fn refusals(&self) -> usize {
        self.refusals
    }

    /// The longest time that the hub held an answer back.
    #[must_use]
    pub const fn longest_wait(&self) -> Duration {
        self.longest_wait
    }

    /// When the hub first held an answer back.
    #[must_use]
    pub const fn first_delayed(&self) -> Option<Duration> {
        self.first_delayed
    }

    /// Devices connected per second, from the first to the last.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let (Some(first), Some(last)) = (self.connects.first(), self.connects.last()) else {
            return 0.0;
        };
        self.connects.len() as f64 / (*last - *first).as_secs_f64()
    }

    /// The lowest and the highest pace of attempts, per second, over any `span` from `from` on to the end of the run; `None` if it
    /// ended before.
    #[must_use]
    pub fn paces(&self, from: Duration, span: Duration) -> Option<(f64, f64)> {
        let end = *self.starts.last()?;
        let mut range: Option<(f64, f64)> = None;
        let mut at = from;
        while at + span <= end {
            let count = |until| self.starts.partition_point(|start| *start < until);
            let rate = (count(at + span) - count(at)) as f64 / span.as_secs_f64();
            range = Some(range.map_or((rate, rate), |(low, high)| (low.min(rate), high.max(rate))));
            at += span / 20;
        }
        range
    }
}
