//! The thread that looks after all telemetry logs, once a second.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::TelemetryLog;
use crate::clock;
use crate::limits::KEEP_INTERVAL_MS;

/// Synchronises logs to the disk and applies retention, until it is dropped: then once more.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(logs: Vec<Arc<TelemetryLog>>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("telemetry-keeper".into())
            .spawn(move || {
                let interval = Duration::from_millis(KEEP_INTERVAL_MS);
                while stopped.recv_timeout(interval) == Err(mpsc::RecvTimeoutError::Timeout) {
                    keep(&logs);
                }
                keep(&logs);
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

fn keep(logs: &[Arc<TelemetryLog>]) {
    for log in logs {
        if let Err(error) = log.keep(clock::unix_ms()) {
            tracing::error!(%error, "the telemetry log could not be looked after");
        }
    }
}
