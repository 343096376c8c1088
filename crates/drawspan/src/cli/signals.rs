//! Signals to stop, and to read the configuration again.

use tokio::signal;
use tokio::sync::oneshot;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind};

/// Requests to end the process: Ctrl-C, and SIGTERM where it exists. They are counted from the moment this exists.
pub(super) struct Endings {
    #[cfg(unix)]
    streams: [Option<Signal>; 2],
}

/// Requests to read the configuration again: SIGHUP, where it exists. They are counted from the moment this exists; without it a
/// SIGHUP ends the process.
pub(super) struct Hangups {
    #[cfg(unix)]
    stream: Option<Signal>,
}

/// The message at the second request.
pub(super) const TWICE: &str =
    "ended at once on the second signal; requests in progress were aborted";

impl Endings {
    /// Must be called within a runtime. If the system does not support signals, only SIGKILL is left.
    pub(super) fn new() -> Self {
        Self {
            #[cfg(unix)]
            streams: [SignalKind::interrupt(), SignalKind::terminate()]
                .map(|kind| signal::unix::signal(kind).ok()),
        }
    }

    /// Resolves at the next request.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.streams;
        tokio::select! {
            () = next_of(interrupt.as_mut()) => {}
            () = next_of(terminate.as_mut()) => {}
        }
    }

    /// Resolves at the first request, and at the second. The first one resolves only while the second is polled: the same stream
    /// counts both, so that two in quick succession are not taken for one.
    pub(super) fn first_and_second(
        mut self,
    ) -> (impl Future<Output = ()>, impl Future<Output = ()>) {
        let (first, asked) = oneshot::channel();
        let second = async move {
            self.next().await;
            let _ = first.send(());
            self.next().await;
        };
        let first = async {
            if asked.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        (first, second)
    }

    /// Resolves at the next request.
    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Hangups {
    /// Must be called within a runtime.
    pub(super) fn new() -> Self {
        Self {
            #[cfg(unix)]
            stream: signal::unix::signal(SignalKind::hangup()).ok(),
        }
    }

    /// Resolves at the next request.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        next_of(self.stream.as_mut()).await;
        #[cfg(not(unix))]
        std::future::pending().await
    }
}

#[cfg(unix)]
async fn next_of(stream: Option<&mut Signal>) {
    if let Some(stream) = stream
        && stream.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}
