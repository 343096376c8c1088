//! Requests that wait for their turn at a hub of known size.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use drawspan_client::TwinOperation;
use drawspan_fleet::{Paces, RateLimiter};
use drawspan_gateway::DeviceError;
use tokio::time::{Instant, sleep};

use super::operation::Operation;
use super::routes::Route;
use crate::limits::{QUEUE_PATIENCE_S, QUEUED_PER_DEVICE};

const fn limiter<'p>(paces: &'p Paces, operation: &Operation) -> &'p RateLimiter {
    match operation {
        Operation::Send(..) => &paces.sends,
        Operation::Twin(TwinOperation::Get) => &paces.twin_reads,
        Operation::Twin(TwinOperation::Report(_)) => &paces.twin_updates,
    }
}

/// Waits for the device's turn at its hub.
///
/// # Errors
/// [`DeviceError::Throttled`] when the queue is as long as it may be, or this device has its share of it already.
pub(super) async fn wait_turn(
    route: &Route,
    operation: &Operation,
    now: Duration,
    deadline: Instant,
) -> Result<(), DeviceError> {
    let limiter = limiter(&route.paces, operation);
    if !limiter.is_limited() {
        return Ok(());
    }
    // Before it takes a turn: one that is refused must not cost another request its own.
    let _permit = QueuePermit::take(&route.queued).ok_or_else(|| throttled(limiter.wait(now)))?;
    let left = deadline.saturating_duration_since(Instant::now());
    let patience = left.min(Duration::from_secs(QUEUE_PATIENCE_S));
    let wait = limiter.admit(now, patience).map_err(throttled)?;
    if !wait.is_zero() {
        sleep(wait).await;
    }
    Ok(())
}

fn throttled(wait: Duration) -> DeviceError {
    DeviceError::Throttled {
        retry_after_s: wait.as_secs() + 1,
    }
}

/// One of the few places that a device has in its hub's queue, so that a noisy one does not take all of them.
struct QueuePermit<'a>(&'a AtomicU32);

impl<'a> QueuePermit<'a> {
    fn take(count: &'a AtomicU32) -> Option<Self> {
        let permit = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < QUEUED_PER_DEVICE).then_some(permit)
    }
}

impl Drop for QueuePermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_so_many_places_and_one_that_is_refused_takes_none() {
        let queued = AtomicU32::new(0);
        let mut permits: Vec<_> = (0..QUEUED_PER_DEVICE)
            .map_while(|_| QueuePermit::take(&queued))
            .collect();
        assert_eq!(permits.len(), QUEUED_PER_DEVICE as usize);
        for _ in 0..1_000 {
            assert!(QueuePermit::take(&queued).is_none());
        }
        permits.pop();
        assert!(QueuePermit::take(&queued).is_some());
        drop(permits);
        assert_eq!(queued.load(Ordering::Relaxed), 0);
    }
}
