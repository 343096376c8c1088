//! Problem documents (RFC 9457), all of which are made here. Each also has `message`, which callers of the original bridge read.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use drawspan_api_types::answers::Problem as Document;

/// Declares the kinds with their rows: status, last word of the type, title.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident: $status:ident, $slug:literal, $title:literal;)+) => {
        /// The kind of a problem, which determines status, type and title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            const fn row(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$name => (StatusCode::$status, $slug, $title),)+
                }
            }
        }
    };
}

kinds! {
    /// No API key, or a wrong one.
    Unauthorized: UNAUTHORIZED, "unauthorized", "API key missing or wrong";
    /// The API key does not allow this.
    Forbidden: FORBIDDEN, "forbidden", "Not allowed by the API key";
    /// The header `Host` is missing, there twice or malformed.
    InvalidHost: BAD_REQUEST, "invalid-host", "Invalid Host header";
    /// Requests for that host are not answered.
    HostRefused: FORBIDDEN, "host-refused", "Host refused";
    /// The body is not what the operation takes.
    InvalidBody: BAD_REQUEST, "invalid-body", "Invalid request body";
    /// The device id in the path is invalid.
    InvalidDeviceId: BAD_REQUEST, "invalid-device-id", "Invalid device id";
    /// Something else in the path is no text.
    InvalidPath: BAD_REQUEST, "invalid-path", "Invalid path";
    /// A parameter of the query is not what the operation takes.
    InvalidQuery: BAD_REQUEST, "invalid-query", "Invalid query parameter";
    /// The header `Idempotency-Key` is invalid.
    InvalidIdempotencyKey: BAD_REQUEST, "invalid-idempotency-key", "Invalid idempotency key";
    /// Another body came with the same key.
    IdempotencyMismatch: UNPROCESSABLE_ENTITY, "idempotency-mismatch", "Idempotency key used for another body";
    /// The body did not arrive in time.
    BodyTimeout: REQUEST_TIMEOUT, "body-timeout", "Request body too slow";
    /// The route does not exist.
    NotFound: NOT_FOUND, "not-found", "No such route";
    /// The device does not exist, or is not known.
    UnknownDevice: NOT_FOUND, "unknown-device", "Unknown device";
    /// The route exists, the method does not.
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed";
    /// The body is larger than the hub or this server takes.
    TooLarge: PAYLOAD_TOO_LARGE, "too-large", "Too large";
    /// Path and query are longer than those of any route.
    UriTooLong: URI_TOO_LONG, "uri-too-long", "Path and query too long";
    /// The body is not declared to be JSON.
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Body is not JSON";
    /// The hub has too much to do.
    Throttled: TOO_MANY_REQUESTS, "throttled", "Throttled";
    /// The device sends faster than each device may.
    DeviceRate: TOO_MANY_REQUESTS, "device-rate", "Above the device's rate";
    /// The device has sent as much today as each device may.
    DeviceDailyBlocks: TOO_MANY_REQUESTS, "device-daily-blocks", "Above the device's daily blocks";
    /// The hub answered, and said no.
    HubRefused: BAD_GATEWAY, "hub-refused", "The hub refused";
    /// The hub, or DPS, cannot be reached.
    HubUnreachable: SERVICE_UNAVAILABLE, "hub-unreachable", "The hub, or DPS, cannot be reached";
    /// Too much waits already.
    QueueFull: SERVICE_UNAVAILABLE, "queue-full", "Too many requests wait";
    /// No connection to the device's hub has room for it.
    ConnectionsFull: SERVICE_UNAVAILABLE, "connections-full", "Connections to the hub are full";
    /// Starting, or too busy.
    NotReady: SERVICE_UNAVAILABLE, "not-ready", "Not ready";
    /// On the way out.
    Stopping: SERVICE_UNAVAILABLE, "stopping", "Stopping";
    /// The deadline passed before the message was written.
    NotSent: SERVICE_UNAVAILABLE, "not-sent-in-time", "Not sent in time";
    /// The hub did not answer in time.
    FateUnknown: GATEWAY_TIMEOUT, "fate-unknown", "The hub did not answer in time";
    /// Too many connections are open.
    TooManyConnections: SERVICE_UNAVAILABLE, "too-many-connections", "Too many connections";
    /// Too many follow a stream.
    TooManyListeners: SERVICE_UNAVAILABLE, "too-many-listeners", "Too many listeners";
    /// Events may not be sent there.
    CallbackRefused: BAD_REQUEST, "callback-refused", "Callback URL refused";
    /// The subscription does not exist.
    NoSubscription: NOT_FOUND, "no-subscription", "No such subscription";
    /// The device's messages go elsewhere.
    Subscribed: CONFLICT, "subscribed", "The device has a subscription";
    /// The message is not held any more.
    LockLost: GONE, "lock-lost", "Message not held any more";
    /// The dead letter does not exist.
    NoDeadLetter: NOT_FOUND, "no-dead-letter", "No such dead letter";
    /// A change that must survive could not be written.
    NotStored: SERVICE_UNAVAILABLE, "not-stored", "Not stored";
    /// Stored data cannot be read.
    NotRead: SERVICE_UNAVAILABLE, "not-read", "Stored data cannot be read";
}

