//! Connecting to receivers.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use drawspan_settings::callbacks::literal;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::dns::Names;
use super::stream::{Open, Stream};
use crate::Guard;
use crate::limits::{CALLBACK_ADDRESS_MS, CALLBACK_CONNECT_MS};

/// Opens connections to receivers.
#[derive(Clone)]
pub(super) struct Connector(Arc<Parts>);

struct Parts {
    guard: Arc<Guard>,
    tls: Option<TlsConnector>,
    names: Names,
    /// Connections that are open.
    open: Arc<Open>,
}

/// Why there is no connection, in one line.
#[derive(Debug, Error)]
#[error("{0}")]
pub(super) struct NoConnection(pub(super) String);

type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<Stream>, NoConnection>> + Send>>;

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(guard: Arc<Guard>, tls: Option<Arc<ClientConfig>>, kept: usize) -> Self {
        Self(Arc::new(Parts {
            guard,
            tls: tls.map(TlsConnector::from),
            names: Names::default(),
            open: Arc::new(Open::new(kept)),
        }))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = NoConnection;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoConnection>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        let parts = Arc::clone(&self.0);
        Box::pin(async move {
            let limit = Duration::from_millis(CALLBACK_CONNECT_MS);
            let connected = timeout(limit, parts.connect(&uri)).await;
            connected.unwrap_or_else(|_| Err(NoConnection("connecting takes too long".to_owned())))
        })
    }
}

impl Parts {
    async fn connect(&self, uri: &Uri) -> Result<TokioIo<Stream>, NoConnection> {
        let host = uri.host().unwrap_or_default();
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let addresses = match literal(host) {
            Some(address) => Arc::from([SocketAddr::new(address, port)]),
            None => self.names.look_up(host, port).await?,
        };
        let addresses = addresses.iter().copied();
        let permitted = self.guard.reachable(host, port, addresses);
        let tcp = first(&permitted.map_err(NoConnection)?).await?;
        let open = Arc::clone(&self.open);
        if !is_tls {
            return Ok(TokioIo::new(Stream::plain(tcp, open)));
        }
        let tls = self.tls.as_ref();
        let tls = tls.ok_or_else(|| NoConnection("no authority to trust".to_owned()))?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| NoConnection("its name cannot be in a certificate".to_owned()))?;
        let tls = tls.connect(name, tcp).await;
        let tls = tls.map_err(|error| NoConnection(format!("TLS failed: {error}")))?;
        Ok(TokioIo::new(Stream::tls(tls, open)))
    }
}

/// Connects to the first address that takes it.
async fn first(addresses: &[SocketAddr]) -> Result<TcpStream, NoConnection> {
    let mut last = io::Error::other("its name has no address");
    for address in addresses {
        let limit = Duration::from_millis(CALLBACK_ADDRESS_MS);
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Without it nothing but latency is lost.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(NoConnection(last.to_string()))
}
