//! Refusals as the hub words them: a code's name in a header, and again in the body.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use drawspan_hub::error_body::HubError;
use drawspan_hub::{ErrorCode, UtcTime};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::hub::ChangeError;
use crate::model::access::Denied;
use crate::model::registry::RegistryError;
use crate::{clock, random};

/// The header that carries the code's name.
pub(super) const ERROR_CODE_HEADER: &str = "iothub-errorcode";

const TRACKING_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[month]/[day]/[year] [hour]:[minute]:[second]");

/// A request that is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ErrorCode,
    status: u16,
    message: String,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            status: code.http_status(),
            message: message.into(),
        }
    }

    /// The hub has no name for it.
    pub(super) fn wrong_method() -> Self {
        let message = "The resource does not support this method".to_owned();
        Self {
            code: ErrorCode::INVALID_OPERATION,
            status: StatusCode::METHOD_NOT_ALLOWED.as_u16(),
            message,
        }
    }

    /// Something that the emulator will do one day.
    pub(super) fn not_yet(message: &str) -> Self {
        let status = StatusCode::NOT_IMPLEMENTED.as_u16();
        Self {
            code: ErrorCode::INVALID_OPERATION,
            status,
            message: message.to_owned(),
        }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::new(denied.code(), denied.to_string())
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        tracing::error!(%error, "a registry request failed");
        Self::new(ErrorCode::SERVER_ERROR, error.to_string())
    }
}

impl From<random::NoRandomness> for Refusal {
    fn from(error: random::NoRandomness) -> Self {
        ChangeError::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let now = clock::unix_ms() as i64;
        let error = HubError {
            code: self.code,
            tracking_id: &tracking_id(now),
            message: &self.message,
            timestamp_utc: UtcTime::from_unix_ms(now),
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        let mut response = (status, [content_type], error.to_http_body()).into_response();
        if let Ok(name) = HeaderValue::from_str(&error.header()) {
            response.headers_mut().insert(ERROR_CODE_HEADER, name);
        }
        response
    }
}

/// `0123…-G:0-TimeStamp:11/22/2026 10:20:30`, as the hub's support asks for it.
pub(crate) fn tracking_id(now_unix_ms: i64) -> String {
    let id = random::hex().unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp(now_unix_ms / 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let time = time.format(TRACKING_TIME).unwrap_or_default();
    format!("{id}-G:0-TimeStamp:{time}")
}
