//! Durations in buckets: two additions, no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Counter;

/// Upper ends of the classes in microseconds: a hub nearby answers in a few milliseconds, one far away in a few hundred, and a
/// request that waits for its device to connect takes seconds.
const BOUNDS_US: [u64; 13] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000, 30_000_000,
];

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Latency {
    /// One more than there are bounds: the last is for what took longer.
    classes: [Counter; BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Latency {
    /// Something took so long.
    pub fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(class) = self.classes.get(class) {
            class.add();
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// The sum in seconds, and how many are in each class by its upper end in seconds.
    #[allow(clippy::cast_precision_loss)] // years are told to the microsecond
    pub(super) fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let seconds = |us: u64| us as f64 / 1e6;
        let bounds = BOUNDS_US.into_iter().map(seconds);
        let counts = self.classes.iter().map(Counter::get);
        let classes = bounds.chain([f64::INFINITY]).zip(counts).collect();
        (seconds(self.sum_us.load(Ordering::Relaxed)), classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_exactly_as_long_as_a_class_allows_is_in_it() {
        let latency = Latency::default();
        for us in [0, 1_000, 1_001, 30_000_000, 30_000_001, 60_000_000] {
            latency.add(Duration::from_micros(us));
        }
        let (sum, classes) = latency.read();
        assert!((sum - 120.002_002).abs() < 1e-9, "{sum}");
        let filled: Vec<_> = classes
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        let expected = [(0.001, 2), (0.0025, 1), (30.0, 1), (f64::INFINITY, 2)];
        assert_eq!(filled, expected);
    }
}
