//! Listening, TLS, and ending.

mod accept;
mod listening;

use std::net::SocketAddr;
use std::sync::Arc;

use drawspan_net::Transport;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

pub(crate) use accept::{Accepting, accept};
pub(crate) use listening::{Listeners, Permission, listen};

/// A connection whose TLS handshake is done.
#[derive(Debug)]
pub(crate) struct Secured<S = TlsStream<TcpStream>> {
    pub(crate) stream: S,
    pub(crate) reached: Reached,
    pub(crate) stop: Stop,
}

/// What a client opened a connection to.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// The name, if it said.
    pub(crate) sni: Option<Arc<str>>,
    /// The port.
    pub(crate) port: u16,
    /// How it speaks AMQP, if it does.
    pub(crate) transport: Transport,
    /// Who it is.
    pub(crate) peer: SocketAddr,
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
