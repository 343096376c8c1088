//! The one place that makes problem documents (RFC 9457). Each also has `message`, which the callers of the original bridge read.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use serde::Serialize;

/// What kind of trouble: decides status, type and title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No API key, or a wrong one.
    Unauthorized,
    /// The API key does not allow this.
    Forbidden,
    /// The body is not what the operation takes.
    InvalidBody,
    /// The device id in the path is none.
    InvalidDeviceId,
    /// The body did not arrive in time.
    BodyTimeout,
    /// There is no such route.
    NotFound,
    /// There is no such device, or nothing is known of it.
    UnknownDevice,
    /// The route exists, the method does not.
    MethodNotAllowed,
    /// The body is larger than the hub or this server takes.
    TooLarge,
    /// The path is longer than any route.
    UriTooLong,
    /// The body is not declared to be JSON.
    UnsupportedMediaType,
    /// The hub has too much to do.
    Throttled,
    /// The hub answered, and said no.
    HubRefused,
    /// The hub, or DPS, cannot be reached.
    HubUnreachable,
    /// Too many messages wait already.
    QueueFull,
    /// Starting, or too busy.
    NotReady,
    /// On the way out.
    Stopping,
    /// The deadline passed before the message was written.
    NotSentInTime,
    /// The hub did not answer in time.
    FateUnknown,
    /// Too many connections are open.
    TooManyConnections,
    /// Events may not be sent there.
    CallbackRefused,
    /// There is no such subscription.
    NoSubscription,
    /// The device's messages go elsewhere.
    Subscribed,
    /// The message is not held any more.
    LockLost,
    /// There is no such dead letter.
    NoDeadLetter,
    /// What must survive could not be written.
    NotStored,
}

impl Kind {
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unauthorized => (S::UNAUTHORIZED, "unauthorized", "API key missing or wrong"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Not allowed by the API key"),
            Self::InvalidBody => (S::BAD_REQUEST, "invalid-body", "Invalid request body"),
            Self::InvalidDeviceId => (S::BAD_REQUEST, "invalid-device-id", "Invalid device id"),
            Self::BodyTimeout => (S::REQUEST_TIMEOUT, "body-timeout", "Request body too slow"),
            Self::NotFound => (S::NOT_FOUND, "not-found", "No such route"),
            Self::UnknownDevice => (S::NOT_FOUND, "unknown-device", "Unknown device"),
            Self::MethodNotAllowed => (
                S::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too-large", "Too large"),
            Self::UriTooLong => (S::URI_TOO_LONG, "uri-too-long", "Path too long"),
            Self::UnsupportedMediaType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Body is not JSON",
            ),
            Self::Throttled => (S::TOO_MANY_REQUESTS, "throttled", "Throttled"),
            Self::HubRefused => (S::BAD_GATEWAY, "hub-refused", "The hub refused"),
            Self::HubUnreachable => (
                S::SERVICE_UNAVAILABLE,
                "hub-unreachable",
                "The hub, or DPS, cannot be reached",
            ),
            Self::QueueFull => (
                S::SERVICE_UNAVAILABLE,
                "queue-full",
                "Too many requests wait",
            ),
            Self::NotReady => (S::SERVICE_UNAVAILABLE, "not-ready", "Not ready"),
            Self::Stopping => (S::SERVICE_UNAVAILABLE, "stopping", "Stopping"),
            Self::NotSentInTime => (
                S::SERVICE_UNAVAILABLE,
                "not-sent-in-time",
                "Not sent in time",
            ),
            Self::FateUnknown => (
                S::GATEWAY_TIMEOUT,
                "fate-unknown",
                "The hub did not answer in time",
            ),
            Self::TooManyConnections => (
                S::SERVICE_UNAVAILABLE,
                "too-many-connections",
                "Too many connections",
            ),
            Self::CallbackRefused => (S::BAD_REQUEST, "callback-refused", "Callback URL refused"),
            Self::NoSubscription => (S::NOT_FOUND, "no-subscription", "No such subscription"),
            Self::Subscribed => (S::CONFLICT, "subscribed", "The device has a subscription"),
            Self::LockLost => (S::GONE, "lock-lost", "Message not held any more"),
            Self::NoDeadLetter => (S::NOT_FOUND, "no-dead-letter", "No such dead letter"),
            Self::NotStored => (S::SERVICE_UNAVAILABLE, "not-stored", "Not stored"),
        }
    }
}

/// A failure as the caller sees it. Holds no key, token or payload of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    code: Option<u32>,
    tracking_id: Option<String>,
    retry_after_s: Option<u64>,
    problems: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [String],
}

impl Problem {
    /// A problem; `detail` says what happened and what to do.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            code: None,
            tracking_id: None,
            retry_after_s: None,
            problems: Vec::new(),
        }
    }

    /// Adds several things that are wrong, each one line.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<String>) -> Self {
        self.problems = problems;
        self
    }

    /// Adds the hub's own error code, e.g. 401003, and the id by which its operators find the case.
    #[must_use]
    pub fn from_hub(mut self, code: Option<u32>, tracking_id: Option<String>) -> Self {
        self.code = code;
        self.tracking_id = tracking_id;
        self
    }

    /// Adds `Retry-After`, in seconds; never less than one.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.row().0
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let (status, slug, title) = self.kind.row();
        let document = Document {
            r#type: format!("urn:drawspan:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            message: &self.detail,
            code: self.code,
            tracking_id: self.tracking_id.as_deref(),
            problems: &self.problems,
        };
        // Strings and numbers only: this cannot fail, and an empty body is still an honest status.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// The response.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::Unauthorized {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("ApiKey header=\"x-api-key\""),
            );
        }
        response
    }
}
