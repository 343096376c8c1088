//! Connecting to a hub.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::limits;

/// Reaches a name at an address of one's own choice; names in TLS and tokens stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Host name, any letter case.
    pub host: String,
    /// This port only; every port when absent.
    pub port: Option<u16>,
    /// Where to connect instead.
    pub to: SocketAddr,
}

/// Opens TLS connections.
#[derive(Debug, Clone)]
pub struct Connector {
    tls: Arc<ClientConfig>,
    routes: Arc<[Route]>,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a host name.
    #[error("{0} is not a host name")]
    Name(String),
    /// Name look-up or TCP failed.
    #[error("cannot reach {host}:{port}: {source}")]
    Tcp {
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// Cause.
        source: io::Error,
    },
    /// The TLS handshake failed.
    #[error("TLS with {host}:{port} failed: {source}")]
    Tls {
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// Cause.
        source: io::Error,
    },
    /// It took too long.
    #[error("{host}:{port} did not answer within {} s", limits::CONNECT_TIMEOUT_MS / 1_000)]
    TimedOut {
        /// Host.
        host: String,
        /// Port.
        port: u16,
    },
}

impl Connector {
    /// With TLS settings and routes; the first route that matches counts.
    pub fn new(tls: Arc<ClientConfig>, routes: Vec<Route>) -> Self {
        Self {
            tls,
            routes: routes.into(),
        }
    }

    /// Connects. The name is looked up each time, since a hub keeps its name but changes its address when it fails
    /// over.
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        let limit = Duration::from_millis(limits::CONNECT_TIMEOUT_MS);
        let attempt = tokio::time::timeout(limit, self.attempt(host, port));
        attempt.await.unwrap_or_else(|_| {
            Err(ConnectError::TimedOut {
                host: host.to_owned(),
                port,
            })
        })
    }

    async fn attempt(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, ConnectError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectError::Name(host.to_owned()))?;
        let tcp = self.tcp(host, port).await;
        let tcp = tcp.map_err(|source| ConnectError::Tcp {
            host: host.to_owned(),
            port,
            source,
        })?;
        let tls = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await;
        tls.map_err(|source| ConnectError::Tls {
            host: host.to_owned(),
            port,
            source,
        })
    }

    async fn tcp(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let stream = match self.route(host, port) {
            Some(to) => TcpStream::connect(to).await?,
            None => TcpStream::connect((host, port)).await?,
        };
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        SockRef::from(&stream)
            .set_tcp_user_timeout(Some(Duration::from_millis(limits::TCP_USER_TIMEOUT_MS)))?;
        Ok(stream)
    }

    fn route(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let matches = |route: &&Route| {
            route.host.eq_ignore_ascii_case(host) && route.port.is_none_or(|only| only == port)
        };
        self.routes.iter().find(matches).map(|route| route.to)
    }
}
