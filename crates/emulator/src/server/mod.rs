//! Listening, TLS, and ending.

mod accept;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

pub(crate) use accept::accept;

/// A connection whose TLS handshake is done.
#[derive(Debug)]
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) peer: SocketAddr,
    /// The name to which the client opened it, if it said.
    pub(crate) sni: Option<Arc<str>>,
    pub(crate) stop: Stop,
}

/// Says when the emulator stops.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<()>);

/// Stops everything that holds a [`Stop`] when it is dropped.
#[derive(Debug)]
pub(crate) struct Stopper(#[allow(dead_code, reason = "dropping it is its use")] watch::Sender<()>);

impl Stop {
    pub(crate) fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(());
        (Stopper(sender), Self(receiver))
    }

    /// Waits until the emulator stops.
    pub(crate) async fn stopped(&mut self) {
        // Nothing is ever sent: the only news is that the sender is gone.
        while self.0.changed().await.is_ok() {}
    }
}
