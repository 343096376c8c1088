//! HTTP for Azure's clients: over our TLS, proxy included, bounded, and nowhere in clear but where a machine gets its identity.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, HttpClient, Url};
use azure_core::{Bytes, Error, Result};
use drawspan_net::{Connector, client_config};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Response, body::Incoming, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::outbound::Way;
use crate::limits::{IDENTITY_CONNECT_MS, MAX_VAULT_ANSWER_BYTES, MAX_VAULT_HEAD_BYTES};

/// One connection per request: there are a handful. Redirects are answers like others.
#[derive(Debug)]
pub(super) struct Wire {
    connector: Connector,
    /// What may be asked in clear, and where it is if not where it seems to be.
    clear: Option<(Url, Option<SocketAddr>)>,
    news: Mutex<News>,
}

/// For who must say why there is no answer.
#[derive(Debug, Default)]
struct News {
    host: String,
    trouble: Option<String>,
    refusal: Option<(u16, Bytes)>,
}

struct Answer {
    status: u16,
    headers: Headers,
    body: Bytes,
}

impl Answer {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl From<Answer> for AsyncRawResponse {
    fn from(answer: Answer) -> Self {
        Self::from_bytes(answer.status.into(), answer.headers, answer.body)
    }
}

impl Wire {
    /// `clear` is what may be asked in clear.
    ///
    /// # Errors
    /// Nobody can be trusted.
    pub(super) fn new(way: &Way, clear: Option<&Url>) -> std::result::Result<Self, String> {
        let tls = client_config(way.authorities.clone()).map_err(|error| error.to_string())?;
        let connector = Connector::new(tls, way.routes.clone());
        let elsewhere = |url: &Url| {
            let (host, port) = (url.host_str()?, url.port_or_known_default()?);
            let mut routes = way.routes.iter();
            let leads = routes.find(|route| {
                route.host.eq_ignore_ascii_case(host) && route.port.is_none_or(|own| own == port)
            });
            leads.map(|route| route.to)
        };
        Ok(Self {
            connector: match &way.proxy {
                Some(proxy) => connector.with_proxy(proxy.clone()),
                None => connector,
            },
            clear: clear.map(|url| (url.clone(), elsewhere(url))),
            news: Mutex::default(),
        })
    }

    /// The host that was asked last.
    pub(super) fn host(&self) -> String {
        self.news().host.clone()
    }

    /// Why the last request got no answer, in one line that holds nothing of what was sent.
    pub(super) fn trouble(&self) -> Option<String> {
        self.news().trouble.clone()
    }

    /// Status and body of the last answer, if it was not a success.
    pub(super) fn refusal(&self) -> Option<(u16, Bytes)> {
        self.news().refusal.clone()
    }

    async fn ask(&self, asked: &azure_core::http::Request) -> Result<Answer> {
        let request = request(asked)?;
        let url = asked.url();
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        *self.news() = News {
            host: host.to_owned(),
            ..News::default()
        };
        if url.scheme() == "https" {
            let stream = self.connector.connect(host, port).await;
            let stream = stream.map_err(|error| unreached(error.to_string()))?;
            return exchange(stream, request, host).await;
        }
        match &self.clear {
            Some((clear, to)) if clear.origin() == url.origin() => {
                let stream = in_clear(host, port, *to).await;
                let stream = stream
                    .map_err(|error| unreached(format!("cannot reach {host}:{port}: {error}")))?;
                exchange(stream, request, host).await
            }
            _ => {
                let text = format!("{host} would be asked in clear");
                Err(Error::with_message(ErrorKind::Other, text))
            }
        }
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(
        &self,
        request: &azure_core::http::Request,
    ) -> Result<AsyncRawResponse> {
        let answer = self.ask(request).await;
        let mut news = self.news();
        news.trouble = answer.as_ref().err().map(ToString::to_string);
        let refused = answer.as_ref().ok().filter(|answer| !answer.is_success());
        news.refusal = refused.map(|answer| (answer.status, answer.body.clone()));
        drop(news);
        answer.map(AsyncRawResponse::from)
    }
}

async fn in_clear(host: &str, port: u16, to: Option<SocketAddr>) -> io::Result<TcpStream> {
    let connecting = async {
        match to {
            Some(to) => TcpStream::connect(to).await,
            None => TcpStream::connect((host, port)).await,
        }
    };
    let connected = timeout(Duration::from_millis(IDENTITY_CONNECT_MS), connecting).await;
    connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn request(asked: &azure_core::http::Request) -> Result<Request<Full<Bytes>>> {
    let url = asked.url();
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let authority = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let mut request = Request::builder()
        .method(asked.method().as_ref())
        .uri(target)
        .header(header::HOST, authority);
    for (name, value) in asked.headers().iter() {
        let value = header::HeaderValue::from_str(value.as_str());
        let mut value = value.map_err(|_| unsendable())?;
        value.set_sensitive(true);
        request = request.header(name.as_str(), value);
    }
    let body = Full::new(asked.body().into());
    request.body(body).map_err(|_| unsendable())
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, host: &str) -> Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| {
        let text = format!("{host} does not answer: {error}");
        Error::with_message(ErrorKind::Io, text)
    };
    let mut client = http1::Builder::new();
    client.max_buf_size(MAX_VAULT_HEAD_BYTES);
    let (mut sender, connection) = client
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // It ends with its one request, or with the runtime.
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    read(response, host).await
}

async fn read(response: Response<Incoming>, host: &str) -> Result<Answer> {
    let (head, body) = response.into_parts();
    let mut headers = Headers::new();
    for (name, value) in &head.headers {
        if let Ok(value) = value.to_str() {
            let name = HeaderName::from(name.as_str().to_owned());
            headers.insert(name, HeaderValue::from(value.to_owned()));
        }
    }
    let body = Limited::new(body, MAX_VAULT_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| {
        let text = format!("the answer of {host} cannot be read: {error}");
        match error.is::<LengthLimitError>() {
            true => Error::with_message(ErrorKind::Other, text),
            false => Error::with_message(ErrorKind::Io, text),
        }
    })?;
    Ok(Answer {
        status: head.status.as_u16(),
        headers,
        body: body.to_bytes(),
    })
}

/// Nothing was sent: it may be tried again.
fn unreached(text: String) -> Error {
    Error::with_message(ErrorKind::Connection, text)
}

/// What cannot become better.
fn unsendable() -> Error {
    let text = "the request holds characters that HTTP does not allow";
    Error::with_message(ErrorKind::Other, text)
}
