//! The accept loop: HTTP/1.1, plain or over TLS, bounded in connections, heads and idle time, and an end at which every request that came
//! in time is answered.
//!
//! What is no HTTP request (a broken request line, too many headers, a head that is too long) is answered by hyper before any of our
//! code sees it: 400 or 431 with an empty body, and the connection is closed. It offers no way to word these.

mod connection;
mod stop;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::api::Api;
use super::problem::{Kind, Problem};
use crate::limits::{
    ACCEPT_PAUSE_MS, LISTEN_BACKLOG, MAX_CONNECTIONS, MAX_REFUSALS, MAX_TLS_HANDSHAKES,
    RETRY_AFTER_S, STOP_FLUSH_MS,
};
use connection::Wire;
use stop::Phase;
pub use tls::{InvalidIdentity, Tls, TlsError};

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

/// Serves until `shutdown` resolves; then accepts nothing more, answers what came before, and returns when that is done, after
/// `stop` at the latest. A request that is under way gets its real answer, or 503 shortly before the end; one that was
/// sent and not yet begun gets 503.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    shutdown: impl Future<Output = ()>,
    stop: Duration,
) {
    serve_bounded(listener, None, api, shutdown, stop, MAX_CONNECTIONS).await;
}

/// The same over TLS.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Tls,
    api: Api,
    shutdown: impl Future<Output = ()>,
    stop: Duration,
) {
    serve_bounded(listener, Some(tls), api, shutdown, stop, MAX_CONNECTIONS).await;
}

async fn serve_bounded(
    listener: TcpListener,
    tls: Option<Tls>,
    api: Api,
    shutdown: impl Future<Output = ()>,
    stop: Duration,
    max_connections: usize,
) {
    let (phase, _) = watch::channel(Phase::Serving);
    let server = Server {
        api,
        tls,
        phase,
        handshakes: Arc::new(Semaphore::new(MAX_TLS_HANDSHAKES)),
        places: Arc::new(Semaphore::new(max_connections)),
        refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
    };
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, _)) => server.take(stream),
            Err(error) => pause_after(&error).await,
        }
    }
    info!("stopping: no new connections");
    server.phase.send_replace(Phase::Stopping);
    server.take_waiting(listener);
    let flush = Duration::from_millis(STOP_FLUSH_MS).min(stop / 2);
    if timeout(stop - flush, server.all_gone(max_connections))
        .await
        .is_ok()
    {
        return;
    }
    warn!("requests under way are answered 503");
    server.phase.send_replace(Phase::CutOff);
    if timeout(flush, server.all_gone(max_connections))
        .await
        .is_err()
    {
        warn!("callers that do not read their answers are cut off");
    }
}

struct Server {
    api: Api,
    tls: Option<Tls>,
    phase: watch::Sender<Phase>,
    handshakes: Arc<Semaphore>,
    places: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl Server {
    fn take(&self, stream: TcpStream) {
        // Without it the answer to a small request would wait for the caller's acknowledgement.
        let _ = stream.set_nodelay(true);
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            let (api, phase) = (self.api.clone(), self.phase.subscribe());
            match &self.tls {
                None => {
                    let connection = connection::run(stream, api, phase);
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Some(tls) => {
                    // Who begins a handshake and does not go on must not keep others out.
                    let Ok(turn) = Arc::clone(&self.handshakes).try_acquire_owned() else {
                        return;
                    };
                    let tls = tls.clone();
                    tokio::spawn(async move {
                        if let Some(stream) = handshake(&tls, stream, phase.clone()).await {
                            drop(turn);
                            connection::run(stream, api, phase).await;
                        }
                        drop(place);
                    });
                }
            }
        } else if let Ok(place) = Arc::clone(&self.refusals).try_acquire_owned() {
            let tls = self.tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => refuse(stream).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            refuse(stream).await;
                        }
                    }
                }
                drop(place);
            });
        }
    }

    /// Connections that the system has completed and nobody has accepted: closing the listener would reset them. Closes it.
    fn take_waiting(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else {
            return;
        };
        for _ in 0..LISTEN_BACKLOG {
            // It does not block.
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            if let Ok(stream) = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream))
            {
                self.take(stream);
            }
        }
    }

    async fn all_gone(&self, max_connections: usize) {
        let all = u32::try_from(max_connections).unwrap_or(u32::MAX);
        // It fails only when the semaphore is closed, and nobody does that.
        let _ = self.places.acquire_many(all).await;
    }
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

/// The encrypted connection, if there is one before the server must end.
async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    mut phase: watch::Receiver<Phase>,
) -> Option<impl Wire + Send + use<>> {
    tokio::select! {
        accepted = tls.accept(stream) => accepted
            .inspect_err(|error| debug!(%error, "a caller did not get through the TLS handshake"))
            .ok(),
        _ = phase.wait_for(|phase| *phase == Phase::CutOff) => None,
    }
}

/// Says 503 and hangs up, after the peer did so or a second: hanging up at once could swallow the answer.
async fn refuse(mut stream: impl Wire) {
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
