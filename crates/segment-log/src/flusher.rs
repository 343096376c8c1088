//! The thread that maintains all telemetry logs, once a second.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::TelemetryLog;
use crate::limits::KEEP_INTERVAL_MS;

/// Synchronises logs to the disk and applies retention, until it is dropped: then once more.
#[derive(Debug)]
pub struct Flusher {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// `unix_ms` tells the time of day.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        logs: Vec<Arc<TelemetryLog>>,
        unix_ms: impl Fn() -> u64 + Send + 'static,
    ) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("telemetry-flusher".into())
            .spawn(move || {
                let interval = Duration::from_millis(KEEP_INTERVAL_MS);
                while stopped.recv_timeout(interval) == Err(mpsc::RecvTimeoutError::Timeout) {
                    keep(&logs, unix_ms());
                }
                keep(&logs, unix_ms());
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

fn keep(logs: &[Arc<TelemetryLog>], now_unix_ms: u64) {
    for log in logs {
        if let Err(error) = log.keep(now_unix_ms) {
            tracing::error!(%error, "the telemetry log could not be looked after");
        }
    }
}
