//! One HTTPS request and its answer, over connections that are kept for the next one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::{Failure, FailureKind, HostName};
use drawspan_net::Connector;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::clock_skew::Skew;
use crate::limits;

const USER_AGENT: &str = concat!("drawspan/", env!("CARGO_PKG_VERSION"));
/// Where the provisioning service and a hub write their code of an error.
const ERROR_CODES: [&str; 2] = ["x-ms-error-code", "iothub-errorcode"];

/// Where a hub writes how a list goes on, and where it is asked to go on.
pub(crate) const CONTINUATION: &str = "x-ms-continuation";

/// A request.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) body: Bytes,
    /// Whether it may be sent again when a kept connection ends and nobody knows whether it was heard.
    pub(crate) repeatable: bool,
}

/// An answer, whatever it says.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) error_code: Option<String>,
    pub(crate) retry_after_s: Option<u32>,
    /// Where a list goes on that did not fit into the answer.
    pub(crate) continuation: Option<String>,
    /// How far this machine's clock is from the service's, by the answer's `Date`.
    pub(crate) skew: Option<Skew>,
    pub(crate) body: Bytes,
}

/// The connections to a service.
#[derive(Debug)]
pub(crate) struct Exchange {
    connector: Connector,
    host: HostName,
    /// What the service is, for people.
    name: &'static str,
    /// How long a request may take, connecting included.
    timeout: Duration,
    /// Largest answer that is read.
    answer_bytes: usize,
    /// One per connection that may be in use.
    turns: Semaphore,
    idle: Arc<Idle>,
}

/// Connections that nobody uses. They are given up soon, so that they do not outlive what the service's name means.
#[derive(Debug, Default)]
struct Idle(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    sender: SendRequest<Full<Bytes>>,
    until: Instant,
}

impl Exchange {
    /// With at most `connections` in use at once.
    pub(crate) fn new(
        connector: Connector,
        host: HostName,
        name: &'static str,
        connections: usize,
        timeout: Duration,
    ) -> Self {
        Self {
            connector,
            host,
            name,
            timeout,
            answer_bytes: limits::HTTPS_ANSWER_BYTES,
            turns: Semaphore::new(connections),
            idle: Arc::default(),
        }
    }

    /// Reads answers of up to `bytes`.
    pub(crate) fn with_answers_of(self, bytes: usize) -> Self {
        Self {
            answer_bytes: bytes,
            ..self
        }
    }

    /// Waits for a connection, asks, and gives the connection back.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Reply, Failure> {
        self.ask_with(ask, HeaderMap::new()).await
    }

    /// The same with further headers.
    pub(crate) async fn ask_with(&self, ask: &Ask, headers: HeaderMap) -> Result<Reply, Failure> {
        let mut request = self.request(ask)?;
        request.headers_mut().extend(headers);
        // Never closed, so that this cannot fail.
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|error| self.unreachable(&error.to_string()))?;
        let answer = tokio::time::timeout(self.timeout, self.answer(request, ask.repeatable));
        answer.await.unwrap_or_else(|_| {
            let seconds = self.timeout.as_secs();
            Err(self.unreachable(&format!("no answer within {seconds} s")))
        })
    }

    async fn answer(
        &self,
        request: Request<Full<Bytes>>,
        repeatable: bool,
    ) -> Result<Reply, Failure> {
        let (mut kept, response) = match self.idle.take() {
            // The service may have ended it at any moment.
            Some(mut kept) => match kept.sender.try_send_request(request.clone()).await {
                Ok(response) => (kept, response),
                Err(error) if repeatable || error.message().is_some() => {
                    self.ask_anew(request).await?
                }
                Err(error) => return Err(self.unreachable(&error.error().to_string())),
            },
            None => self.ask_anew(request).await?,
        };
        let reply = self.read(response).await?;
        if kept.sender.ready().await.is_ok() {
            self.idle.put(kept);
        }
        Ok(reply)
    }

    async fn ask_anew(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Kept, Response<Incoming>), Failure> {
        let mut kept = self.connect().await?;
        match kept.sender.send_request(request).await {
            Ok(response) => Ok((kept, response)),
            Err(error) => Err(self.unreachable(&error.to_string())),
        }
    }

    async fn connect(&self) -> Result<Kept, Failure> {
        let stream = self
            .connector
            .connect(self.host.as_str(), limits::HTTPS_PORT)
            .await
            .map_err(|error| Failure::local(FailureKind::HubUnreachable, &error.to_string()))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let until = Instant::now() + Duration::from_millis(limits::HTTPS_CONNECTION_LIFE_MS);
        tokio::spawn(run(connection, Arc::clone(&self.idle), until, self.name));
        Ok(Kept { sender, until })
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Reply, Failure> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.answer_bytes)
            .collect()
            .await
            .map_err(|error| self.unreachable(&format!("its answer broke off: {error}")))?;
        let text = |name| text(&head.headers, name);
        Ok(Reply {
            status: head.status.as_u16(),
            error_code: ERROR_CODES
                .iter()
                .find_map(|name| text(name))
                .map(str::to_owned),
            retry_after_s: text("retry-after").and_then(|text| text.trim().parse().ok()),
            continuation: text(CONTINUATION).map(str::to_owned),
            skew: text("date").and_then(Skew::by_date),
            body: body.to_bytes(),
        })
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, Failure> {
        let mut token = HeaderValue::from_str(&ask.token)
            .map_err(|_| invalid("the token holds characters that HTTP does not allow"))?;
        token.set_sensitive(true);
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(&ask.path)
            .header(header::HOST, self.host.as_str())
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "application/json")
            .header(header::AUTHORIZATION, token);
        if !ask.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        }
        request
            .body(Full::new(ask.body.clone()))
            .map_err(|error| invalid(&error.to_string()))
    }

    fn unreachable(&self, what: &str) -> Failure {
        let text = format!("{} cannot be asked: {what}", self.host);
        Failure::local(FailureKind::HubUnreachable, &text)
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

/// Runs a connection. It ends when nobody keeps it any more, which is at `until` if nobody uses it then.
async fn run<S>(
    connection: http1::Connection<S, Full<Bytes>>,
    idle: Arc<Idle>,
    until: Instant,
    name: &'static str,
) where
    S: Read + Write + Unpin,
{
    let mut connection = std::pin::pin!(connection);
    let ended = match tokio::time::timeout_at(until, connection.as_mut()).await {
        Ok(ended) => ended,
        Err(_) => {
            idle.sweep();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to {name} ended early");
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn invalid(text: &str) -> Failure {
    Failure::local(FailureKind::InvalidRequest, text)
}
