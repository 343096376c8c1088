//! One HTTPS request to DPS or to a hub, and its answer.

use std::time::Duration;

use bytes::Bytes;
use drawspan_hub::{Failure, FailureKind, HostName};
use drawspan_net::{Connector, HttpBounds, HttpChannel, HttpClient, HttpError};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response};

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
    /// `None` for who proves itself by a certificate.
    pub(crate) token: Option<String>,
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
    host: HostName,
    client: HttpClient,
}

impl Exchange {
    /// With at most `connections` in use at once, and `time_ms` for a request, connecting included.
    pub(crate) fn new(
        connector: Connector,
        host: HostName,
        connections: usize,
        time_ms: u64,
        answer_bytes: usize,
    ) -> Self {
        let bounds = HttpBounds {
            connections,
            time: Duration::from_millis(time_ms),
            answer_bytes,
        };
        let channel = HttpChannel::Tls(connector);
        let client = HttpClient::new(host.as_str(), limits::HTTPS_PORT, channel, bounds);
        Self { host, client }
    }

    /// Waits for a connection, asks, and gives the connection back.
    pub(crate) async fn ask(&self, ask: &Ask) -> Result<Reply, Failure> {
        self.ask_with(ask, HeaderMap::new()).await
    }

    /// The same with further headers.
    pub(crate) async fn ask_with(&self, ask: &Ask, headers: HeaderMap) -> Result<Reply, Failure> {
        let mut request = self.request(ask)?;
        request.headers_mut().extend(headers);
        let answer = self.client.send(request, ask.repeatable).await;
        answer
            .map(Reply::read)
            .map_err(|error| self.unreachable(&error))
    }

    fn request(&self, ask: &Ask) -> Result<Request<Bytes>, Failure> {
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(&ask.path)
            .header(header::HOST, self.host.as_str())
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::ACCEPT, "application/json");
        if let Some(token) = &ask.token {
            let mut token = HeaderValue::from_str(token)
                .map_err(|_| invalid("the token holds characters that HTTP does not allow"))?;
            token.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, token);
        }
        if !ask.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        }
        request
            .body(ask.body.clone())
            .map_err(|error| invalid(&error.to_string()))
    }

    fn unreachable(&self, error: &HttpError) -> Failure {
        let host = &self.host;
        if error.is_certificate_refused() {
            let text = format!("{host} does not take the certificate: {error}");
            return Failure::local(FailureKind::Unauthorized, &text);
        }
        let text = match error {
            HttpError::Connect(error) => error.to_string(),
            HttpError::Body(error) => {
                format!("{host} cannot be asked: its answer broke off: {error}")
            }
            HttpError::Broken(_) | HttpError::TimedOut(_) => {
                format!("{host} cannot be asked: {error}")
            }
        };
        Failure::local(FailureKind::HubUnreachable, &text)
    }
}

impl Reply {
    fn read(answer: Response<Bytes>) -> Self {
        let (head, body) = answer.into_parts();
        let text = |name: &str| head.headers.get(name)?.to_str().ok();
        let code = ERROR_CODES.iter().find_map(|name| text(name));
        Self {
            status: head.status.as_u16(),
            error_code: code.map(str::to_owned),
            retry_after_s: text("retry-after").and_then(|text| text.trim().parse().ok()),
            continuation: text(CONTINUATION).map(str::to_owned),
            skew: text("date").and_then(Skew::by_date),
            body,
        }
    }
}

fn invalid(text: &str) -> Failure {
    Failure::local(FailureKind::InvalidRequest, text)
}