impl Kind {
    /// The last word of the problem's type, after `urn:drawspan:problem:`.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        self.row().1
    }

    /// The problem in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.row().0
    }

    /// Whether its answers say when to try again, as far as that is known.
    #[must_use]
    pub const fn says_when(self) -> bool {
        matches!(
            self,
            Self::Throttled
                | Self::DeviceRate
                | Self::DeviceDailyBlocks
                | Self::HubRefused
                | Self::HubUnreachable
                | Self::QueueFull
                | Self::ConnectionsFull
                | Self::NotReady
                | Self::Stopping
                | Self::NotSent
                | Self::FateUnknown
                | Self::TooManyConnections
                | Self::TooManyListeners
                | Self::NotStored
        )
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
    /// Several things that are wrong: a code for each, and one line.
    several: Vec<(&'static str, String)>,
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
            several: Vec::new(),
        }
    }

    /// Appends a sentence to the detail, which may or may not end with a full stop: hubs do either.
    #[must_use]
    pub fn add_sentence(mut self, more: &str) -> Self {
        let detail = self.detail.to_mut();
        detail.push_str(if detail.ends_with('.') { " " } else { ". " });
        detail.push_str(more);
        self
    }

    /// Adds several things that are wrong: the code by which programs know each, and one line.
    #[must_use]
    pub fn with_problems(mut self, several: Vec<(&'static str, String)>) -> Self {
        self.several = several;
        self
    }

    /// Prefixes the detail with the part of the request that it concerns.
    #[must_use]
    pub fn about(mut self, part: &str) -> Self {
        self.detail = format!("{part}: {}", self.detail).into();
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

    /// The kind of the problem.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The value of `Retry-After`, in seconds.
    #[must_use]
    pub fn wait_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> Document<'_> {
        let (status, slug, title) = self.kind.row();
        Document {
            r#type: format!("urn:drawspan:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            message: &self.detail,
            code: self.code,
            tracking_id: self.tracking_id.as_deref(),
            problems: self.several.iter().map(|(_, line)| &**line).collect(),
            codes: self.several.iter().map(|(code, _)| *code).collect(),
        }
    }

    /// The document, as it is sent.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers only: this cannot fail, and an empty body is still an honest status.
        serde_json::to_vec(&self.document()).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
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
                HeaderValue::from_static("ApiKey header=\"x-api-key\", Bearer"),
            );
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the table in a document with the problems: status and last word of the type, of which a row may have several.
    fn check(document: &str, head: &str) {
        let (_, table) = document.split_once(head).unwrap();
        let rows = table.lines().skip(2).map_while(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
        });
        let kinds = rows.flat_map(|(status, words)| {
            let words: Vec<_> = words.split(", ").map(str::to_owned).collect();
            words.into_iter().map(move |word| (status.clone(), word))
        });
        let mut documented: Vec<_> = kinds.collect();
        let told = |kind: &Kind| {
            (
                kind.status().as_str().to_owned(),
                format!("`{}`", kind.slug()),
            )
        };
        let mut known: Vec<_> = Kind::ALL.iter().map(told).collect();
        documented.sort();
        known.sort();
        assert_eq!(documented, known);
    }

    #[test]
    fn every_kind_is_documented_for_callers() {
        let document = include_str!("../../../docs/api.md");
        check(document, "| status | type:");
    }

    #[test]
    fn every_kind_is_documented_for_operators() {
        let document = include_str!("../../../docs/operate.md");
        check(document, "| status | type | meaning |");
    }
}
