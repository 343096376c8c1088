//! No more is started than a pace allows.

use std::time::Duration;

use drawspan_fleet::governor::Pace;

use super::{Violation, ensure};

/// A burst may make up for a pause of that length, as the governor promises.
const BURST: Duration = Duration::from_millis(100);

/// A bucket that each start fills and time empties.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    pace: Pace,
    interval: Option<Duration>,
    empty_at: Duration,
}

impl Bucket {
    /// What is learned or unlimited is not judged.
    pub(crate) fn new(pace: Pace) -> Self {
        let interval = match pace {
            Pace::Limited(rate) | Pace::LearnedUpTo(rate) => Some(Duration::from_nanos(
                60_000_000_000 / rate.per_minute.max(1),
            )),
            Pace::Learned | Pace::Unlimited => None,
        };
        Self {
            pace,
            interval,
            empty_at: Duration::ZERO,
        }
    }

    /// Whether another start would keep the pace, as far as it is known.
    pub(crate) fn has_room(&self, now: Duration) -> bool {
        if matches!(self.pace, Pace::Learned | Pace::LearnedUpTo(_)) {
            return false;
        }
        self.interval
            .is_none_or(|interval| self.empty_at.max(now) + interval - now <= BURST.max(interval))
    }

    pub(crate) fn starts(&mut self, who: &str, now: Duration) -> Result<(), Violation> {
        let Some(interval) = self.interval else {
            return Ok(());
        };
        self.empty_at = self.empty_at.max(now) + interval;
        let fill = self.empty_at - now;
        ensure(fill <= BURST.max(interval), "PACE", || {
            format!("{who}: {fill:?} worth of starts at once, one per {interval:?}")
        })
    }
}
