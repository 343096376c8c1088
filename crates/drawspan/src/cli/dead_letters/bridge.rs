//! The bridge, over one HTTP connection that is kept.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use drawspan_net::{Connector, client_config};
use drawspan_settings::limits::MAX_SECRET_FILE_BYTES;
use drawspan_settings::{API_KEY_HEADER, Mistakes, read_authorities, read_text};
use http::header::{HOST, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::limits::{DEAD_LETTER_CALL_S, MAX_DEAD_LETTER_PAGE_BYTES, MAX_DEAD_LETTER_PAUSE_S};

type Body = Empty<Bytes>;

/// Where the bridge is, and the key to it.
pub(super) struct Target {
    host: String,
    port: u16,
    authority: HeaderValue,
    base_path: String,
    api_key: Option<HeaderValue>,
    /// For https.
    connector: Option<Connector>,
}

/// A bridge to ask.
pub(super) struct Bridge {
    target: Target,
    open: Option<SendRequest<Body>>,
}

/// Why something was not done.
#[derive(Debug, Error)]
pub(super) enum NotDone {
    /// Nobody answers.
    #[error("{0}")]
    NoBridge(String),
    /// It is not there, or not there any more.
    #[error("{0}")]
    Gone(String),
    /// Too much to do.
    #[error("{detail}")]
    Later {
        /// When to try again.
        seconds: u64,
        /// In the bridge's words.
        detail: String,
    },
    /// The bridge says no.
    #[error("{0}")]
    Refused(String),
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Target {
    pub(super) fn new(
        mistakes: &mut Mistakes,
        url: &str,
        api_key: Option<&str>,
        api_key_file: Option<&Path>,
        ca: Option<&Path>,
    ) -> Option<Self> {
        let api_key = key(mistakes, api_key, api_key_file);
        let (host, port, authority, base_path, is_https) = mistakes.keep("--url", parse(url))?;
        let connector = match is_https {
            true => Some(connector(mistakes, ca)?),
            false => None,
        };
        Some(Self {
            host,
            port,
            authority,
            base_path,
            api_key,
            connector,
        })
    }
}

type Place = (String, u16, HeaderValue, String, bool);

fn parse(url: &str) -> Result<Place, String> {
    let wrong = || format!("`{url}` is not http(s)://HOST[:PORT][/PATH]");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let (is_https, port) = match uri.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => return Err(wrong()),
    };
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(wrong());
    }
    let value = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?;
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let base_path = uri.path().trim_end_matches('/').to_owned();
    let port = authority.port_u16().unwrap_or(port);
    Ok((host, port, value, base_path, is_https))
}

/// The key that is given, or the first line of the file that is.
fn key(mistakes: &mut Mistakes, given: Option<&str>, file: Option<&Path>) -> Option<HeaderValue> {
    let (source, text) = match (given, file) {
        (Some(key), _) => ("--api-key", key.to_owned()),
        (None, Some(file)) => {
            let source = "--api-key-file";
            let text = mistakes.keep(source, read_text(file, MAX_SECRET_FILE_BYTES))?;
            (
                source,
                text.lines().next().unwrap_or_default().trim().to_owned(),
            )
        }
        (None, None) => return None,
    };
    let key = HeaderValue::from_str(&text).map_err(|_| "cannot be sent in a header");
    mistakes.keep(source, key)
}

fn connector(mistakes: &mut Mistakes, ca: Option<&Path>) -> Option<Connector> {
    let authorities = match ca {
        Some(file) => mistakes.keep("--ca", read_authorities(file))?,
        None => Vec::new(),
    };
    let tls = mistakes.keep("--ca", client_config(authorities))?;
    Some(Connector::new(tls, Vec::new()))
}

impl Bridge {
    pub(super) const fn new(target: Target) -> Self {
        Self { target, open: None }
    }

    /// The body of a good answer.
    pub(super) async fn ask(&mut self, method: &Method, path: &str) -> Result<Bytes, NotDone> {
        let call = Duration::from_secs(DEAD_LETTER_CALL_S);
        match timeout(call, self.exchange(method, path)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable("no answer in time")),
        }
    }

    async fn exchange(&mut self, method: &Method, path: &str) -> Result<Bytes, NotDone> {
        let request = self.request(method, path)?;
        let mut sender = match self.kept().await {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let response = sender.send_request(request).await;
        let response = response.map_err(|error| self.unreachable(error))?;
        let (status, wait) = (response.status(), wait_s(&response));
        let body = Limited::new(response.into_body(), MAX_DEAD_LETTER_PAGE_BYTES)
            .collect()
            .await
            .map_err(|error| self.unreachable(error))?
            .to_bytes();
        self.open = Some(sender);
        if status.is_success() {
            return Ok(body);
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let detail = problem.map_or_else(|| format!("HTTP status {status}"), |it| it.detail);
        Err(match (status.as_u16(), wait) {
            (404, _) => NotDone::Gone(detail),
            (429 | 503, Some(seconds)) => NotDone::Later { seconds, detail },
            _ => NotDone::Refused(detail),
        })
    }

    /// The connection, if the bridge has not closed it.
    async fn kept(&mut self) -> Option<SendRequest<Body>> {
        let mut sender = self.open.take()?;
        sender.ready().await.ok().map(|()| sender)
    }

    fn request(&self, method: &Method, path: &str) -> Result<Request<Body>, NotDone> {
        let target = &self.target;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", target.base_path))
            .header(HOST, target.authority.clone());
        if let Some(key) = &target.api_key {
            request = request.header(API_KEY_HEADER, key.clone());
        }
        let request = request.body(Body::new());
        request.map_err(|error| NotDone::Refused(error.to_string()))
    }

    async fn connect(&self) -> Result<SendRequest<Body>, NotDone> {
        let Target { host, port, .. } = &self.target;
        match &self.target.connector {
            Some(connector) => {
                let stream = connector.connect(host, *port).await;
                let stream = stream.map_err(|error| NotDone::NoBridge(error.to_string()))?;
                self.begin(TokioIo::new(stream)).await
            }
            None => {
                let stream = TcpStream::connect((host.as_str(), *port)).await;
                let stream = stream.map_err(|error| self.unreachable(error))?;
                self.begin(TokioIo::new(stream)).await
            }
        }
    }

    async fn begin(
        &self,
        stream: impl Read + Write + Unpin + Send + 'static,
    ) -> Result<SendRequest<Body>, NotDone> {
        let opened = http1::handshake(stream).await;
        let (sender, connection) = opened.map_err(|error| self.unreachable(error))?;
        // How it ends is seen by its requests.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn unreachable(&self, why: impl std::fmt::Display) -> NotDone {
        let place = self.target.authority.to_str().unwrap_or_default();
        NotDone::NoBridge(format!("the bridge at {place} does not answer: {why}"))
    }
}

fn wait_s(response: &Response<Incoming>) -> Option<u64> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    Some(seconds.parse::<u64>().ok()?.min(MAX_DEAD_LETTER_PAUSE_S))
}
