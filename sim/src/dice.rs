//! Chance, from a seed.

use std::time::Duration;

use drawspan_fleet::{Chance, Jitter};

/// Chance, from a seed: equal seeds give equal throws.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Chance);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Chance::new(seed))
    }

    pub(crate) const fn draw(&mut self) -> u64 {
        self.0.draw().0
    }

    /// From 0 to `end`, excluded; 0 if that is empty.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let part = (u128::from(self.draw()) * end as u128) >> 64;
        part as usize
    }

    /// From `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        let index = self.below(of.len());
        of.get(index).copied()
    }

    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        Jitter(self.draw()).between(low, high)
    }

    /// Each order of magnitude from `low` to `high` is as likely as another.
    pub(crate) fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        let part = self.draw() as f64 / u64::MAX as f64;
        low * (high / low).powf(part)
    }

    /// As [`Self::magnitude`], in seconds.
    pub(crate) fn seconds(&mut self, low: f64, high: f64) -> Duration {
        Duration::from_secs_f64(self.magnitude(low, high))
    }
}
