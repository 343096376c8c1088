//! Counting losses without a log line for each; and the weight of waiting entries.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::LOSS_REPORT_INTERVAL_S;

/// Changes that were not written, or rows that had to go.
#[derive(Debug)]
pub(crate) struct Loss {
    what: &'static str,
    total: AtomicU64,
    told: Mutex<Option<(Instant, u64)>>,
}

impl Loss {
    /// `what` is logged with the count, and states the consequence.
    pub(crate) fn new(what: &'static str) -> Arc<Self> {
        Arc::new(Self {
            what,
            total: AtomicU64::new(0),
            told: Mutex::new(None),
        })
    }

    /// Adds to the count of losses; logs it once a minute.
    pub(crate) fn add(&self, count: u64, why: &dyn std::fmt::Display) {
        if count == 0 {
            return;
        }
        if let Some(count) = self.to_tell(count, Instant::now()) {
            tracing::warn!(count, reason = %why, "{}", self.what);
        }
    }

    /// How many were lost since the store was opened.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// The count to report now, if it is time.
    fn to_tell(&self, count: u64, now: Instant) -> Option<u64> {
        let total = self.total.fetch_add(count, Ordering::Relaxed) + count;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let interval = Duration::from_secs(LOSS_REPORT_INTERVAL_S);
        let (at, before) = told.unwrap_or((now, 0));
        if told.is_some() && now.saturating_duration_since(at) < interval {
            return None;
        }
        *told = Some((now, total));
        Some(total.saturating_sub(before))
    }
}

/// Bytes that wait, up to a bound.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    waiting: Arc<AtomicUsize>,
    bound: usize,
}

/// A share of the waiting bytes; released when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    waiting: Arc<AtomicUsize>,
    bytes: usize,
}

impl Scale {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            waiting: Arc::default(),
            bound,
        }
    }

    /// `None` if more would wait than is allowed.
    pub(crate) fn charge(&self, bytes: usize) -> Option<Charge> {
        let more = |waiting: usize| {
            let sum = waiting.saturating_add(bytes);
            (sum <= self.bound).then_some(sum)
        };
        let charged = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        charged.ok().map(|_| Charge {
            waiting: Arc::clone(&self.waiting),
            bytes,
        })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_at_once_and_then_once_a_minute() {
        let loss = Loss::new("lost");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(loss.to_tell(3, at(0)), Some(3));
        assert_eq!(loss.to_tell(1, at(1)), None);
        assert_eq!(loss.to_tell(1, at(59)), None);
        assert_eq!(loss.to_tell(2, at(60)), Some(4));
        assert_eq!(loss.total(), 7);
    }

    #[test]
    fn no_more_than_the_bound_waits() {
        let scale = Scale::new(10);
        let first = scale.charge(7).unwrap();
        assert!(scale.charge(4).is_none());
        let _second = scale.charge(3).unwrap();
        assert!(scale.charge(usize::MAX).is_none());
        drop(first);
        assert!(scale.charge(7).is_some());
    }
}
