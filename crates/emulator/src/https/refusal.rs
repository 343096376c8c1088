//! Refusals as the hub words them: a code's name in a header, and again in the body.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use drawspan_emulator_hub::clock::system_unix_ms;
use drawspan_emulator_hub::hub::ChangeError;
use drawspan_emulator_hub::json_place::place_in_body;
use drawspan_emulator_hub::random;
use drawspan_emulator_hub::refusals::Door;
use drawspan_emulator_hub::tracking_id::tracking_id;
use drawspan_hub::error_body::HubError;
use drawspan_hub::{ErrorCode, UtcTime};
use drawspan_hub_model::access::Denied;
use drawspan_hub_model::registry::RegistryError;
use drawspan_hub_model::x509::AuthorityError;
use serde_json::Value;

use super::refused::Reason;

/// The header that carries the code's name.
pub(super) const ERROR_CODE_HEADER: &str = "iothub-errorcode";

/// A request that is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ErrorCode,
    status: u16,
    message: String,
    /// What a refused method call says besides; it has a body of a form of its own.
    info: Option<Value>,
    /// When to come again, in seconds.
    retry_after_s: Option<u32>,
    /// The text for the log instead of the message, which may quote a body.
    logged: Option<String>,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            status: code.http_status(),
            message: message.into(),
            info: None,
            retry_after_s: None,
            logged: None,
        }
    }

    /// A refused method call, which has a body of a form of its own.
    pub(super) fn with_info(self, info: Value) -> Self {
        Self {
            info: Some(info),
            ..self
        }
    }

    /// The hub's code.
    pub(super) const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The same with `Retry-After`.
    pub(super) fn with_wait(self, seconds: u32) -> Self {
        Self {
            retry_after_s: Some(seconds),
            ..self
        }
    }

    /// A body that is not what is expected. The error quotes it, which is for its sender alone.
    pub(super) fn unexpected_body(error: &serde_json::Error) -> Self {
        Self {
            logged: Some(place_in_body(error)),
            ..Self::new(
                ErrorCode::FORMAT_ERROR,
                format!("The body is not what is expected: {error}"),
            )
        }
    }

    /// The hub has no name for it.
    pub(super) fn wrong_method() -> Self {
        let message = "The resource does not support this method";
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED.as_u16(),
            ..Self::new(ErrorCode::INVALID_OPERATION, message)
        }
    }

    /// Something that the emulator will do one day.
    pub(super) fn not_yet(message: &str) -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED.as_u16(),
            ..Self::new(ErrorCode::INVALID_OPERATION, message)
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

impl From<AuthorityError> for Refusal {
    fn from(error: AuthorityError) -> Self {
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
        let now = system_unix_ms() as i64;
        let error = HubError {
            code: self.code,
            tracking_id: &tracking_id(now),
            message: &self.message,
            timestamp_utc: UtcTime::from_unix_ms(now),
        };
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = match self.info {
            Some(info) => error.to_method_body(info),
            None => error.to_http_body(),
        };
        let content_type = (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        let mut response = (status, [content_type], body).into_response();
        if let Ok(name) = HeaderValue::from_str(&error.header()) {
            response.headers_mut().insert(ERROR_CODE_HEADER, name);
        }
        if let Some(seconds) = self.retry_after_s {
            let value = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response.extensions_mut().insert(Reason {
            door: Door::Rest,
            code: self.code.number(),
            text: self.logged.unwrap_or(self.message),
        });
        response
    }
}
