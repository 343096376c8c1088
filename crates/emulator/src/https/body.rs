//! JSON bodies, bounded in size and time.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use drawspan_hub::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use crate::limits::{REQUEST_BODY_BYTES, REQUEST_READ_MS};

/// Reads a JSON body.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let whole = axum::body::to_bytes(body, REQUEST_BODY_BYTES);
    let bytes = tokio::time::timeout(Duration::from_millis(REQUEST_READ_MS), whole)
        .await
        .map_err(|_| {
            Refusal::new(
                ErrorCode::REQUEST_TIMED_OUT,
                "The body did not arrive in time",
            )
        })?
        .map_err(unreadable)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Refusal::new(
            ErrorCode::FORMAT_ERROR,
            format!("The body is not what is expected: {error}"),
        )
    })
}

/// Writes a JSON body.
pub(super) fn write<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let content_type = HeaderValue::from_static("application/json; charset=utf-8");
            (status, [(header::CONTENT_TYPE, content_type)], bytes).into_response()
        }
        Err(error) => Refusal::new(ErrorCode::SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn unreadable(error: axum::Error) -> Refusal {
    let cause = error.into_inner();
    if cause.is::<http_body_util::LengthLimitError>() {
        let message = format!("The body has more than {REQUEST_BODY_BYTES} bytes");
        return Refusal::new(ErrorCode::MESSAGE_TOO_LARGE, message);
    }
    Refusal::new(
        ErrorCode::GENERIC_BAD_REQUEST,
        format!("The body cannot be read: {cause}"),
    )
}
