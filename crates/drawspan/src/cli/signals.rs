//! When to stop.

use tokio::signal;

/// Resolves when the process is asked to end: Ctrl-C, or SIGTERM where there is one.
pub(super) async fn shutdown() {
    tokio::select! {
        () = interrupted() => {}
        () = terminated() => {}
    }
}

/// Resolves when the process is asked a second time.
pub(super) async fn second() {
    shutdown().await;
    shutdown().await;
}

async fn interrupted() {
    if signal::ctrl_c().await.is_err() {
        // No way to be told: only SIGTERM and SIGKILL are left.
        std::future::pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminated() {
    match signal::unix::signal(signal::unix::SignalKind::terminate()) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// Requests to read the configuration again: SIGHUP, where there is one. Without this value a SIGHUP ends the process.
pub(super) struct Hangups {
    #[cfg(unix)]
    stream: Option<signal::unix::Signal>,
}

impl Hangups {
    /// Listens from now on.
    pub(super) fn new() -> Self {
        Self {
            #[cfg(unix)]
            stream: signal::unix::signal(signal::unix::SignalKind::hangup()).ok(),
        }
    }

    /// Resolves at the next one.
    pub(super) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(stream) = &mut self.stream
            && stream.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
