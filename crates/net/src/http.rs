//! The HTTP client for requests to DPS, hubs, key vaults and bridges.
//!
//! It keeps connections for later requests. The pool is our own: that of hyper-util opens a connection while it waits for one that is
//! in use, and keeps both (with at most 16 requests under way it held 142), and it uses a connection for as long as it is busy, though
//! the service's name may mean another address by then.

mod stream;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connect::{ConnectError, Connector, is_certificate_refused};
use crate::limits;

pub use stream::HttpStream;

/// Sends requests to one service. Redirects are answers like others.
#[derive(Debug)]
pub struct HttpClient {
    host: String,
    port: u16,
    channel: HttpChannel,
    bounds: HttpBounds,
    /// One per connection that may be in use.
    turns: Semaphore,
    idle: Arc<Idle>,
}

/// What a service is spoken to over.
#[derive(Debug, Clone)]
pub enum HttpChannel {
    /// TLS, by the connector's routes and proxy.
    Tls(Connector),
    /// TCP, for what is on this machine or next to it.
    Clear {
        /// Where it is, if not where its name says.
        to: Option<SocketAddr>,
        /// How long connecting may take.
        within: Duration,
    },
}

/// Limits of a client. The head of an answer has one of its own, [`limits::HTTP_HEAD_BYTES`].
#[derive(Debug, Clone, Copy)]
pub struct HttpBounds {
    /// Most connections that are open at once.
    pub connections: usize,
    /// Longest time of a request, connecting included, but not the wait for its turn.
    pub time: Duration,
    /// Largest body of an answer.
    pub answer_bytes: usize,
}

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection came about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke, or what came was not HTTP.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// The answer's body broke off, or is too large.
    #[error("{0}")]
    Body(Box<dyn Error + Send + Sync>),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}

impl HttpError {
    /// Whether the answer's body is larger than may be.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self, Self::Body(error) if error.is::<LengthLimitError>())
    }

    /// Whether the service refused the client's certificate. With TLS 1.3 it says so when the request is under way already.
    #[must_use]
    pub fn is_certificate_refused(&self) -> bool {
        match self {
            Self::Connect(error) => error.is_certificate_refused(),
            Self::Broken(error) => {
                let cause = error.source().and_then(<dyn Error>::downcast_ref);
                cause.is_some_and(is_certificate_refused)
            }
            Self::Body(_) | Self::TimedOut(_) => false,
        }
    }
}

/// Connections without a request. They are closed soon, since the service's name may come to mean another address.
#[derive(Debug, Default)]
struct Idle(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    until: Instant,
}

impl HttpClient {
    /// Connects when there is something to send.
    #[must_use]
    pub fn new(host: &str, port: u16, channel: HttpChannel, bounds: HttpBounds) -> Self {
        Self {
            host: host.to_owned(),
            port,
            channel,
            bounds,
            turns: Semaphore::new(bounds.connections),
            idle: Arc::default(),
        }
    }

    /// Waits until a connection may be used, sends a request with exactly these headers (so it needs a `Host`), and reads the
    /// answer. If a kept connection ends and the service may or may not have read the request, it is sent again only if it is
    /// `repeatable`. Must be called within a runtime.
    ///
    /// # Errors
    /// Why there is no answer. A status of any kind is an answer.
    pub async fn send(
        &self,
        request: Request<Bytes>,
        repeatable: bool,
    ) -> Result<Response<Bytes>, HttpError> {
        // The semaphore is never closed, so that this is always a permit.
        let _turn = self.turns.acquire().await.ok();
        let limit = self.bounds.time;
        timeout(limit, self.exchange(request.map(Full::new), repeatable))
            .await
            .unwrap_or(Err(HttpError::TimedOut(limit)))
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        repeatable: bool,
    ) -> Result<Response<Bytes>, HttpError> {
        let (mut kept, response) = match self.idle.take() {
            // The service may have ended it at any moment.
            Some(mut kept) => match kept.sender.try_send_request(request.clone()).await {
                Ok(response) => (kept, response),
                Err(error) if repeatable || error.message().is_some() => {
                    self.send_anew(request).await?
                }
                Err(error) => return Err(error.into_error().into()),
            },
            None => self.send_anew(request).await?,
        };
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.bounds.answer_bytes).collect().await;
        let body = body.map_err(HttpError::Body)?.to_bytes();
        if kept.sender.ready().await.is_ok() {
            self.idle.put(kept);
        }
        Ok(Response::from_parts(head, body))
    }

    async fn send_anew(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Kept, Response<Incoming>), HttpError> {
        let mut kept = match &self.channel {
            HttpChannel::Tls(connector) => {
                self.open(connector.connect(&self.host, self.port).await?)
                    .await?
            }
            HttpChannel::Clear { to, within } => {
                let tcp = timeout(*within, self.in_clear(*to)).await;
                let tcp = tcp.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                let tcp = tcp.map_err(|source| ConnectError::Tcp {
                    host: self.host.clone(),
                    port: self.port,
                    source,
                })?;
                self.open(tcp).await?
            }
        };
        let response = kept.sender.send_request(request).await?;
        Ok((kept, response))
    }

    async fn in_clear(&self, to: Option<SocketAddr>) -> io::Result<TcpStream> {
        match to {
            Some(to) => TcpStream::connect(to).await,
            None => TcpStream::connect((self.host.as_str(), self.port)).await,
        }
    }

    async fn open<S>(&self, stream: S) -> Result<Kept, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(limits::HTTP_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        let until = Instant::now() + Duration::from_millis(limits::HTTP_CONNECTION_LIFE_MS);
        tokio::spawn(run(connection, Arc::downgrade(&self.idle), until));
        Ok(Kept { sender, until })
    }
}

impl Idle {
    /// The one that was used last.
    fn take(&self) -> Option<Kept> {
        let mut idle = self.lock();
        let position = idle.iter().rposition(Kept::is_usable)?;
        Some(idle.swap_remove(position))
    }

    fn put(&self, kept: Kept) {
        if kept.is_usable() {
            self.lock().push(kept);
        }
    }

    fn sweep(&self) {
        self.lock().retain(Kept::is_usable);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn is_usable(&self) -> bool {
        self.sender.is_ready() && Instant::now() < self.until
    }
}

/// Runs a connection until the service closes it, or the pool drops it: at `until` if it is idle then, else after its last
/// request. Errors reach the request that the connection has.
async fn run(
    connection: impl Future<Output = hyper::Result<()>>,
    idle: Weak<Idle>,
    until: Instant,
) {
    let mut connection = std::pin::pin!(connection);
    if timeout_at(until, connection.as_mut()).await.is_err() {
        if let Some(idle) = idle.upgrade() {
            idle.sweep();
        }
        let _ = connection.await;
    }
}

#[cfg(test)]
mod tests;
