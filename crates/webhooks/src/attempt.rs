//! One attempt to deliver an event: a request, its answer, and the result.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use drawspan_api_types::events;
use drawspan_bridge::delivery::{
    AttemptFailure, AttemptOutcome, DeliveryAttempt, RetryClass, retry_class,
};
use drawspan_bridge::events::Post;
use drawspan_bridge::limits::MAX_CALLBACK_ANSWER_BYTES;
use drawspan_gateway::CallbackUrl;
use drawspan_hub::text::{self, Encoding};
use drawspan_net::Mailbox;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};

use super::client::Client;
use super::signatures::Secrets;

const AGENT: &str = concat!("drawspan/", env!("CARGO_PKG_VERSION"));

/// The end of an attempt.
#[derive(Debug)]
pub struct Done {
    /// To be repeated to the controller.
    pub attempt: DeliveryAttempt,
    /// The outcome.
    pub answer: AttemptOutcome,
    /// The receiver's answer.
    pub body: Bytes,
}

/// The data of an attempt.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) post: Post<CallbackUrl>,
    pub(super) mailbox: Arc<Mailbox<Done>>,
    pub(super) client: Client,
    pub(super) secrets: Arc<Secrets>,
}

/// The report of an attempt to the mailbox, sent however the attempt ends.
struct Report {
    mailbox: Arc<Mailbox<Done>>,
    done: Option<Done>,
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            self.mailbox.post(done);
        }
    }
}

impl Request {
    /// Makes the attempt and leaves its end on the mailbox, also when it is dropped before that.
    pub(super) fn run(self) -> impl Future<Output = ()> + Send {
        let mut report = Report {
            mailbox: Arc::clone(&self.mailbox),
            done: Some(Done {
                attempt: self.post.attempt,
                answer: unreachable("the attempt was broken off"),
                body: Bytes::new(),
            }),
        };
        async move {
            let (answer, body) = match tokio::time::timeout(self.post.timeout, self.ask()).await {
                Ok(answered) => answered,
                Err(_) => (failed(AttemptFailure::TimedOut), Bytes::new()),
            };
            if let Some(done) = &mut report.done {
                (done.answer, done.body) = (answer, body);
            }
        }
    }

    async fn ask(&self) -> (AttemptOutcome, Bytes) {
        let Some(request) = self.request() else {
            return (unreachable("the request cannot be written"), Bytes::new());
        };
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(why) => return (failed(why), Bytes::new()),
        };
        let (answer, wanted) = meaning(&response, SystemTime::now());
        let encoding = encoding_of(response.headers());
        // To the end, or the connection could not be used again.
        match read(response.into_body()).await {
            Some(body) if wanted => (answer, in_utf8(body, encoding)),
            None if wanted => (unreachable("its answer broke off"), Bytes::new()),
            _ => (answer, Bytes::new()),
        }
    }

    /// The request, signed for this moment.
    fn request(&self) -> Option<http::Request<Full<Bytes>>> {
        let post = &self.post;
        let body = events::body(&post.device, post.received_at, &post.content);
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let unix_s = unix.map_or(0, |unix| unix.as_secs());
        let id = visible(&post.webhook_id);
        let mut request = http::Request::post(&*post.callback.on_the_wire())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, HeaderValue::from_static(AGENT))
            .header("webhook-id", &id)
            .header("webhook-timestamp", unix_s);
        if let Some(signature) = self.secrets.signature(&id, unix_s, &body) {
            request = request.header("webhook-signature", signature);
        }
        request.body(Full::new(body)).ok()
    }
}

/// The head of an answer, and whether its body matters.
fn meaning<B>(response: &Response<B>, now: SystemTime) -> (AttemptOutcome, bool) {
    let status = response.status().as_u16();
    match retry_class(status) {
        RetryClass::Taken => (AttemptOutcome::Taken, true),
        RetryClass::Nothing => (AttemptOutcome::Refused(status), false),
        RetryClass::Retry => {
            let answer = AttemptOutcome::Failed {
                why: AttemptFailure::Status(status),
                retry_after: retry_after(response.headers(), now),
            };
            (answer, false)
        }
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than any number is for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The body, truncated if it becomes too long. `None` if it ends prematurely.
async fn read(mut body: Incoming) -> Option<Bytes> {
    let mut read = BytesMut::new();
    while !body.is_end_stream() && read.len() < MAX_CALLBACK_ANSWER_BYTES {
        match body.frame().await {
            None => break,
            Some(Err(_)) => return None,
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let room = MAX_CALLBACK_ANSWER_BYTES - read.len();
                    read.extend_from_slice(&data[..data.len().min(room)]);
                }
            }
        }
    }
    Some(read.freeze())
}

