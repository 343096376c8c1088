//! What is percent-encoded must be UTF-8, wherever in path and query it stands: what cannot be read is not guessed at, nor passed over.

use std::borrow::Cow;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use super::problem::{Kind, Problem};
use super::query::Query;

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

/// A character does not reach over the ASCII of a separator, so the whole is text where each part is.
pub(super) fn is_text(encoded: &str) -> bool {
    decoded(encoded).is_some()
}

/// The text; `None` when it is not UTF-8, or a `%` has not two hexadecimal digits behind it.
pub(super) fn decoded(encoded: &str) -> Option<Cow<'_, str>> {
    let digits = |part: &str| {
        let digits = part.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut escapes = encoded.split('%').skip(1);
    match escapes.all(digits) {
        true => percent_decode_str(encoded).decode_utf8().ok(),
        false => None,
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
