//! The monotonic clock that engines are driven by.

use std::time::Duration;

use tokio::time::Instant;

/// Instants as durations since the clock was made; all connections of a process may share one.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// An instant as time since the start; zero when it was before that. Needs no look at the system's clock.
    pub fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.origin)
    }

    /// The instant of a time since the start.
    pub fn instant(&self, since_start: Duration) -> Instant {
        self.origin + since_start
    }
}
