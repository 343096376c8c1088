use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use drawspan_gateway::DeviceError;
use drawspan_hub::{Failure, Telemetry};
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::Value;

use super::*;
use crate::fake::{Call, Fake};

const KEY: &str = "k-1";
const GOOD: &str = r#"{"data":{}}"#;
const EVENTS: &str = "/devices/dev-1/messages/events";

struct HttpAnswer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Bytes,
}

impl HttpAnswer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The problem document, checked for what each must have.
    fn problem(&self) -> Value {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let document: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(document["status"], self.status.as_u16());
        assert!(
            document["type"]
                .as_str()
                .unwrap()
                .starts_with("urn:drawspan:problem:")
        );
        for member in ["title", "detail", "message"] {
            assert!(!document[member].as_str().unwrap().is_empty(), "{member}");
        }
        document
    }
}

struct Bench {
    api: Api,
    calls: Arc<Mutex<Vec<Call>>>,
}

fn bench(answer: Result<(), DeviceError>) -> Bench {
    with(Fake {
        refusal: answer.err(),
        ..Fake::default()
    })
}

fn with(fake: Fake) -> Bench {
    let calls = Arc::clone(&fake.calls);
    Bench {
        api: Api::new(fake, ApiKeys::new([KEY]), Duration::from_secs(30)),
        calls,
    }
}

