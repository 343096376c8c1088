//! Listening and TLS.

mod accept;
mod listening;

use std::net::SocketAddr;
use std::sync::Arc;

use drawspan_net::Transport;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::stop::Stop;
pub(crate) use accept::{Accepting, accept};
pub use listening::Addresses;
pub(crate) use listening::{Listeners, Permission, listen};

/// A connection whose TLS handshake is done.
#[derive(Debug)]
pub(crate) struct Secured<S = TlsStream<TcpStream>> {
    pub(crate) stream: S,
    pub(crate) reached: Reached,
    pub(crate) stop: Stop,
}

/// The destination of a client's connection.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// The name, if it said.
    pub(crate) sni: Option<Arc<str>>,
    /// The port.
    pub(crate) port: u16,
    /// How it speaks AMQP, if it does.
    pub(crate) transport: Transport,
    /// The client's address.
    pub(crate) peer: SocketAddr,
}
