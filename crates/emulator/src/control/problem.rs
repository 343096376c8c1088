//! What cannot be done: a problem document (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use drawspan_emulator_hub::hub::ChangeError;
use drawspan_emulator_hub::refusals::Door;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::https::Reason;

/// Why a request to the control API is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Problem {
    /// The HTTP status.
    pub(super) status: u16,
    /// The kind of problem, the same text each time.
    pub(super) title: String,
    /// What happened, and what to do.
    pub(super) detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            detail: detail.into(),
        }
    }

    /// The request makes no sense.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What it names is not there.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// It cannot be done as things are.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        tracing::error!(%error, "a request to the control API failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<drawspan_emulator_hub::random::NoRandomness> for Problem {
    fn from(error: drawspan_emulator_hub::random::NoRandomness) -> Self {
        ChangeError::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = HeaderValue::from_static("application/problem+json");
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        response.extensions_mut().insert(Reason {
            door: Door::Rest,
            code: u32::from(self.status),
            text: self.detail,
        });
        response
    }
}
