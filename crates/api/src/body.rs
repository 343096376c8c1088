//! Reading request bodies: limited in size and time, and without a copy if the body came in one piece.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, HeaderValue};
use bytes::{Bytes, BytesMut};
use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_hub::text::{self, Encoding};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::problem::{Kind, Problem};
use crate::limits::{
    BODIES_STEP_BYTES, DISCARD_TIMEOUT_MS, MAX_BODIES_BYTES, MAX_DISCARDED_BODY_BYTES,
};

/// Reads the whole body of a request that says it is JSON, and hands it on in UTF-8 without a byte order mark. A body that is
/// empty needs no content type.
///
/// # Errors
/// 415 when the content type is not JSON, 413 when the body is over `limit` bytes, 408 when it is not there by `deadline`,
/// 400 when it breaks off, or is not in the charset that it is said to be in.
pub(super) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    deadline: Instant,
    limit: usize,
) -> Result<Bytes, Problem> {
    let encoding = match encoding_of(headers) {
        Ok(encoding) => encoding,
        Err(problem) => return unless_empty(headers, body, problem).await,
    };
    let most = match encoding {
        Encoding::Utf8 => limit,
        // One byte there is two bytes here.
        _ => limit.saturating_mul(2),
    };
    if announced(headers).is_some_and(|length| length > most as u64) {
        return Err(too_large(limit));
    }
    // Polls the body first: no timer is made when it is there already.
    match timeout_at(deadline, read(body, most)).await {
        Ok(result) => in_utf8(result?, encoding, limit),
        Err(_) => Err(Problem::new(
            Kind::BodyTimeout,
            "The request body did not arrive in time.",
        )),
    }
}

/// The encoding of a body that says it is JSON.
fn encoding_of(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let wrong = |text: &'static str| Problem::new(Kind::UnsupportedMediaType, text);
    let encoding = match json_encoding(headers) {
        Media::Json(encoding) => encoding,
        Media::OtherCharset => {
            return Err(wrong(
                "The charset in the content type must be utf-8 or utf-16 (utf-16le, utf-16be), or be left out.",
            ));
        }
        Media::Other => {
            return Err(wrong(
                "The content type must be application/json, text/json or application/*+json.",
            ));
        }
    };
    match is_encoded(headers) {
        true => Err(wrong(
            "The body must come without content-encoding (compression), and with no transfer-encoding but chunked.",
        )),
        false => Ok(encoding),
    }
}

/// An empty body, if the request has one: then it does not matter what it says of it.
async fn unless_empty(
    headers: &HeaderMap,
    mut body: Body,
    problem: Problem,
) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    // Only one of unknown length may turn out to be empty; and who waits for `100 Continue` has not sent it.
    if announced(headers).is_some() || headers.contains_key(EXPECT) {
        return Err(problem);
    }
    let is_empty = async {
        while let Some(frame) = body.frame().await {
            let data = frame.as_ref().ok().and_then(|frame| frame.data_ref());
            if data.is_none_or(|data| !data.is_empty()) {
                return false;
            }
        }
        true
    };
    if let Ok(true) = timeout(Duration::from_millis(DISCARD_TIMEOUT_MS), is_empty).await {
        return Ok(Bytes::new());
    }
    Err(problem)
}

/// The body in UTF-8, without its byte order mark. A mark counts more than what was declared.
fn in_utf8(body: Bytes, declared: Encoding, limit: usize) -> Result<Bytes, Problem> {
    let (encoding, rest) = text::marked(&body).unwrap_or((declared, &body));
    if encoding == Encoding::Utf8 {
        let mark = body.len() - rest.len();
        return match rest.len() > limit {
            true => Err(too_large(limit)),
            false => Ok(body.slice(mark..)),
        };
    }
    let text = text::decode_as(&body, declared).map_err(|_| {
        let text = "The request body is not in the charset that its content type or byte order mark names.";
        Problem::new(Kind::InvalidBody, text)
    })?;
    if text.len() > limit {
        return Err(too_large(limit));
    }
    let mut whole = Whole::new(&ROOM);
    match whole.add(text.as_bytes()) {
        true => Ok(Bytes::from_owner(whole)),
        false => Err(too_many()),
    }
}

async fn read(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut whole = Whole::new(&ROOM);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(Problem::new(
                Kind::InvalidBody,
                "The request body ended prematurely.",
            ));
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + whole.bytes.len() + data.len() > limit {
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
            return Err(too_many());
        }
    }
    Ok(match whole.bytes.is_empty() {
        true => first,
        false => Bytes::from_owner(whole),
    })
}

/// The remaining budget of all bodies together. A body in one piece is part of its connection's buffer.
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

/// Whether an unused body is short enough to be read to its end and discarded.
pub(super) fn may_be_discarded(headers: &HeaderMap) -> bool {
    // A client that waits for `100 Continue` has not sent anything, and must not be asked to.
    let unwilling = headers.contains_key(EXPECT);
    !unwilling && announced(headers).is_none_or(|length| length <= MAX_DISCARDED_BODY_BYTES as u64)
}

/// Reads and drops what is left of a body: closing a socket with unread bytes resets it, and the caller would never see the
/// answer. Bounded in bytes and time.
pub(super) async fn discard(mut body: Body) {
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
    // The answer does not depend on the result.
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
    // hyper decodes chunked encoding, and leaves the content unchanged.
    let mut transfers = headers.get_all(TRANSFER_ENCODING).iter();
    contents.any(|value| !is(value, "identity")) || transfers.any(|value| !is(value, "chunked"))
}

/// The meaning of a content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Json(Encoding),
    /// JSON, in a charset that is not taken.
    OtherCharset,
    Other,
}

fn json_encoding(headers: &HeaderMap) -> Media {
    let Some(value) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return Media::Other;
    };
    if value == "application/json" {
        return Media::Json(Encoding::Utf8);
    }
    let media = value.split(';').next().unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    let json = match media.split_once('/') {
        Some(("application", kind)) => {
            kind == "json" || kind.ends_with("+json") && kind.len() > "+json".len()
        }
        Some(("text", kind)) => kind == "json",
        _ => false,
    };
    if !json {
        return Media::Other;
    }
    match text::charset(value) {
        None => Media::Json(Encoding::Utf8),
        Some(name) => Encoding::of_charset(name).map_or(Media::OtherCharset, Media::Json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content_type: &'static str, expected: Media) {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        assert_eq!(json_encoding(&headers), expected, "{content_type}");
    }

    #[test]
    fn json_content_types() {
        let utf8 = Media::Json(Encoding::Utf8);
        check("application/json", utf8);
        check("Application/JSON; charset=UTF-8", utf8);
        check("application/json;charset=\"utf-8\"", utf8);
        check("application/json; odata=verbose", utf8);
        check("text/json", utf8);
        check("application/cloudevents+json", utf8);
        let utf16 = Media::Json(Encoding::Utf16Le);
        check("application/json; charset=utf-16", utf16);
        check("text/json;a=b; Charset=\"UTF-16LE\"", utf16);
        let utf16 = Media::Json(Encoding::Utf16Be);
        check("application/json; charset=utf-16be", utf16);
        check("application/json; charset=iso-8859-1", Media::OtherCharset);
        check("application/json; charset=", Media::OtherCharset);
        check("application/+json", Media::Other);
        check("application/jsonp", Media::Other);
        check("text/plain", Media::Other);
        check("text/plain; charset=utf-8", Media::Other);
        check("image/svg+json", Media::Other);
        check("", Media::Other);
        assert_eq!(json_encoding(&HeaderMap::new()), Media::Other);
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
