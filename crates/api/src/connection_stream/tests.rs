use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{Request, StatusCode};
use drawspan_gateway::Change;
use drawspan_hub::{ConnectionCause, ConnectionStatus, ConnectionStatusReason, DeviceId, UtcTime};
use drawspan_settings::{ApiKey, ApiKeys};
use http_body_util::BodyExt;

use super::*;
use crate::api::Api;
use crate::client_disconnect::Caller;
use crate::fake::Fake;
use crate::limits::MAX_LISTENERS_PER_KEY;

fn id_of(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn change() -> Change {
    Change {
        at: UtcTime::from_unix_ms(1_800_000_000_000),
        status: ConnectionStatus::DisconnectedRetrying,
        reason: ConnectionStatusReason::CommunicationError,
        cause: Some(ConnectionCause::OtherClient),
        detail: Some("another client\nor two".into()),
        session: Some(Duration::from_millis(61_234)),
    }
}

#[derive(Default)]
struct Listener(AtomicBool);

impl Caller for Listener {
    fn is_to_be_answered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn api(fake: Fake, keys: ApiKeys) -> Api {
    Api::new(fake, keys, Duration::from_secs(30))
}

async fn open(api: &Api, query: &str, last: Option<&str>) -> Response<Body> {
    let request = Request::get(format!("/ConnectionStatus/Stream{query}"))
        .header("x-api-key", "k")
        .extension(ClientDisconnect::new(Arc::new(Listener::default())));
    let request = match last {
        Some(last) => request.header("Last-Event-ID", last),
        None => request,
    };
    api.answer(request.body(Body::empty()).unwrap()).await
}

/// What comes next; a second of virtual time without anything is the end.
async fn read(response: &mut Response<Body>) -> String {
    let frame = tokio::time::timeout(Duration::from_secs(1), response.body_mut().frame()).await;
    match frame {
        Ok(Some(frame)) => String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap(),
        Ok(None) => "(end)".to_owned(),
        Err(_) => String::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn changes_come_as_they_happen() {
    let fake = Fake::default();
    let feed = Arc::clone(&fake.feed);
    let api = api(fake, ApiKeys::new(["k"]));
    let mut response = open(&api, "?prefix=a-", None).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let hello = read(&mut response).await;
    assert_eq!(hello, "retry: 2000\n\nid: 0000000000000007-0\n\n");
    assert_eq!(read(&mut response).await, "");
    feed.push(id_of("b-1"), None, change());
    feed.push(id_of("a-1"), None, change());
    let expected = r#"event: connectionStatus
id: 0000000000000007-2
data: {"deviceId":"a-1","at":"2027-01-15T08:00:00.0000000Z","status":"Disconnected_Retrying","reason":"Communication_Error","cause":"other-client","detail":"another client\nor two","sessionSeconds":61.234}

"#;
    assert_eq!(read(&mut response).await, expected);
    assert_eq!(read(&mut response).await, "");
    tokio::time::advance(Duration::from_secs(15)).await;
    let heartbeat = read(&mut response).await;
    assert_eq!(heartbeat, ": heartbeat\nid: 0000000000000007-2\n\n");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_goes_on_and_is_told_what_is_missing() {
    let fake = Fake::default();
    let feed = Arc::clone(&fake.feed);
    let api = api(fake, ApiKeys::new(["k"]));
    for number in 0..3 {
        feed.push(id_of(&format!("d-{number}")), None, change());
    }
    let check = async |last: &str, expected: &[&str]| {
        let mut response = open(&api, "", Some(last)).await;
        let mut text = String::new();
        loop {
            match read(&mut response).await {
                more if more.is_empty() => break,
                more => text.push_str(&more),
            }
        }
        let events = text.lines().filter(|line| line.starts_with("data: "));
        let events: Vec<_> = events.collect();
        assert_eq!(events.len(), expected.len(), "{last}: {text}");
        for (event, expected) in events.iter().zip(expected) {
            assert!(event.contains(expected), "{last}: {event}");
        }
    };
    check("0000000000000007-2", &["d-2"]).await;
    check("7-3", &[]).await;
    let all = [r#""missed":null"#, "d-0", "d-1", "d-2"];
    check("0000000000000008-2", &all).await;
    check("nonsense", &all).await;
    for _ in 0..drawspan_bridge::limits::FEED_CHANGES {
        feed.push(id_of("e"), None, change());
    }
    let mut late = open(&api, "?prefix=x", Some("7-1")).await;
    read(&mut late).await;
    let missed = read(&mut late).await;
    assert!(
        missed.starts_with("event: missed\ndata: {\"missed\":2,"),
        "{missed}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_too_slow_is_told_how_much_it_missed_and_costs_nothing_meanwhile() {
    let fake = Fake::default();
    let feed = Arc::clone(&fake.feed);
    let api = api(fake, ApiKeys::new(["k"]));
    let mut response = open(&api, "", None).await;
    read(&mut response).await;
    let most = drawspan_bridge::limits::FEED_CHANGES as u64;
    for _ in 0..most + 100 {
        feed.push(id_of("d"), None, change());
    }
    let first = read(&mut response).await;
    assert!(first.starts_with("event: missed\ndata: {\"missed\":100,"));
    let mut events = first.matches("event: connectionStatus").count();
    assert_eq!(events, STREAM_CHANGES_AT_ONCE);
    while (events as u64) < most {
        let more = read(&mut response).await;
        assert!(!more.contains("missed"));
        events += more.matches("event: connectionStatus").count();
    }
    assert_eq!(events as u64, most);
}

#[tokio::test(start_paused = true)]
async fn a_key_sees_its_devices_by_both_of_their_names() {
    let fake = Fake::default();
    let feed = Arc::clone(&fake.feed);
    let key = ApiKey::entry("k", Some("read"), Some("a-"), None).unwrap();
    let api = api(fake, std::iter::once(key).collect());
    assert_eq!(open(&api, "", None).await.status(), StatusCode::FORBIDDEN);
    let other = open(&api, "?prefix=b-", None).await;
    assert_eq!(other.status(), StatusCode::FORBIDDEN);
    let mut response = open(&api, "?prefix=a-", None).await;
    read(&mut response).await;
    feed.push(id_of("b-1"), None, change());
    feed.push(id_of("a-2"), Some(id_of("A-2")), change());
    feed.push(id_of("a-3"), None, change());
    let text = read(&mut response).await;
    assert_eq!(text.matches("deviceId").count(), 1, "{text}");
    assert!(text.contains("a-3"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn listeners_are_bounded_and_their_places_given_back() {
    let api = api(Fake::default(), ApiKeys::new(["k"]));
    let mut open_ones = Vec::new();
    for _ in 0..MAX_LISTENERS_PER_KEY {
        let response = open(&api, "", None).await;
        assert_eq!(response.status(), StatusCode::OK);
        open_ones.push(response);
    }
    let refused = open(&api, "", None).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    open_ones.pop();
    assert_eq!(open(&api, "", None).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_keys_change_so_that_one_that_is_withdrawn_opens_nothing() {
    let api = api(Fake::default(), ApiKeys::new(["k"]));
    let mut response = open(&api, "", None).await;
    read(&mut response).await;
    assert_eq!(read(&mut response).await, "");
    api.replace_keys(ApiKeys::new(["other"]));
    assert_eq!(read(&mut response).await, "(end)");
    let again = open(&api, "", None).await;
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_server_stops() {
    let api = api(Fake::default(), ApiKeys::new(["k"]));
    let caller = Arc::new(Listener::default());
    let request = Request::get("/connectionStatus/stream")
        .header("x-api-key", "k")
        .extension(ClientDisconnect::new(Arc::clone(&caller)));
    let mut response = api.answer(request.body(Body::empty()).unwrap()).await;
    read(&mut response).await;
    assert_eq!(read(&mut response).await, "");
    caller.0.store(true, Ordering::Relaxed);
    assert_eq!(read(&mut response).await, "(end)");
}
