//! Reading request bodies: bounded in bytes and in time, without a copy when the body came in one piece.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, HeaderValue, Request};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::problem::{Kind, Problem};
use crate::limits::{
    BODIES_STEP_BYTES, DISCARD_TIMEOUT_MS, MAX_BODIES_BYTES, MAX_DISCARDED_BODY_BYTES,
    RETRY_AFTER_S,
};

/// Reads the whole body of a request that says it is JSON.
///
/// # Errors
/// 415 when the content type is not JSON, 413 when the body is over `limit` bytes, 408 when it is not there by `deadline`,
/// 400 when it breaks off.
pub(super) async fn read_json(
    request: Request<Body>,
    deadline: Instant,
    limit: usize,
) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        discard(request).await;
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "The content type must be application/json, text/json or application/*+json, in UTF-8.",
        ));
    }
    if is_encoded(request.headers()) {
        discard(request).await;
        return Err(Problem::new(
            Kind::UnsupportedMediaType,
            "The body must come without content-encoding (compression), and with no transfer-encoding but chunked.",
        ));
    }
    if announced(request.headers()).is_some_and(|length| length > limit as u64) {
        discard(request).await;
        return Err(too_large(limit));
    }
    // Polls the body first: no timer is made when it is there already.
    match timeout_at(deadline, read(request.into_body(), limit)).await {
        Ok(result) => result,
        Err(_) => Err(Problem::new(
            Kind::BodyTimeout,
            "The request body did not arrive in time.",
        )),
    }
}

async fn read(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut whole = Whole::new(&ROOM);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::new(
                Kind::InvalidBody,
                "The request body broke off before its end.",
            ));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + whole.bytes.len() + data.len() > limit {
            discard_body(body).await;
            return Err(too_large(limit));
        }
        if first.is_empty() && whole.bytes.is_empty() {
            first = data;
            if body.is_end_stream() {
                break;
            }
            continue;
        }
        if !(whole.add(&std::mem::take(&mut first)) && whole.add(&data)) {
            discard_body(body).await;
            return Err(too_many());
        }
    }
    Ok(match whole.bytes.is_empty() {
        true => first,
        false => Bytes::from_owner(whole),
    })
}

/// What all bodies together may still take. A body in one piece is part of its connection's buffer.
static ROOM: Semaphore = Semaphore::const_new(MAX_BODIES_BYTES);

/// A body that came in pieces. It has its room for as long as a part of it is in use.
struct Whole {
    bytes: BytesMut,
    of: &'static Semaphore,
    room: Option<SemaphorePermit<'static>>,
}

impl Whole {
    fn new(of: &'static Semaphore) -> Self {
        Self {
            bytes: BytesMut::new(),
            of,
            room: None,
        }
    }

    /// False when there is no room.
    fn add(&mut self, data: &[u8]) -> bool {
        let has = self.room.as_ref().map_or(0, SemaphorePermit::num_permits);
        let needs = (self.bytes.len() + data.len()).saturating_sub(has);
        if needs > 0 {
            let more = u32::try_from(needs.max(BODIES_STEP_BYTES)).unwrap_or(u32::MAX);
            let Ok(more) = self.of.try_acquire_many(more) else {
                return false;
            };
            match &mut self.room {
                Some(room) => room.merge(more),
                None => self.room = Some(more),
            }
        }
        self.bytes.extend_from_slice(data);
        true
    }
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads and drops what is left of a request that was refused: closing a socket with unread bytes resets it, and the
/// caller would never see the answer. Bounded in bytes and time.
pub(super) async fn discard(request: Request<Body>) {
    // Who waits for `100 Continue` has not sent anything, and must not be asked to.
    let unwilling = request.headers().contains_key(EXPECT);
    let hopeless =
        announced(request.headers()).is_some_and(|length| length > MAX_DISCARDED_BODY_BYTES as u64);
    if !unwilling && !hopeless {
        discard_body(request.into_body()).await;
    }
}

async fn discard_body(mut body: Body) {
    let all = async {
        let mut left = MAX_DISCARDED_BODY_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whatever comes of it, the answer is the same.
    let _ = timeout(Duration::from_millis(DISCARD_TIMEOUT_MS), all).await;
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Kind::TooLarge,
        format!("The request body is over {limit} bytes."),
    )
}

fn too_many() -> Problem {
    Problem::new(
        Kind::QueueFull,
        "Too many large requests are under way; nothing was sent.",
    )
    .retry_after(RETRY_AFTER_S)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    let is =
        |value: &HeaderValue, text: &str| value.as_bytes().eq_ignore_ascii_case(text.as_bytes());
    let mut contents = headers.get_all(CONTENT_ENCODING).iter();
    // hyper takes what is chunked apart, and leaves whatever is in there as it is.
    let mut transfers = headers.get_all(TRANSFER_ENCODING).iter();
    contents.any(|value| !is(value, "identity")) || transfers.any(|value| !is(value, "chunked"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    if value == "application/json" {
        return true;
    }
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = match media.split_once('/') {
        Some(("application", kind)) => {
            kind == "json" || kind.ends_with("+json") && kind.len() > "+json".len()
        }
        Some(("text", kind)) => kind == "json",
        _ => false,
    };
    json && parts.all(is_utf8_or_no_charset)
}

fn is_utf8_or_no_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return true;
    };
    let value = value.trim().trim_matches('"');
    !name.trim().eq_ignore_ascii_case("charset")
        || ["utf-8", "utf8", "us-ascii"]
            .iter()
            .any(|known| value.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &'static str, expected: bool) {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        assert_eq!(is_json(&headers), expected, "{content_type}");
    }

    #[test]
    fn json_content_types() {
        check("application/json", true);
        check("Application/JSON; charset=UTF-8", true);
        check("application/json;charset=\"utf-8\"", true);
        check("application/json; odata=verbose", true);
        check("text/json", true);
        check("application/cloudevents+json", true);
        check("application/+json", false);
        check("application/json; charset=utf-16", false);
        check("application/jsonp", false);
        check("text/plain", false);
        check("image/svg+json", false);
        check("", false);
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn bodies_in_pieces_share_a_bound_until_nothing_uses_them() {
        static ROOM: Semaphore = Semaphore::const_new(3 * BODIES_STEP_BYTES);
        let mut first = Whole::new(&ROOM);
        // Steps, not bytes: two of them.
        assert!(first.add(b"a") && first.add(&[b'x'; BODIES_STEP_BYTES]));
        assert_eq!(ROOM.available_permits(), BODIES_STEP_BYTES);
        let mut second = Whole::new(&ROOM);
        assert!(second.add(b"b"));
        assert!(!first.add(&[b'x'; BODIES_STEP_BYTES]));
        assert!(!Whole::new(&ROOM).add(b"c"));

        let body = Bytes::from_owner(first);
        let part = body.slice(0..1);
        drop((body, second));
        assert_eq!(ROOM.available_permits(), BODIES_STEP_BYTES);
        assert_eq!(part, "a");
        drop(part);
        assert_eq!(ROOM.available_permits(), 3 * BODIES_STEP_BYTES);
    }
}
