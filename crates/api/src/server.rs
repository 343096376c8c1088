//! The accept loop: HTTP/1.1, plain or over TLS, with limits on connections, heads and idle time, and a shutdown that answers every
//! request that came in time.
//!
//! hyper answers input that is not HTTP (a malformed request line, too many headers, a head that is too long) before any of our
//! code sees it: 400 or 431 with an empty body, and it closes the connection. These answers cannot be customised.

mod connection;
mod farewell;
mod stop;
mod table;
mod tls;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use drawspan_gateway::log_limit::{self, CONNECTIONS, HANDSHAKES, Leave};
use drawspan_settings::open_files::Shares;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout};
use tracing::{info, warn};

use super::api::Api;
use crate::limits::{
    ACCEPT_PAUSE_MS, HEAD_TIMEOUT_MS, LISTEN_BACKLOG, STOP_FLUSH_MS, STOP_LOOK_MS, STOP_QUIET_MS,
    UPKEEP_MS,
};
use connection::Wire;
use stop::Phase;
pub use table::Bounds;
use table::{Entry, Table};
pub use tls::{Tls, TlsError};

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

/// How a server listens and ends.
pub struct Terms {
    /// HTTPS instead of HTTP.
    pub tls: Option<Tls>,
    /// How many connections there may be.
    pub bounds: Bounds,
    /// The time from the signal to the end.
    pub stop: Duration,
    /// Called once when it begins to stop, with the number of requests under way.
    pub stopping: fn(usize),
}

impl Terms {
    /// HTTP, with the bounds of this process, and an end that is not announced.
    #[must_use]
    pub fn new(stop: Duration) -> Self {
        Self {
            tls: None,
            bounds: Bounds::new(Shares::of_process(), None),
            stop,
            stopping: |_| {},
        }
    }
}

/// Serves until `shutdown` resolves; then accepts nothing more, answers what came before, and returns when that is done, after
/// the time of `terms` at the latest. A request that is under way gets its real answer, or 503 shortly before the end; one that comes on a
/// connection that is kept gets 503. Who hung up is not waited for.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    shutdown: impl Future<Output = ()>,
    terms: Terms,
) {
    let (phase, _) = watch::channel(Phase::Serving);
    let server = Server {
        api,
        tls: terms.tls,
        phase,
        table: Table::new(terms.bounds),
    };
    server.accept(&listener, shutdown).await;
    let begun = Instant::now();
    let requests = server.table.activity().requests;
    info!(
        requests,
        "stopping: no new connections; requests in progress are finished, and a second signal ends at once"
    );
    (terms.stopping)(requests);
    server.phase.send_replace(Phase::Stopping);
    server.take_waiting(listener);
    let flush = Duration::from_millis(STOP_FLUSH_MS).min(terms.stop / 2);
    let quiet = Duration::from_millis(STOP_QUIET_MS).min(terms.stop / 4);
    let _ = timeout(terms.stop - flush, server.drained(begun, quiet)).await;
    let requests = server.table.activity().waited_for;
    if requests > 0 {
        warn!(requests, "requests in progress are answered 503");
    }
    server.phase.send_replace(Phase::CutOff);
    if timeout(flush, server.all_gone()).await.is_err() {
        info!("connections of callers that do not hang up are closed");
    }
}

struct Server {
    api: Api,
    tls: Option<Tls>,
    phase: watch::Sender<Phase>,
    table: Arc<Table>,
}

impl Server {
    /// Takes connections until `shutdown` resolves.
    async fn accept(&self, listener: &TcpListener, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let mut upkeep = interval(Duration::from_millis(UPKEEP_MS));
        let idle = Duration::from_millis(HEAD_TIMEOUT_MS);
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.take(stream, peer.ip()),
                    Err(error) => self.pause_after(&error).await,
                },
                _ = upkeep.tick() => {
                    self.table.end_idle(idle, Instant::now());
                    log_limit::write_counts();
                }
                () = &mut shutdown => return,
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: IpAddr) {
        let Some(entry) = self.table.admit(peer, self.tls.is_some(), Instant::now()) else {
            if let Some(Leave { left_out }) = CONNECTIONS.pass(peer) {
                warn!(%peer, left_out, "no room for a connection, since all have requests in progress");
            }
            return;
        };
        if entry.crowded
            && let Some(Leave { left_out }) = CONNECTIONS.pass(peer)
        {
            warn!(%peer, left_out, "a connection gets 503, since all that are allowed have requests in progress");
        }
        // Without it the answer to a small request would wait for the caller's acknowledgement.
        let _ = stream.set_nodelay(true);
        let (api, phase) = (self.api.clone(), self.phase.subscribe());
        match self.tls.clone() {
            None => {
                tokio::spawn(async move { connection::run(stream, api, &entry, phase).await });
            }
            Some(tls) => {
                tokio::spawn(async move {
                    let shaken = handshake(&tls, stream, peer, &entry, phase.clone()).await;
                    if let Some(stream) = shaken {
                        entry.shook_hands();
                        connection::run(stream, api, &entry, phase).await;
                    }
                });
            }
        }
    }

    /// Connections that the system has completed but that were not accepted yet: closing the listener would reset them. Closes it.
    fn take_waiting(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else {
            return;
        };
        for _ in 0..LISTEN_BACKLOG {
            // It does not block.
            let Ok((stream, peer)) = listener.accept() else {
                return;
            };
            if let Ok(stream) = stream
                .set_nonblocking(true)
                .and_then(|()| TcpStream::from_std(stream))
            {
                self.take(stream, peer.ip());
            }
        }
    }

    /// Resolves when no one waits for an answer, and no request has come on open connections for a while.
    async fn drained(&self, begun: Instant, quiet: Duration) {
        loop {
            let activity = self.table.activity();
            let last = activity.last_progress.map_or(begun, |last| last.max(begun));
            let is_quiet = activity.waited_for == 0 && last.elapsed() >= quiet;
            if activity.connections == 0 || is_quiet {
                return;
            }
            sleep(Duration::from_millis(STOP_LOOK_MS)).await;
        }
    }

    async fn all_gone(&self) {
        while self.table.activity().connections > 0 {
            sleep(Duration::from_millis(STOP_LOOK_MS)).await;
        }
    }

    async fn pause_after(&self, error: &io::Error) {
        // The peer went before we came: nothing is wrong here.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        ) {
            return;
        }
        if let Some(Leave { left_out }) = CONNECTIONS.pass("accept") {
            warn!(%error, left_out, "cannot accept connections; trying again");
        }
        self.table.make_room();
        sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
    }
}

/// The encrypted connection, if there is one before the server must end.
async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    peer: IpAddr,
    entry: &Entry,
    mut phase: watch::Receiver<Phase>,
) -> Option<impl Wire + Send + use<>> {
    let accepted = tokio::select! {
        accepted = tls.accept(stream) => accepted,
        () = entry.shared.asked_to_leave() => return None,
        _ = phase.wait_for(|phase| *phase == Phase::CutOff) => return None,
    };
    match accepted {
        Ok(stream) => Some(stream),
        // A client that connects without sending checks whether the port is open.
        Err(failed) if !failed.begun => None,
        Err(failed) => {
            if let Some(Leave { left_out }) = HANDSHAKES.pass(peer) {
                let reason = failed.error;
                info!(%peer, %reason, left_out, "a caller's TLS handshake failed");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests;
