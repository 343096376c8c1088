//! Waking readers, without a queue: a reader that was woken is not woken again until it has read.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::error::LogError;
use crate::limits::SUBSCRIPTIONS_MAX;

/// The readers that wait for one partition.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: Mutex<Vec<Weak<Waiter>>>,
}

/// A reader's standing wish to be woken when a partition grows. Dropping it ends the wish.
#[derive(Debug)]
pub struct Subscription {
    waiter: Arc<Waiter>,
}

struct Waiter {
    notified: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("notified", &self.notified)
            .finish_non_exhaustive()
    }
}

impl Subscription {
    /// Allows the next call of the waker, and says whether there was one since the last time.
    ///
    /// Call it *before* reading: what is stored in between wakes again.
    pub fn rearm(&self) -> bool {
        self.waiter.notified.swap(false, Ordering::AcqRel)
    }
}

impl Waiters {
    /// `wake` is called by the storing thread, so it must be short and must not block.
    pub(super) fn subscribe(
        &self,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Subscription, LogError> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|waiter| waiter.strong_count() > 0);
        if waiting.len() >= SUBSCRIPTIONS_MAX {
            return Err(LogError::TooManyReaders);
        }
        let waiter = Arc::new(Waiter {
            notified: AtomicBool::new(false),
            wake,
        });
        waiting.push(Arc::downgrade(&waiter));
        Ok(Subscription { waiter })
    }

    pub(super) fn notify(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for waiter in waiting.iter().filter_map(Weak::upgrade) {
            if !waiter.notified.swap(true, Ordering::AcqRel) {
                (waiter.wake)();
            }
        }
    }
}