impl Bench {
    /// The one message that the devices were given.
    fn sent(&self) -> (String, Telemetry) {
        match &self.calls.lock().unwrap()[..] {
            [Call::Send(device, message)] => (device.to_string(), message.clone()),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&self, request: Request<Body>) -> HttpAnswer {
        let (parts, body) = self.api.answer(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        HttpAnswer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    fn untouched(&self) -> bool {
        self.calls.lock().unwrap().is_empty()
    }
}

fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = request("POST", path)
        .header("x-api-key", KEY)
        .header("content-type", "application/json");
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn a_message_reaches_its_device_as_it_was_sent() {
    let bench = bench(Ok(()));
    let body = r#"{"Data":{ "t" : 21.50 },"properties":{"room":"12"},"componentName":"pump","creationTimeUtc":"2026-11-22T10:20:30.5"}"#;
    let answer = bench
        .ask(post("/Devices/Dev%3A1/Messages/events", body))
        .await;

    assert_eq!(
        (answer.status, &answer.body[..]),
        (StatusCode::OK, &b""[..])
    );
    let (device, message) = bench.sent();
    assert_eq!(device, "Dev:1");
    assert_eq!(message.body, r#"{ "t" : 21.50 }"#);
    assert_eq!(message.content_type.as_deref(), Some("application/json"));
    assert_eq!(message.content_encoding.as_deref(), Some("utf-8"));
    assert_eq!(message.component.as_deref(), Some("pump"));
    assert_eq!(
        message.creation_time_utc.unwrap().to_string(),
        "2026-11-22T10:20:30.5000000Z"
    );
    assert_eq!(message.properties, [("room".to_owned(), "12".to_owned())]);
}

#[tokio::test]
async fn bodies_in_many_pieces_are_put_together() {
    let bench = bench(Ok(()));
    let body = Pieces::of(br#"{"data":{"a":1}}"#.chunks(3));
    let answer = bench.ask(post(EVENTS, body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(bench.sent().1.body, r#"{"a":1}"#);
}

#[tokio::test]
async fn health_is_open() {
    for path in ["/health", "/Health", "/health/"] {
        let answer = bench(Ok(()))
            .ask(request("GET", path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &b"Healthy"[..])
        );
        assert_eq!(answer.header("content-type"), Some("text/plain"));
    }
}

/// A request that must come to nothing: its answer has this status and this type.
async fn check_bad(request: Request<Body>, status: u16, slug: &str) {
    let what = format!("{} {}", request.method(), request.uri());
    let bench = bench(Ok(()));
    let answer = bench.ask(request).await;
    assert_eq!(answer.status.as_u16(), status, "{what}");
    let expected = format!("urn:drawspan:problem:{slug}");
    assert_eq!(answer.problem()["type"], expected, "{what}");
    assert!(bench.untouched(), "{what}");
}

/// A JSON request with that key, or without one.
fn ask(method: &str, path: &str, key: Option<&str>, body: &'static str) -> Request<Body> {
    let request = request(method, path).header("content-type", "application/json");
    let request = key
        .into_iter()
        .fold(request, |request, key| request.header("x-api-key", key));
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn the_key_comes_before_everything_else_under_devices() {
    let check = async |method, path, key, body| {
        check_bad(ask(method, path, key, body), 401, "unauthorized").await;
    };
    check("POST", EVENTS, None, GOOD).await;
    check("POST", EVENTS, Some("wrong"), GOOD).await;
    check("POST", EVENTS, Some(""), GOOD).await;
    check("POST", EVENTS, None, "{").await;
    check("POST", "/devices/a%20b/messages/events", None, GOOD).await;
    check("GET", EVENTS, None, "").await;
    check("GET", "/DEVICES/x/unknown", None, "").await;
}

#[tokio::test]
async fn bad_bodies_and_ids_are_400() {
    let wrong_type = r#"{"data":{},"properties":{"a":1}}"#;
    let no_object = r#"{"data":1}"#;
    for body in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        r#"{"data":null}"#,
        no_object,
        wrong_type,
    ] {
        check_bad(post(EVENTS, body), 400, "invalid-body").await;
    }
    let long = "x".repeat(129);
    for id in ["", "a%20b", "a%2Fb", "%C3%A4", "%FF", &long] {
        let path = format!("/devices/{id}/messages/events");
        check_bad(post(&path, GOOD), 400, "invalid-device-id").await;
    }
}

#[tokio::test]
async fn bodies_that_are_not_json_are_415() {
    let with_key = || request("POST", EVENTS).header("x-api-key", KEY);
    let untyped = with_key().body(GOOD.into()).unwrap();
    let text = with_key().header("content-type", "text/plain");
    check_bad(untyped, 415, "unsupported-media-type").await;
    check_bad(
        text.body(GOOD.into()).unwrap(),
        415,
        "unsupported-media-type",
    )
    .await;
    let packed = with_key()
        .header("content-type", "application/json")
        .header("content-encoding", "gzip");
    check_bad(
        packed.body(GOOD.into()).unwrap(),
        415,
        "unsupported-media-type",
    )
    .await;
}

#[tokio::test]
async fn unknown_routes_are_404_and_wrong_methods_405() {
    let check = async |method, path, key, status, slug| {
        check_bad(ask(method, path, key, GOOD), status, slug).await;
    };
    check("GET", "/devices/x/unknown", Some(KEY), 404, "not-found").await;
    check("PUT", "/devices", Some(KEY), 405, "method-not-allowed").await;
    check("GET", "/nothing", None, 404, "not-found").await;
    check("POST", "/elsewhere", None, 404, "not-found").await;
    check("PUT", EVENTS, Some(KEY), 405, "method-not-allowed").await;
    check("DELETE", "/health", None, 405, "method-not-allowed").await;
    let long = format!("/{}", "x".repeat(5000));
    check("POST", &long, None, 414, "uri-too-long").await;
}

#[tokio::test]
async fn wrong_methods_learn_the_right_ones() {
    let bench = bench(Ok(()));
    let get = request("GET", EVENTS)
        .header("x-api-key", KEY)
        .body(Body::empty())
        .unwrap();
    assert_eq!(bench.ask(get).await.header("allow"), Some("POST"));
    let post = request("POST", "/health").body(Body::empty()).unwrap();
    assert_eq!(bench.ask(post).await.header("allow"), Some("GET,HEAD"));
}

#[tokio::test]
async fn messages_up_to_256_kb_pass() {
    // {"a":"…"} and the two system properties that the hub counts.
    let overhead = r#"{"a":""}"#.len() + "application/json".len() + "utf-8".len();
    let check = async |fill: usize, status: u16| {
        let bench = bench(Ok(()));
        let body = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(fill));
        let answer = bench.ask(post(EVENTS, body)).await;
        assert_eq!(answer.status.as_u16(), status, "{fill}");
        assert_eq!(bench.untouched(), status != 200);
        if status != 200 {
            assert_eq!(answer.problem()["type"], "urn:drawspan:problem:too-large");
        }
    };
    check(262_144 - overhead, 200).await;
    check(262_144 - overhead + 1, 413).await;
    check(600_000, 413).await;
    check(6_000_000, 413).await;
}

#[tokio::test]
async fn a_body_without_length_is_bounded_too() {
    let bench = bench(Ok(()));
    let body = Pieces::of([[b' '; 10_000].as_slice(); 100]);
    let answer = bench.ask(post(EVENTS, body)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let answer = bench(Ok(()))
        .ask(post(EVENTS, Body::new(Pieces(None))))
        .await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    answer.problem();
}

#[tokio::test]
async fn the_code_of_the_hub_is_passed_on() {
    let mut failure = Failure::from_cbs(404, "DeviceNotFound");
    failure.code = drawspan_hub::ErrorCode::new(404_001);
    failure.tracking_id = Some("T-1".into());
    let answer = bench(Err(DeviceError::Refused(failure)))
        .ask(post(EVENTS, r#"{"data":{}}"#))
        .await;
    let problem = answer.problem();
    assert_eq!(
        (&problem["code"], &problem["trackingId"]),
        (&404_001.into(), &"T-1".into())
    );
}

mod bad;
mod batch;
mod dead_letters;
mod devices;
mod downlinks;
mod fleet;
mod idempotency;
mod keys;
mod metrics;
mod paths;
mod probes;
mod shown;
mod subscriptions;
mod usage;

/// A body in pieces that are available at once; `None` for one that never arrives.
struct Pieces(Option<VecDeque<Bytes>>);

impl Pieces {
    fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Body {
        Body::new(Self(Some(
            pieces.into_iter().map(Bytes::copy_from_slice).collect(),
        )))
    }
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Some(pieces) => Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece)))),
            None => Poll::Pending,
        }
    }
}
