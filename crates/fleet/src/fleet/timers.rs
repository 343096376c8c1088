//! Timers of devices.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A heap of deadlines by device index. One that is not due any more is found out when it fires: looking once too often
/// is cheaper than taking it out.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Duration, u32)>>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Duration, index: u32) {
        self.heap.push(Reverse((at, index)));
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn pop_due(&mut self, now: Duration) -> Option<u32> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, index))| index)
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Throws out what is not wanted, and what is there twice.
    pub(super) fn retain(&mut self, keep: impl Fn(Duration, u32) -> bool) {
        let mut all = std::mem::take(&mut self.heap).into_vec();
        all.sort_unstable();
        all.dedup();
        all.retain(|Reverse((at, index))| keep(*at, *index));
        self.heap = all.into();
    }
}
