//! Counting what was lost, without a log line for each.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::limits::LOSS_REPORT_INTERVAL_S;

/// Changes that were not written.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    total: AtomicU64,
    told: Mutex<Option<(Instant, u64)>>,
}

impl Loss {
    /// So many more were lost; tells so once a minute.
    pub(crate) fn add(&self, count: u64, why: &dyn std::fmt::Display) {
        if count == 0 {
            return;
        }
        if let Some(count) = self.to_tell(count, Instant::now()) {
            tracing::warn!(count, reason = %why, "hubs of devices are not remembered; after a restart DPS will be asked for them");
        }
    }

    /// How many were lost since the store was opened.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// How many to tell of now, if it is time.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_at_once_and_then_once_a_minute() {
        let loss = Loss::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(loss.to_tell(3, at(0)), Some(3));
        assert_eq!(loss.to_tell(1, at(1)), None);
        assert_eq!(loss.to_tell(1, at(59)), None);
        assert_eq!(loss.to_tell(2, at(60)), Some(4));
        assert_eq!(loss.total(), 7);
    }
}
