//! Connecting to a hub: directly or through a proxy, with AMQP directly over TLS or in a WebSocket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity::ClientIdentity;
use crate::limits;
use crate::proxy::{Proxy, ProxyError};
use crate::stream::Stream;
use crate::websocket::{WebSocket, WebSocketError};

/// How AMQP is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// Right over TLS, at port 5671.
    #[default]
    Amqps,
    /// In a WebSocket, at port 443: for networks that let nothing else out.
    WebSocket,
}

/// Reaches a name at an address of one's own choice; names in TLS and tokens stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Host name, any letter case.
    pub host: String,
    /// This port only; every port when absent.
    pub port: Option<u16>,
    /// The address to connect to instead.
    pub to: SocketAddr,
}

/// Opens TLS connections.
#[derive(Debug, Clone)]
pub struct Connector {
    tls: Arc<ClientConfig>,
    routes: Arc<[Route]>,
    proxy: Option<Arc<Proxy>>,
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
    /// The proxy did not connect.
    #[error("the proxy {proxy} does not connect to {host}:{port}: {source}")]
    Proxy {
        /// The proxy, without credentials.
        proxy: String,
        /// Host behind it.
        host: String,
        /// Port behind it.
        port: u16,
        /// Cause.
        source: ProxyError,
    },
    /// The TLS handshake failed.
    #[error("TLS with {host}:{port} failed: {source}{}", advice(source))]
    Tls {
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// Cause.
        source: io::Error,
    },
    /// No WebSocket was opened.
    #[error("no WebSocket with {host}: {source}")]
    WebSocket {
        /// Host.
        host: String,
        /// Cause.
        source: WebSocketError,
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

/// What to do about a failed handshake, where that is known.
fn advice(source: &io::Error) -> &'static str {
    use rustls::{CertificateError, Error};
    let cause = source.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; its authority is not trusted here: the setting `ca` names a file of authorities to trust"
        }
        _ => "",
    }
}

impl ConnectError {
    /// Whether the other end refused the client's certificate.
    #[must_use]
    pub fn is_certificate_refused(&self) -> bool {
        match self {
            Self::Tls { source, .. } => is_certificate_refused(source),
            _ => false,
        }
    }
}

/// Whether an error is the other end's word that it does not take the client's certificate. With TLS 1.3 that comes after the
/// handshake, when the client reads.
#[must_use]
pub fn is_certificate_refused(error: &io::Error) -> bool {
    use rustls::{AlertDescription as Alert, Error};
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let Some(Error::AlertReceived(alert)) = cause else {
        return false;
    };
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::CertificateRequired
    )
}

impl Transport {
    /// The port that the hub serves it at.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Amqps => 5_671,
            Self::WebSocket => 443,
        }
    }
}

impl Connector {
    /// With TLS settings and routes; the first route that matches counts.
    pub fn new(tls: Arc<ClientConfig>, routes: Vec<Route>) -> Self {
        Self {
            tls,
            routes: routes.into(),
            proxy: None,
        }
    }

    /// Connects through `proxy` from now on. A route decides what the proxy is asked for.
    #[must_use]
    pub fn with_proxy(self, proxy: Proxy) -> Self {
        Self {
            proxy: Some(Arc::new(proxy)),
            ..self
        }
    }

    /// One that proves itself by a certificate. It resumes no session: the other end takes the certificate of a session for that of
    /// whoever resumes it.
    #[must_use]
    pub fn with_identity(&self, identity: &ClientIdentity) -> Self {
        let mut tls = ClientConfig::clone(&self.tls);
        tls.client_auth_cert_resolver = identity.resolver();
        tls.resumption = Resumption::disabled();
        Self {
            tls: Arc::new(tls),
            ..self.clone()
        }
    }

    /// Connects with TLS. The name is looked up each time, since a hub keeps its name but changes its address when it
    /// fails over.
    ///
    /// # Errors
    /// What failed: name, TCP, proxy, TLS or patience ([`limits::CONNECT_TIMEOUT_MS`]).
    pub async fn connect(
        &self,
        host: &str,
        port: u16,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        in_time(host, port, self.tls(host, port)).await
    }

    /// Connects for AMQP, at the port of `transport`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), or what the WebSocket's server said.
    pub async fn connect_to(
        &self,
        host: &str,
        transport: Transport,
    ) -> Result<Stream, ConnectError> {
        let port = transport.port();
        let attempt = async {
            let tls = self.tls(host, port).await?;
            match transport {
                Transport::Amqps => Ok(Stream::tls(tls)),
                Transport::WebSocket => {
                    let opened = WebSocket::connect(tls, host).await;
                    let host = host.to_owned();
                    opened
                        .map(Stream::web_socket)
                        .map_err(|source| ConnectError::WebSocket { host, source })
                }
            }
        };
        in_time(host, port, attempt).await
    }

