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
