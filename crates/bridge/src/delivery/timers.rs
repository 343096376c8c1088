//! Timers of lanes and origins.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::lane::LaneId;
use super::origin::OriginId;
use crate::limits;

/// Who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Lane(LaneId),
    Origin(OriginId),
}

/// A heap of moments. Who waits for an earlier one, or is gone, finds that out when the moment comes.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, Timer)>>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Duration, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn pop_due(&mut self, now: Duration) -> Option<(Duration, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// Removes stale timers once they are the majority. `live`: how many may be current.
    pub(super) fn tidy(&mut self, live: usize, keep: impl Fn(Duration, Timer) -> bool) {
        if self.heap.len() <= 2 * live + limits::KEPT_CAPACITY {
            return;
        }
        self.heap.retain(|Reverse((at, timer))| keep(*at, *timer));
        self.heap.shrink_to(2 * self.heap.len());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
