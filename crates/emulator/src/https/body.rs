//! JSON bodies, bounded in size and time.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use drawspan_hub::{ErrorCode, text};
use http_body_util::BodyExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use crate::limits::{DROPPED_BODY_BYTES, REQUEST_BODY_BYTES, REQUEST_READ_MS};

/// Reads a JSON body.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let whole = whole(body, REQUEST_BODY_BYTES);
    let bytes = tokio::time::timeout(Duration::from_millis(REQUEST_READ_MS), whole)
        .await
        .map_err(|_| {
            Refusal::new(
                ErrorCode::REQUEST_TIMED_OUT,
                "The body did not arrive in time",
            )
        })?
        .map_err(|error| match error {
            Unreadable::TooLarge(_) => {
                Refusal::new(ErrorCode::MESSAGE_TOO_LARGE, error.to_string())
            }
            Unreadable::Broken(_) => {
                Refusal::new(ErrorCode::GENERIC_BAD_REQUEST, error.to_string())
            }
        })?;
    serde_json::from_slice(text::without_mark(&bytes))
        .map_err(|error| Refusal::unexpected_body(&error))
}

/// Writes a JSON body.
pub(super) fn write<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => json(status, bytes),
        Err(error) => Refusal::new(ErrorCode::SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Writes a body that is JSON already.
pub(super) fn json(status: StatusCode, bytes: Vec<u8>) -> Response {
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, content_type)], bytes).into_response()
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It has more bytes than this.
    #[error("The body has more than {0} bytes")]
    TooLarge(usize),
    /// The connection broke, or what came is no HTTP.
    #[error("The body cannot be read: {0}")]
    Broken(axum::Error),
}

/// Reads a body of at most `limit` bytes. One that is larger is read on and dropped, within reason: a client that is still
/// writing when its connection ends never sees why.
pub(crate) async fn whole(mut body: Body, limit: usize) -> Result<Bytes, Unreadable> {
    let mut bytes = BytesMut::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Unreadable::Broken)?;
        let data = frame.data_ref().map_or(&[][..], |data| &data[..]);
        length = length.saturating_add(data.len());
        if length <= limit {
            bytes.extend_from_slice(data);
        } else if length > limit.saturating_add(DROPPED_BODY_BYTES) {
            break;
        }
    }
    if length > limit {
        return Err(Unreadable::TooLarge(limit));
    }
    Ok(bytes.freeze())
}

/// Reads and discards what is left of a body, at most so many bytes. Says whether that was all.
pub(super) async fn drop_within(mut body: Body, limit: usize) -> bool {
    let mut length = 0_usize;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            length = length.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if length > limit {
                return false;
            }
        }
        true
    };
    let limit = Duration::from_millis(REQUEST_READ_MS);
    tokio::time::timeout(limit, rest).await.unwrap_or(false)
}
