//! HTTPS: TLS 1.2 and 1.3 on the listener, with a certificate that can be replaced while it is used.

mod records;

use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use drawspan_settings::{InvalidCertificate, ListenerCertificate};
use rustls::ServerConfig;
use thiserror::Error;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use records::{HEAD_BYTES, Recorded};

use super::connection::Wire;
use crate::limits::{TLS_HANDSHAKE_TIMEOUT_MS, TLS_WATCH_INTERVAL_MS};

/// TLS for a listener. Cheap to clone; all clones show the same certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    certificate: Arc<ListenerCertificate>,
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Certificate and key cannot be used.
    #[error(transparent)]
    Certificate(#[from] InvalidCertificate),
    /// The rest.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// Reads certificate and key, both PEM. Blocks, for files.
    ///
    /// # Errors
    /// [`TlsError`]: a file cannot be read, holds nothing of use, or the two do not belong together.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let certificate = Arc::new(ListenerCertificate::open(certificate, key)?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Callers that come back are spared the signature, and we the memory.
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
        Ok(Self {
            config: Arc::new(config),
            certificate,
        })
    }

    /// Reads the files again if they have changed. An unusable pair changes nothing and is logged. Blocks, for files.
    pub fn refresh(&self) {
        self.certificate.refresh(true);
    }

    /// Reads the files at intervals, and takes a new pair. Never ends.
    pub async fn watch(&self) {
        loop {
            sleep(Duration::from_millis(TLS_WATCH_INTERVAL_MS)).await;
            let certificate = Arc::clone(&self.certificate);
            let look = tokio::task::spawn_blocking(move || certificate.refresh(false));
            if let Err(error) = look.await {
                debug!(%error, "the certificate files could not be read");
            }
        }
    }

    /// The encrypted connection, if the caller gets there in time.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<Recorded>, FailedHandshake> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let limit = Duration::from_millis(TLS_HANDSHAKE_TIMEOUT_MS);
        let accepting = acceptor.accept(Recorded::new(stream)).into_fallible();
        match timeout(limit, accepting).await {
            Ok(accepted) => accepted.map_err(|(error, stream)| FailedHandshake {
                error,
                begun: stream.has_begun(),
            }),
            Err(_) => Err(FailedHandshake {
                error: io::ErrorKind::TimedOut.into(),
                begun: true,
            }),
        }
    }
}

/// A TLS handshake that came to nothing.
#[derive(Debug)]
pub(super) struct FailedHandshake {
    pub(super) error: io::Error,
    /// Whether the caller said anything.
    pub(super) begun: bool,
}

impl Wire for TlsStream<Recorded> {
    /// Callers send a close_notify record before they hang up.
    fn has_hung_up(&self, context: &mut Context<'_>) -> bool {
        let (socket, _) = self.get_ref();
        if !socket.is_whole() {
            return false;
        }
        let mut head = [MaybeUninit::uninit(); HEAD_BYTES];
        let mut head = ReadBuf::uninit(&mut head);
        match socket.stream().poll_peek(context, &mut head) {
            Poll::Pending => false,
            Poll::Ready(Ok(0) | Err(_)) => true,
            Poll::Ready(Ok(_)) => records::is_goodbye(head.filled()),
        }
    }
}
