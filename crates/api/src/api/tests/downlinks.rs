//! Messages to devices that poll for them.

use drawspan_gateway::Held;
use drawspan_hub::{C2dMessage, Outcome, UtcTime};
use tokio::time::Instant;

use super::paths::*;
use super::*;

fn held() -> Held {
    Held {
        lock_token: "T-1".into(),
        locked_until: UtcTime::from_unix_ms(60_000),
        received_at: UtcTime::from_unix_ms(1_000),
        message: C2dMessage {
            body: Bytes::from_static(br#"{"on": true}"#),
            properties: vec![("room".into(), "12".into())],
            message_id: Some("m-1".into()),
            ..C2dMessage::default()
        },
    }
}

fn with_message() -> Bench {
    with(Fake {
        held: Some(held()),
        ..Fake::default()
    })
}

fn check_message(answer: &HttpAnswer) {
    assert_eq!(answer.status, StatusCode::OK);
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    for (member, expected) in [
        ("eventType", "C2DMessage"),
        ("deviceId", "dev-1"),
        ("lockToken", "T-1"),
        ("lockedUntil", "1970-01-01T00:01:00.0000000Z"),
        ("messageId", "m-1"),
    ] {
        assert_eq!(found[member], expected, "{found}");
    }
    assert_eq!(found["messageBody"]["on"], true);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_is_handed_out() {
    for query in ["", "?wait=0", "?WAIT=60&other"] {
        let bench = with_message();
        let path = format!("{RECEIVE}{query}");
        check_message(&bench.ask(with_key("GET", &path, "")).await);
        assert_eq!(only_call(&bench), Call::Receive(id()));
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_waits_as_long_as_asked() {
    for (query, seconds) in [("", 0), ("?wait=1", 1), ("?wait=60", 60)] {
        let began = Instant::now();
        let path = format!("{RECEIVE}{query}");
        let answer = bench(Ok(())).ask(with_key("GET", &path, "")).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        let waited = began.elapsed().as_secs_f64().round();
        assert_eq!(waited, f64::from(seconds), "{query}");
    }
}

#[tokio::test]
async fn nothing_is_handed_out_to_head() {
    let bench = with_message();
    let answer = bench.ask(with_key("HEAD", RECEIVE, "")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(bench.untouched());
}

#[tokio::test]
async fn wrong_waits_are_refused_by_name() {
    for query in ["wait=61", "wait=x", "wait=", "wait=1&wait=1", "wait=%FF"] {
        let path = format!("{RECEIVE}?{query}");
        check_bad(with_key("GET", &path, ""), 400, "invalid-query").await;
        let path = format!("{EVENTS}?receive=true&{query}");
        check_bad(with_key("POST", &path, GOOD), 400, "invalid-query").await;
    }
    let path = format!("{EVENTS}?receive=yes");
    check_bad(with_key("POST", &path, GOOD), 400, "invalid-query").await;
}

#[tokio::test]
async fn a_device_says_what_became_of_a_message() {
    for (path, outcome) in [
        (COMPLETE, Outcome::Complete),
        (ABANDON, Outcome::Abandon),
        (REJECT, Outcome::Reject),
        (
            "/Devices/dev-1/Messages/DEVICEBOUND/T%2D1/Reject",
            Outcome::Reject,
        ),
    ] {
        let bench = bench(Ok(()));
        let answer = bench.ask(with_key("POST", path, "")).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{path}");
        let call = Call::Settle(id(), "T-1".into(), outcome);
        assert_eq!(only_call(&bench), call);
    }
    let late = bench(Err(DeviceError::LockLost));
    let answer = late.ask(with_key("POST", COMPLETE, "")).await;
    assert_eq!(answer.status, StatusCode::GONE);
    answer.problem();
}

#[tokio::test(start_paused = true)]
async fn a_message_may_come_with_the_answer_to_telemetry() {
    let bench = with_message();
    let path = format!("{EVENTS}?receive=true");
    check_message(&bench.ask(with_key("POST", &path, GOOD)).await);
    let calls = bench.calls.lock().unwrap().clone();
    assert!(
        matches!(&calls[..], [Call::Send(..), Call::Receive(_)]),
        "{calls:?}"
    );

    // Asked for nothing, or nothing is there.
    for (bench, query) in [
        (with_message(), "receive=false"),
        (with_message(), "wait=5"),
        (self::bench(Ok(())), "receive=TRUE&wait=5"),
    ] {
        let path = format!("{EVENTS}?{query}");
        let answer = bench.ask(with_key("POST", &path, GOOD)).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        assert!(answer.body.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn what_keeps_a_message_from_being_handed_out_does_not_undo_telemetry() {
    let bench = with(Fake {
        receive_refusal: Some(DeviceError::Subscribed),
        ..Fake::default()
    });
    let path = format!("{EVENTS}?receive=true&wait=60");
    let answer = bench.ask(with_key("POST", &path, GOOD)).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    let answer = bench.ask(with_key("GET", RECEIVE, "")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}
