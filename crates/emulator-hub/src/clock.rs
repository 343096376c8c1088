//! The clock of an emulator.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

/// The time of day, and waiting for it. Clones share one clock.
///
/// The clock for everything that a hub decides by time: tokens, locks, expiry, time stamps, waits for a device. Sockets
/// (handshakes, idle connections) use the system's time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

/// Sets a clock that was made by [`Clock::manual`].
#[derive(Debug)]
pub struct ClockHand(Arc<watch::Sender<u64>>);

#[derive(Clone, Debug)]
enum Source {
    System {
        started: Instant,
    },
    Manual {
        unix_ms: Arc<watch::Sender<u64>>,
        started_unix_ms: u64,
    },
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(Source::System {
            started: Instant::now(),
        })
    }

    /// A clock that stands at `unix_ms` (Unix milliseconds) until it is set.
    pub fn manual(unix_ms: u64) -> (Self, ClockHand) {
        let shared = Arc::new(watch::Sender::new(unix_ms));
        let clock = Self(Source::Manual {
            unix_ms: Arc::clone(&shared),
            started_unix_ms: unix_ms,
        });
        (clock, ClockHand(shared))
    }

    /// The time of day, Unix milliseconds; 0 for a clock before 1970.
    pub fn unix_ms(&self) -> u64 {
        match &self.0 {
            Source::System { .. } => system_unix_ms(),
            Source::Manual { unix_ms, .. } => *unix_ms.borrow(),
        }
    }

    /// The time of day, Unix seconds.
    pub fn unix_s(&self) -> u64 {
        self.unix_ms() / 1000
    }

    /// Time since the clock was made. Setting the system's time of day does not change it.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual {
                unix_ms,
                started_unix_ms,
            } => Duration::from_millis(unix_ms.borrow().saturating_sub(*started_unix_ms)),
        }
    }

    /// Waits until `duration` has passed.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(duration).await,
            Source::Manual { .. } => {
                self.sleep_until(self.unix_ms().saturating_add(whole_ms(duration)))
                    .await;
            }
        }
    }

    /// Waits until a time of day, Unix milliseconds. Should the system's clock be set meanwhile, that is not noticed.
    pub async fn sleep_until(&self, until_unix_ms: u64) {
        match &self.0 {
            Source::System { .. } => {
                let wait = until_unix_ms.saturating_sub(system_unix_ms());
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            Source::Manual { unix_ms, .. } => {
                // The sender is held by this clock, so it cannot be gone.
                let _ = unix_ms
                    .subscribe()
                    .wait_for(|now| *now >= until_unix_ms)
                    .await;
            }
        }
    }

    /// The result of `work`, or `None` if it takes longer than `limit`.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            result = work => Some(result),
            () = self.sleep(limit) => None,
        }
    }
}

impl ClockHand {
    /// Sets the time of day, Unix milliseconds.
    pub fn set(&self, unix_ms: u64) {
        self.0.send_replace(unix_ms);
    }

    /// Moves the time of day forward.
    pub fn advance(&self, duration: Duration) {
        self.0
            .send_modify(|now| *now = now.saturating_add(whole_ms(duration)));
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The system's time of day, Unix milliseconds. For time stamps that are for reading only, such as those in the texts of
/// refusals; everything else asks a [`Clock`].
pub fn system_unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_when_it_is_set() {
        let (clock, hand) = Clock::manual(1_000);
        let waiter = clock.clone();
        let waits = tokio::spawn(async move { waiter.sleep(Duration::from_secs(60)).await });
        tokio::task::yield_now().await;
        hand.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert_eq!((clock.unix_ms(), waits.is_finished()), (60_000, false));
        assert_eq!(clock.elapsed(), Duration::from_secs(59));
        hand.set(61_000);
        waits.await.unwrap();
        let limit = Duration::from_secs(1);
        assert_eq!(clock.timeout(limit, std::future::ready(())).await, Some(()));
    }
}
