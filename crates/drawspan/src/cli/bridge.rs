//! The bridge that a command asks, over one HTTP connection that is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use drawspan_net::{
    ConnectError, Connector, HttpBounds, HttpChannel, HttpClient, HttpError, HttpStream,
    client_config,
};
use drawspan_settings::limits::MAX_SECRET_FILE_BYTES;
use drawspan_settings::{API_KEY_HEADER, Mistakes, read_authorities, read_text};
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::response::Parts;
use http::{Method, Request, Uri};
use serde::Deserialize;
use thiserror::Error;

use crate::limits::{DEAD_LETTER_CALL_S, MAX_DEAD_LETTER_PAGE_BYTES, MAX_DEAD_LETTER_PAUSE_S};

const BOUNDS: HttpBounds = HttpBounds {
    connections: 1,
    time: Duration::from_secs(DEAD_LETTER_CALL_S),
    answer_bytes: MAX_DEAD_LETTER_PAGE_BYTES,
};

#[derive(Args)]
pub(super) struct BridgeArgs {
    /// URL of the bridge
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5001")]
    url: String,
    /// Key for the header x-api-key
    #[arg(
        long,
        value_name = "KEY",
        env = "DRAWSPAN_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// File that holds the key
    #[arg(long, value_name = "FILE", conflicts_with = "api_key")]
    api_key_file: Option<PathBuf>,
    /// PEM file of the authority that signed the bridge's certificate [default: those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[cfg(test)]
impl BridgeArgs {
    /// With this URL and key.
    pub(super) fn of(url: &str, key: Option<&str>) -> Self {
        Self {
            url: url.to_owned(),
            api_key: key.map(str::to_owned),
            api_key_file: None,
            ca: None,
        }
    }
}

/// A bridge to ask: where it is, and the key to it.
pub(super) struct Bridge {
    authority: HeaderValue,
    base_path: String,
    api_key: Option<HeaderValue>,
    is_https: bool,
    client: HttpClient,
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

impl Bridge {
    pub(super) fn new(mistakes: &mut Mistakes, args: &BridgeArgs) -> Option<Self> {
        let api_key = key(
            mistakes,
            args.api_key.as_deref(),
            args.api_key_file.as_deref(),
        );
        let parsed = mistakes.keep("--url", parse(&args.url));
        let (host, port, authority, base_path, is_https) = parsed?;
        let channel = match is_https {
            true => HttpChannel::Tls(connector(mistakes, args.ca.as_deref())?),
            // The time of a request is enough of a limit.
            false => HttpChannel::Clear {
                to: None,
                within: Duration::MAX,
            },
        };
        Some(Self {
            authority,
            base_path,
            api_key,
            is_https,
            client: HttpClient::new(&host, port, channel, BOUNDS),
        })
    }

    /// The body of a good answer.
    pub(super) async fn ask(&self, method: &Method, path: &str) -> Result<Bytes, NotDone> {
        let request = self.request(method, path, &[])?;
        let answer = self.client.send(request, false).await;
        let (head, body) = answer.map_err(|error| self.no_answer(&error))?.into_parts();
        match head.status.is_success() {
            true => Ok(body),
            false => Err(refused(&head, &body)),
        }
    }

    /// A good answer that is read as it comes, to a request with these headers.
    pub(super) async fn follow(
        &self,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<HttpStream, NotDone> {
        let request = self.request(&Method::GET, path, headers)?;
        let answer = self.client.stream(request).await;
        let answer = answer.map_err(|error| self.no_answer(&error))?;
        let (head, body) = answer.into_parts();
        if head.status.is_success() {
            return Ok(body);
        }
        let body = body.rest(MAX_DEAD_LETTER_PAGE_BYTES).await;
        Err(refused(&head, &body.unwrap_or_default()))
    }

    /// Where it is.
    pub(super) fn place(&self) -> &str {
        self.authority.to_str().unwrap_or_default()
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Request<Bytes>, NotDone> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base_path))
            .header(HOST, &self.authority);
        if let Some(key) = &self.api_key {
            request = request.header(API_KEY_HEADER, key);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Bytes::new());
        request.map_err(|error| NotDone::Refused(error.to_string()))
    }

    fn no_answer(&self, error: &HttpError) -> NotDone {
        let why = match error {
            // In clear.
            HttpError::Connect(ConnectError::Tcp { source, .. }) if !self.is_https => {
                source.to_string()
            }
            HttpError::Connect(error) => return NotDone::NoBridge(error.to_string()),
            HttpError::TimedOut(_) => "no answer in time".to_owned(),
            HttpError::Broken(_) | HttpError::Body(_) => error.to_string(),
        };
        let place = self.place();
        NotDone::NoBridge(format!("the bridge at {place} does not answer: {why}"))
    }
}

/// What a bad answer means.
fn refused(head: &Parts, body: &[u8]) -> NotDone {
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let detail = problem.map_or_else(|| format!("HTTP status {}", head.status), |it| it.detail);
    match (head.status.as_u16(), wait_s(&head.headers)) {
        (404, _) => NotDone::Gone(detail),
        (429 | 503, Some(seconds)) => NotDone::Later { seconds, detail },
        _ => NotDone::Refused(detail),
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

fn wait_s(headers: &HeaderMap) -> Option<u64> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?;
    Some(seconds.parse::<u64>().ok()?.min(MAX_DEAD_LETTER_PAUSE_S))
}