    async fn tls(&self, host: &str, port: u16) -> Result<TlsStream<TcpStream>, ConnectError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| ConnectError::Name(host.to_owned()))?;
        let tcp = match &self.proxy {
            Some(proxy) => {
                let tunnel = self.through(proxy, host, port).await;
                tunnel.map_err(|source| ConnectError::Proxy {
                    proxy: proxy.to_string(),
                    host: host.to_owned(),
                    port,
                    source,
                })?
            }
            None => {
                let tcp = self.tcp(host, port).await;
                tcp.map_err(|source| ConnectError::Tcp {
                    host: host.to_owned(),
                    port,
                    source,
                })?
            }
        };
        let tls = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, tcp)
            .await;
        tls.map_err(|source| ConnectError::Tls {
            host: host.to_owned(),
            port,
            source,
        })
    }

    async fn through(&self, proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, ProxyError> {
        let addresses = tokio::net::lookup_host((proxy.host.as_str(), proxy.port)).await?;
        let mut stream = first_of(addresses).await?;
        match self.route(host, port) {
            Some(to) => {
                let host = to.ip().to_string();
                proxy.tunnel(&mut stream, &host, to.port()).await?;
            }
            None => proxy.tunnel(&mut stream, host, port).await?,
        }
        Ok(stream)
    }

    async fn tcp(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        match self.route(host, port) {
            Some(to) => first_of([to]).await,
            None => first_of(tokio::net::lookup_host((host, port)).await?).await,
        }
    }

    /// Where a route leads that matches.
    #[must_use]
    pub fn route(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let matches = |route: &&Route| {
            route.host.eq_ignore_ascii_case(host) && route.port.is_none_or(|only| only == port)
        };
        self.routes.iter().find(matches).map(|route| route.to)
    }
}

/// Connects to the first of the addresses that answers. Each has its own time limit, so that one that swallows packets (often IPv6
/// without a route) does not use up the time of the next one.
async fn first_of(addresses: impl IntoIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let limit = Duration::from_millis(limits::TCP_CONNECT_TIMEOUT_MS);
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        failure = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                set_options(&stream)?;
                return Ok(stream);
            }
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, unanswered(address)),
        };
    }
    Err(failure)
}

fn unanswered(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let s = limits::TCP_CONNECT_TIMEOUT_MS / 1_000;
    format!(
        "{ip} did not answer within {s} s; a firewall may block outgoing connections to port {port}"
    )
}

async fn in_time<T>(
    host: &str,
    port: u16,
    attempt: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    let limit = Duration::from_millis(limits::CONNECT_TIMEOUT_MS);
    let ended = tokio::time::timeout(limit, attempt).await;
    ended.unwrap_or_else(|_| {
        Err(ConnectError::TimedOut {
            host: host.to_owned(),
            port,
        })
    })
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(stream)
        .set_tcp_user_timeout(Some(Duration::from_millis(limits::TCP_USER_TIMEOUT_MS)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_authority_that_is_not_trusted_comes_with_the_setting() {
        use rustls::{CertificateError, Error};
        let tls = |cause| ConnectError::Tls {
            host: "a.net".into(),
            port: 5671,
            source: io::Error::other(Error::InvalidCertificate(cause)),
        };
        assert!(
            tls(CertificateError::UnknownIssuer)
                .to_string()
                .contains("`ca`")
        );
        assert!(!tls(CertificateError::Expired).to_string().contains("`ca`"));
    }

    use socket2::{Domain, Socket, Type};

    use super::*;

    /// A listener whose queue is full: Linux drops what else wants to connect, as a firewall does.
    fn full_listener() -> (Socket, Vec<std::net::TcpStream>, SocketAddr) {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let filling = std::net::TcpStream::connect(address).unwrap();
        (listener, vec![filling], address)
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_packets_leaves_time_for_the_next_one() {
        let (_listener, _filling, silent) = full_listener();
        let good = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = good.local_addr().unwrap();
        let stream = first_of([silent, address]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);

        let error = first_of([silent]).await.unwrap_err();
        let port = silent.port();
        assert_eq!(
            error.to_string(),
            format!(
                "127.0.0.1 did not answer within 4 s; a firewall may block outgoing connections to port {port}"
            )
        );
    }
}
