//! A client's connection as a protocol head takes it over.

use std::net::SocketAddr;
use std::sync::Arc;

use drawspan_hub_model::x509::Presented;
use drawspan_net::Transport;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::stop::Stop;

/// A connection whose TLS handshake is done.
#[derive(Debug)]
pub struct Secured<S = TlsStream<TcpStream>> {
    /// What it reads from and writes to.
    pub stream: S,
    /// Its destination.
    pub reached: Reached,
    /// Resolves when it must end.
    pub stop: Stop,
}

/// The destination of a client's connection.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The name, if it said.
    pub sni: Option<Arc<str>>,
    /// The port.
    pub port: u16,
    /// How it speaks AMQP, if it does.
    pub transport: Transport,
    /// The client's address.
    pub peer: SocketAddr,
    /// The client's certificate, if it presented one. TLS proved that it has the key, and nothing else: whose certificate it is, the
    /// hub decides.
    pub certificate: Option<Arc<Presented>>,
}
