//! Latencies in a fixed number of buckets: exact below 128 µs, within 1.6 % above.

const EXACT_BITS: u32 = 7;
const EXACT: usize = 1 << EXACT_BITS;
/// Buckets per doubling above the exact part.
const PER_DOUBLING: usize = EXACT / 2;
/// Up to 2^37 µs, more than a day.
const BUCKETS: usize = EXACT + 30 * PER_DOUBLING;

/// Counts of latencies, of a fixed size.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum_us: u64,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            sum_us: 0,
            max_us: 0,
        }
    }
}

impl Histogram {
    /// Counts one latency in microseconds.
    pub fn record(&mut self, us: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(us)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
    }

    /// Adds the counts of another.
    pub fn add(&mut self, other: &Self) {
        for (own, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += theirs;
        }
        self.count += other.count;
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The highest one, exactly, in microseconds.
    #[must_use]
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The exact mean, in microseconds; 0 if empty.
    #[must_use]
    pub fn mean_us(&self) -> u64 {
        self.sum_us.checked_div(self.count).unwrap_or_default()
    }

    /// How many were at most so long, as exactly as the buckets are.
    #[must_use]
    pub fn count_within(&self, us: u64) -> u64 {
        let counts = self.buckets.iter().enumerate();
        let within = counts.filter(|(at, _)| highest_in(*at) <= us);
        within.map(|(_, count)| count).sum()
    }

    /// The latency that `percent` of all did not exceed, in microseconds; 0 if empty.
    #[must_use]
    pub fn percentile_us(&self, percent: u32) -> u64 {
        let rank = (self.count * u64::from(percent.min(100)))
            .div_ceil(100)
            .max(1);
        let mut seen = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= rank {
                return highest_in(at).min(self.max_us);
            }
        }
        self.max_us
    }
}

fn bucket_of(us: u64) -> usize {
    if us < EXACT as u64 {
        return us as usize;
    }
    let shift = u64::BITS - us.leading_zeros() - EXACT_BITS;
    // The top seven bits, of which the first is set: 64 to 127.
    let top = (us >> shift) as usize;
    (EXACT + (shift as usize - 1) * PER_DOUBLING + (top - PER_DOUBLING)).min(BUCKETS - 1)
}

fn highest_in(bucket: usize) -> u64 {
    if bucket < EXACT {
        return bucket as u64;
    }
    let shift = (bucket - EXACT) / PER_DOUBLING + 1;
    let top = (bucket - EXACT) % PER_DOUBLING + PER_DOUBLING;
    ((top as u64 + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_every_latency_within_their_width() {
        let mut last = 0;
        for us in
            (0..5_000).chain((13..37).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]))
        {
            let bucket = bucket_of(us);
            assert!(bucket >= last, "{us}");
            last = bucket;
            let highest = highest_in(bucket);
            assert!(
                highest >= us && highest - us <= us / 64,
                "{us} is in a bucket up to {highest}"
            );
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile_us(99), 0);
        (1..=100).for_each(|us| histogram.record(us));
        assert_eq!(
            [50, 90, 99, 100].map(|percent| histogram.percentile_us(percent)),
            [50, 90, 99, 100]
        );

        let mut other = Histogram::default();
        other.record(1_000_000);
        histogram.add(&other);
        assert_eq!(
            (
                histogram.count(),
                histogram.max_us(),
                histogram.percentile_us(100)
            ),
            (101, 1_000_000, 1_000_000)
        );
        assert_eq!(histogram.mean_us(), 1_005_050 / 101);
        assert_eq!(
            [50, 1_000].map(|us| histogram.count_within(us)),
            [51 - 1, 100]
        );
    }
}
