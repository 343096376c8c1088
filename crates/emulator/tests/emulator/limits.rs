//! Rates and the daily quota over HTTPS, and at DPS.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Answer, ask, assert_refused, config};
use drawspan_emulator::{Config, Emulator, Running};
use drawspan_emulator_hub::clock::Clock;
use drawspan_hub::{DeviceId, ErrorCode};
use serde_json::json;

/// An emulator under limits, with device `d`.
async fn limited(words: &str) -> Running {
    Emulator::start(limited_config(words)).await.unwrap()
}

fn limited_config(words: &str) -> Config {
    let mut config = config();
    config.devices = vec![DeviceId::parse("d").unwrap()];
    for word in words.split(' ') {
        config.rate_limits.apply(word).unwrap();
    }
    config
}

async fn read_device(running: &Running) -> Answer {
    ask(running, "GET", "/devices/d", &[], "").await
}

#[tokio::test]
async fn a_request_above_the_rate_gets_429_by_name() {
    let limits = "registry=1/min queue.registry=0 burst.registry=0";
    let running = limited(limits).await;
    assert_eq!(read_device(&running).await.status, 200);
    let refused = read_device(&running).await;
    assert_refused(&refused, ErrorCode::THROTTLING_EXCEPTION);
    assert_eq!(
        refused.header("retry-after"),
        None,
        "no hub was seen to say it"
    );
    let mut words = running.hubs().hubs()[0].rate_limits(Clone::clone);
    words.apply("retry-after=7").unwrap();
    running.hubs().hubs()[0].set_rate_limits(words);
    assert_eq!(read_device(&running).await.header("retry-after"), Some("7"));
}

#[tokio::test]
async fn each_identity_of_a_bulk_call_counts() {
    let running = limited("registry=100/min queue.registry=0").await;
    let create = |from: usize| {
        let devices: Vec<_> = (from..from + 50)
            .map(|id| json!({ "id": format!("b{id}"), "importMode": "create" }))
            .collect();
        json!(devices).to_string()
    };
    for (from, status) in [(0, 200), (50, 200), (100, 429)] {
        let answer = ask(&running, "POST", "/devices", &[], &create(from)).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    let refused = read_device(&running).await;
    assert_refused(&refused, ErrorCode::THROTTLING_EXCEPTION);
}

#[tokio::test]
async fn a_request_that_waits_is_answered_at_its_time() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (clock, hand) = Clock::manual(now.as_millis() as u64);
    let mut config = limited_config("twin-reads=1/s burst.twin-reads=0");
    config.clock = clock;
    let running = Emulator::start(config).await.unwrap();
    let hub = &running.hubs().hubs()[0];
    let read = || ask(&running, "GET", "/twins/d", &[], "");
    assert_eq!(read().await.status, 200);
    let waits = async {
        while hub.throttle_state().classes[0].waiting == 0 {
            tokio::task::yield_now().await;
        }
        hand.advance(Duration::from_millis(999));
        assert_eq!(hub.throttle_state().classes[0].waiting, 1);
        hand.advance(Duration::from_millis(1));
    };
    let both = async { tokio::join!(read(), waits).0 };
    let answer = tokio::time::timeout(Duration::from_secs(30), both).await;
    assert_eq!(answer.unwrap().status, 200);
}

#[tokio::test]
async fn each_kind_of_request_has_its_class() {
    let words = [
        "twin-updates",
        "methods",
        "queries",
        "uploads",
        "d2c",
        "c2d-receives",
    ]
    .map(|class| format!("{class}=1/min burst.{class}=0 queue.{class}=0"));
    let running = limited(&words.join(" ")).await;
    let query = r#"{"query":"SELECT * FROM devices"}"#;
    let method = r#"{"methodName":"x"}"#;
    let file = r#"{"blobName":"f"}"#;
    for (verb, path, body, first) in [
        ("PATCH", "/twins/d", r#"{"tags":{"a":1}}"#, 200),
        ("POST", "/twins/d/methods", method, 404),
        ("POST", "/devices/query", query, 200),
        ("POST", "/devices/d/files", file, 200),
        ("POST", "/devices/d/messages/events", "x", 204),
        ("GET", "/devices/d/messages/deviceBound", "", 204),
    ] {
        let answer = ask(&running, verb, path, &[], body).await;
        assert_eq!(answer.status, first, "{path}: {answer:?}");
        let refused = ask(&running, verb, path, &[], body).await;
        assert_refused(&refused, ErrorCode::THROTTLING_EXCEPTION);
    }
}

#[tokio::test]
async fn methods_count_in_blocks_of_their_request() {
    // Forty blocks a second.
    let running = limited("S1 queue.methods=0 burst.methods=1").await;
    let call =
        |bytes: usize| json!({ "methodName": "x", "payload": "x".repeat(bytes) }).to_string();
    let large = ask(&running, "POST", "/twins/d/methods", &[], &call(120_000)).await;
    assert_eq!(
        large.status, 404,
        "30 blocks, and a device that is not there: {large:?}"
    );
    let larger = ask(&running, "POST", "/twins/d/methods", &[], &call(120_000)).await;
    assert_refused(&larger, ErrorCode::THROTTLING_EXCEPTION);
}

#[tokio::test]
async fn the_daily_quota_and_what_is_free_of_it() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (clock, hand) = Clock::manual(now.as_millis() as u64);
    let mut config = limited_config("quota=6");
    config.clock = clock;
    let running = Emulator::start(config).await.unwrap();
    let hub = &running.hubs().hubs()[0];
    let used = || hub.throttle_state().quota.unwrap().used;
    read_device(&running).await;
    assert_eq!(used(), 0, "the registry is free");
    let body = "x".repeat(8_000);
    let events = "/devices/d/messages/events";
    assert_eq!(ask(&running, "POST", events, &[], &body).await.status, 204);
    assert_eq!(used(), 2, "blocks of 4 KB");
    assert_eq!(ask(&running, "GET", "/twins/d", &[], "").await.status, 200);
    assert_eq!(used(), 3);
    let method = r#"{"methodName":"x"}"#;
    let called = ask(&running, "POST", "/twins/d/methods", &[], method).await;
    assert_eq!(
        (called.status, used()),
        (404, 5),
        "a device that is not there is charged"
    );
    let refused = ask(&running, "POST", events, &[], &body).await;
    assert_refused(&refused, ErrorCode::QUOTA_EXCEEDED);
    assert_eq!(ask(&running, "POST", events, &[], "x").await.status, 204);
    let refused = ask(&running, "GET", "/twins/d", &[], "").await;
    assert_refused(&refused, ErrorCode::QUOTA_EXCEEDED);
    hand.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(used(), 0);
}

#[tokio::test]
async fn basic_tiers_say_that_they_lack_it() {
    let running = limited("B1").await;
    assert_eq!(read_device(&running).await.status, 200);
    let method = r#"{"methodName":"x"}"#;
    for (verb, path, body) in [
        ("GET", "/twins/d", ""),
        ("POST", "/twins/d/methods", method),
        ("GET", "/devices/d/messages/deviceBound", ""),
    ] {
        let refused = ask(&running, verb, path, &[], body).await;
        assert_refused(&refused, ErrorCode::OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER);
    }
}
