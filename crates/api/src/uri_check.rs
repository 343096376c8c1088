//! The check that percent-encoded text is UTF-8, anywhere in path and query. Other input is refused, neither guessed nor ignored.

use axum::http::Uri;

use super::problem::{Kind, Problem};
use super::query::Query;
use super::uri_text::is_text;

/// Refuses a path, which is canonical, or a query that is not text.
pub(super) fn check(uri: &Uri) -> Result<(), Problem> {
    let path = uri.path();
    if !is_text(path) {
        return Err(bad_path(path));
    }
    match uri.query() {
        Some(query) if !is_text(query) => Err(Query::new(Some(query)).bad_encoding()),
        _ => Ok(()),
    }
}

fn bad_path(path: &str) -> Problem {
    let segments: Vec<_> = path.split('/').collect();
    let bad = segments.iter().position(|segment| !is_text(segment));
    let (kind, what) = match (bad, segments.as_slice()) {
        (Some(2), ["", "devices", ..]) => (Kind::InvalidDeviceId, "device id"),
        (Some(5), ["", "devices", _, "messages", "devicebound", ..]) => {
            (Kind::InvalidPath, "lock token")
        }
        (Some(2), ["", "subscriptions", ..]) => (Kind::InvalidPath, "kind of subscription"),
        (Some(2), ["", "deadletters", ..]) => (Kind::InvalidPath, "number of the dead letter"),
        _ => {
            return Problem::new(Kind::InvalidPath, "The path is not percent-encoded UTF-8.");
        }
    };
    let text = format!("The {what} in the path is not percent-encoded UTF-8.");
    Problem::new(kind, text)
}
