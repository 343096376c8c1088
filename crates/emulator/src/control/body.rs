//! JSON in and out.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::https::body::whole;
use crate::limits::{CONTROL_BODY_BYTES, REQUEST_READ_MS};

/// A JSON body: of a request, which must say that it is one, or of an answer.
///
/// The content type is required because a browser asks before it sends one to a foreign site.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_json = content_type
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body must have the content type application/json",
            ));
        }
        let whole = whole(request.into_body(), CONTROL_BODY_BYTES);
        let bytes = tokio::time::timeout(Duration::from_millis(REQUEST_READ_MS), whole)
            .await
            .map_err(|_| {
                Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the body did not arrive in time",
                )
            })?
            .map_err(|error| Problem::invalid(error.to_string()))?;
        let read = serde_json::from_slice(&bytes);
        read.map(Self)
            .map_err(|error| Problem::invalid(format!("the body is not what is expected: {error}")))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                let content_type = HeaderValue::from_static("application/json; charset=utf-8");
                ([(header::CONTENT_TYPE, content_type)], bytes).into_response()
            }
            Err(error) => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
            }
        }
    }
}
