//! The schedule of requests: one counter for all connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The plan of a run. Shared by all connections.
#[derive(Debug)]
pub(super) struct Pace {
    next: AtomicU64,
    start: Instant,
    rate: Option<f64>,
    messages: u64,
    end: Option<Instant>,
    stop: watch::Receiver<bool>,
}

impl Pace {
    /// A plan that begins now and ends after `duration`, after `messages`, or when `stop` says so.
    pub(super) fn new(
        rate: Option<f64>,
        messages: Option<u64>,
        duration: Option<Duration>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let start = Instant::now();
        let end = duration.and_then(|duration| start.checked_add(duration));
        Self {
            next: AtomicU64::new(0),
            start,
            rate,
            messages: messages.unwrap_or(u64::MAX),
            end,
            stop,
        }
    }

    pub(super) fn start(&self) -> Instant {
        self.start
    }

    /// The number of the next request, from 0, once it is due; `None` when the run is over.
    pub(super) async fn next(&self) -> Option<u64> {
        if *self.stop.borrow() || self.end.is_some_and(|end| Instant::now() >= end) {
            return None;
        }
        let due = self.due(self.next.load(Ordering::Relaxed));
        if self.is_over(due) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.messages {
            return None;
        }
        if let Some(due) = self.due(number) {
            let mut stop = self.stop.clone();
            let stopped = async {
                // If the sender of the stop signal is gone, the run continues.
                if stop.wait_for(|stop| *stop).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = sleep_until(due) => {}
                () = stopped => return None,
            }
        }
        Some(number)
    }

    fn due(&self, number: u64) -> Option<Instant> {
        let seconds = Duration::try_from_secs_f64(number as f64 / self.rate?).ok()?;
        self.start.checked_add(seconds)
    }

    fn is_over(&self, due: Option<Instant>) -> bool {
        due.zip(self.end).is_some_and(|(due, end)| due >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn count(pace: &Pace) -> u64 {
        let mut count = 0;
        while pace.next().await.is_some() {
            count += 1;
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept() {
        let (_keep, stop) = watch::channel(false);
        let pace = Pace::new(Some(10.0), None, Some(Duration::from_secs(3)), stop);
        assert_eq!(count(&pace).await, 30);
        assert!(pace.start().elapsed() >= Duration::from_millis(2_900));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_counted() {
        let (_keep, stop) = watch::channel(false);
        let pace = Pace::new(None, Some(7), None, stop);
        assert_eq!(count(&pace).await, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn stop_ends_it() {
        let (stopper, stop) = watch::channel(false);
        let pace = Pace::new(Some(0.001), None, None, stop);
        assert_eq!(pace.next().await, Some(0));
        let waiting = async { assert_eq!(pace.next().await, None) };
        tokio::join!(waiting, async { stopper.send(true).unwrap() });
        assert_eq!(pace.next().await, None);
    }
}