/// The encoding of the body according to the head; UTF-8 if it names none, or an unknown one.
fn encoding_of(headers: &HeaderMap) -> Encoding {
    let content_type = headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let charset = content_type.and_then(text::charset);
    charset
        .and_then(Encoding::of_charset)
        .unwrap_or(Encoding::Utf8)
}

/// The body as the bridge that this one replaces read it: in its charset, or as its byte order mark says, with U+FFFD for what is no
/// character. One that was cut off stays as it is, since it is not read.
fn in_utf8(body: Bytes, declared: Encoding) -> Bytes {
    if body.len() >= MAX_CALLBACK_ANSWER_BYTES {
        return body;
    }
    match text::decode_lossy(&body, declared) {
        Cow::Borrowed(same) => body.slice_ref(same.as_bytes()),
        Cow::Owned(text) => Bytes::from(text),
    }
}

const fn failed(why: AttemptFailure) -> AttemptOutcome {
    AttemptOutcome::Failed {
        why,
        retry_after: None,
    }
}

fn unreachable(why: &str) -> AttemptOutcome {
    failed(AttemptFailure::Unreachable(why.into()))
}

/// The id as a header can hold it.
fn visible(id: &str) -> String {
    let visible = |character: char| {
        if character.is_ascii_graphic() {
            character
        } else {
            '_'
        }
    };
    id.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_say_when_to_come_back_in_seconds_or_by_date() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        let check = |text: &'static str, expected: Option<u64>| {
            let headers = [(RETRY_AFTER, HeaderValue::from_static(text))];
            let found = retry_after(&headers.into_iter().collect(), now);
            assert_eq!(found, expected.map(Duration::from_secs), "{text}");
        };
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("99999999999999999999999", Some(u64::MAX));
        check("Sun, 22 Nov 2026 10:01:00 GMT", Some(60));
        check("Sunday, 22-Nov-26 10:01:00 GMT", Some(60));
        check("Sun, 22 Nov 2026 09:00:00 GMT", Some(0));
        check("-1", None);
        check("1.5", None);
        check("soon", None);
        check("", None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn answers_are_read_in_the_encoding_they_are_in() {
        let check = |content_type: &'static str, body: &'static [u8], expected: &str| {
            let headers = [(CONTENT_TYPE, HeaderValue::from_static(content_type))];
            let encoding = encoding_of(&headers.into_iter().collect());
            let read = in_utf8(Bytes::from_static(body), encoding);
            assert_eq!(read, expected, "{content_type} {body:x?}");
        };
        let json = "application/json";
        check(json, b"{\"status\":500}", "{\"status\":500}");
        check(json, b"\xef\xbb\xbf{}", "{}");
        check(json, b"\xff\xfe{\0}\0", "{}");
        check(json, b"\xfe\xff\0{\0}", "{}");
        check("application/json; charset=utf-16", b"{\0}\0", "{}");
        check("application/json; charset=\"UTF-16BE\"", b"\0{\0}", "{}");
        check("application/json; charset=iso-8859-1", b"{}", "{}");
        check(
            json,
            b"{\"payload\":\"a\xff\"}",
            "{\"payload\":\"a\u{fffd}\"}",
        );
        let cut = Bytes::from(vec![0xff; MAX_CALLBACK_ANSWER_BYTES]);
        assert_eq!(in_utf8(cut.clone(), Encoding::Utf8), cut);
    }

    #[test]
    fn ids_fit_into_headers() {
        assert_eq!(visible("c2d_aB-9=="), "c2d_aB-9==");
        assert_eq!(visible("a b\r\nc: é"), "a_b__c:__");
    }
}
