//! HTTP for Azure's clients: over our TLS, proxy included, bounded, and nowhere in clear but where a machine gets its identity.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, HttpClient, Url};
use azure_core::{Bytes, Error, Result};
use drawspan_net::{Connector, HttpBounds, HttpChannel, HttpError, client_config};
use http::{Request, Response, header};

use super::super::outbound::Way;
use crate::limits::{IDENTITY_CONNECT_MS, MAX_VAULT_ANSWER_BYTES, VAULT_TIMEOUT_MS};

/// Of each request, which has a connection of its own: there are a handful.
const BOUNDS: HttpBounds = HttpBounds {
    connections: 1,
    time: Duration::from_millis(VAULT_TIMEOUT_MS),
    answer_bytes: MAX_VAULT_ANSWER_BYTES,
};

/// Carries requests of Azure's clients.
#[derive(Debug)]
pub(super) struct Wire {
    connector: Connector,
    /// What may be asked in clear.
    clear: Option<Url>,
    news: Mutex<News>,
}

/// For who must say why there is no answer.
#[derive(Debug, Default)]
struct News {
    host: String,
    trouble: Option<String>,
    refusal: Option<(u16, Bytes)>,
}

impl Wire {
    /// `clear` is what may be asked in clear.
    ///
    /// # Errors
    /// Nobody can be trusted.
    pub(super) fn new(way: &Way, clear: Option<&Url>) -> std::result::Result<Self, String> {
        let tls = client_config(way.authorities.clone()).map_err(|error| error.to_string())?;
        let connector = Connector::new(tls, way.routes.clone());
        Ok(Self {
            connector: match &way.proxy {
                Some(proxy) => connector.with_proxy(proxy.clone()),
                None => connector,
            },
            clear: clear.cloned(),
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

    async fn ask(&self, asked: &azure_core::http::Request) -> Result<Response<Bytes>> {
        let request = request(asked)?;
        let url = asked.url();
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        *self.news() = News {
            host: host.to_owned(),
            ..News::default()
        };
        let channel = match &self.clear {
            _ if url.scheme() == "https" => HttpChannel::Tls(self.connector.clone()),
            Some(clear) if clear.origin() == url.origin() => HttpChannel::Clear {
                to: self.connector.route(host, port),
                within: Duration::from_millis(IDENTITY_CONNECT_MS),
            },
            _ => {
                let text = format!("{host} would be asked in clear");
                return Err(Error::with_message(ErrorKind::Other, text));
            }
        };
        let client = drawspan_net::HttpClient::new(host, port, channel, BOUNDS);
        let answer = client.send(request, false).await;
        answer.map_err(|error| failed(host, &error))
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
        let refused = answer
            .as_ref()
            .ok()
            .filter(|answer| !answer.status().is_success());
        news.refusal = refused.map(|answer| (answer.status().as_u16(), answer.body().clone()));
        drop(news);
        answer.map(read)
    }
}

fn request(asked: &azure_core::http::Request) -> Result<Request<Bytes>> {
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
    let body = Bytes::from(asked.body());
    request.body(body).map_err(|_| unsendable())
}

fn read(answer: Response<Bytes>) -> AsyncRawResponse {
    let (head, body) = answer.into_parts();
    let mut headers = Headers::new();
    for (name, value) in &head.headers {
        if let Ok(value) = value.to_str() {
            let name = HeaderName::from(name.as_str().to_owned());
            headers.insert(name, HeaderValue::from(value.to_owned()));
        }
    }
    AsyncRawResponse::from_bytes(head.status.as_u16().into(), headers, body)
}

/// The kind says whether it may be tried again.
fn failed(host: &str, error: &HttpError) -> Error {
    let (kind, text) = match error {
        HttpError::Connect(error) => (ErrorKind::Connection, error.to_string()),
        HttpError::Body(_) => {
            let kind = match error.is_too_large() {
                true => ErrorKind::Other,
                false => ErrorKind::Io,
            };
            (
                kind,
                format!("the answer of {host} cannot be read: {error}"),
            )
        }
        HttpError::Broken(_) | HttpError::TimedOut(_) => {
            (ErrorKind::Io, format!("{host} does not answer: {error}"))
        }
    };
    Error::with_message(kind, text)
}

/// What cannot become better.
fn unsendable() -> Error {
    let text = "the request holds characters that HTTP does not allow";
    Error::with_message(ErrorKind::Other, text)
}
