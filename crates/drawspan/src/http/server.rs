//! The accept loop: plain HTTP/1.1, bounded in connections, heads and idle time, drained on shutdown.
//!
//! What is no HTTP request (a broken request line, too many or too long headers) is answered by hyper before any of our
//! code sees it: 400 or 431 with an empty body, and the connection is closed. It offers no way to word these.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::api::Api;
use super::problem::{Kind, Problem};
use crate::limits::{
    ACCEPT_PAUSE_MS, HEAD_TIMEOUT_MS, LISTEN_BACKLOG, MAX_CONNECTIONS, MAX_HEAD_BYTES,
    MAX_REFUSALS, RETRY_AFTER_S,
};

/// Opens the listening socket, with a queue long enough for a fleet that comes back at once.
///
/// # Errors
/// What the system says, e.g. that the address is in use.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the sockets of its predecessor. (On Windows the option means something else.)
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves until `shutdown` resolves; then accepts nothing more, lets requests under way finish for at most `drain`,
/// and returns.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    shutdown: impl Future<Output = ()>,
    drain: Duration,
) {
    serve_bounded(listener, api, shutdown, drain, MAX_CONNECTIONS).await;
}

async fn serve_bounded(
    listener: TcpListener,
    api: Api,
    shutdown: impl Future<Output = ()>,
    drain: Duration,
    max_connections: usize,
) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(max_connections));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // Without it the answer to a small request would wait for the caller's acknowledgement.
        let _ = stream.set_nodelay(true);
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let connection = connection(stream, api.clone(), graceful.watcher());
            tokio::spawn(async move {
                connection.await;
                drop(place);
            });
        } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
            tokio::spawn(async move {
                refuse(stream).await;
                drop(place);
            });
        }
    }
    drop(listener);
    info!("draining: no new connections");
    if timeout(drain, graceful.shutdown()).await.is_err() {
        warn!(
            "requests under way were cut off after {} s",
            drain.as_secs()
        );
    }
}

async fn connection(stream: TcpStream, api: Api, watcher: Watcher) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(api.answer(request.map(Body::new)).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEAD_TIMEOUT_MS))
        .max_buf_size(MAX_HEAD_BYTES)
        // A caller that has said all it wants to say still waits for the answer.
        .half_close(true);
    // A connection ends for many reasons that are all the caller's business: it went, idled, or spoke no HTTP.
    let _ = watcher
        .watch(builder.serve_connection(TokioIo::new(stream), service))
        .await;
}

async fn pause_after(error: &io::Error) {
    // The peer went before we came: nothing is wrong here.
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        return;
    }
    warn!(%error, "cannot accept connections; trying again");
    sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
}

/// Says 503 and hangs up, after the peer did so or a second: hanging up at once could swallow the answer.
async fn refuse(mut stream: TcpStream) {
    let problem = Problem::new(
        Kind::TooManyConnections,
        "Too many connections are open; use fewer and keep them alive.",
    );
    let body = problem.to_json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: {RETRY_AFTER_S}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let farewell = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = timeout(Duration::from_secs(1), farewell).await;
}

#[cfg(test)]
mod tests;
