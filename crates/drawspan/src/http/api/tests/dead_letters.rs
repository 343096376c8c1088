//! Events that could not be delivered.

use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};
use serde_json::json;

use super::paths::*;
use super::*;
use crate::devices::{DeadLetter, DeadLetterQuery};
use crate::http::auth::ApiKey;

fn letter(id: u64, device: &str) -> DeadLetter {
    DeadLetter {
        id,
        webhook_id: format!("c2d_{id}"),
        device: DeviceId::parse(device).unwrap(),
        kind: SubscriptionType::C2dMessages,
        event: Bytes::from_static(br#"{"eventType":"C2DMessage","n":1.50}"#),
        origin: "https://example.com:443".into(),
        reason: "500".into(),
        attempts: 6,
        failed_at: UtcTime::from_unix_ms(0),
    }
}

fn letters() -> Fake {
    Fake {
        letters: vec![letter(3, "a-1"), letter(7, "b-1"), letter(9, "a-1")],
        ..Fake::default()
    }
}

#[tokio::test]
async fn they_are_listed_page_by_page() {
    let bench = with(letters());
    let path = "/deadletters?DeviceId=a%2D1&subscriptionType=C2DMessages&after=2&limit=2";
    let answer = bench.ask(with_key("GET", path, "")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(
        text.contains(r#""event":{"eventType":"C2DMessage","n":1.50}"#),
        "{text}"
    );
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    let shown = |id: u64, device: &str| {
        json!({
            "id": id, "webhookId": format!("c2d_{id}"), "deviceId": device, "subscriptionType": "C2DMessages",
            "event": {"eventType": "C2DMessage", "n": 1.5}, "origin": "https://example.com:443",
            "reason": "500", "attempts": 6, "failedAt": "1970-01-01T00:00:00.0000000Z",
        })
    };
    let expected = json!({"deadLetters": [shown(3, "a-1"), shown(7, "b-1")], "continuation": "7"});
    assert_eq!(found, expected);
    let query = DeadLetterQuery {
        device: Some(DeviceId::parse("a-1").unwrap()),
        kind: Some(SubscriptionType::C2dMessages),
        after: Some(2),
        limit: 3,
    };
    assert_eq!(only_call(&bench), Call::DeadLetters(query));

    let answer = bench.ask(with_key("GET", "/deadLetters?after=7", "")).await;
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(found, json!({"deadLetters": [shown(9, "a-1")]}));
}

#[tokio::test]
async fn one_that_is_no_json_does_not_hide_the_others() {
    let mut broken = letter(1, "a");
    broken.event = Bytes::from_static(b"{");
    let bench = with(Fake {
        letters: vec![broken, letter(2, "a")],
        ..Fake::default()
    });
    let answer = bench.ask(with_key("GET", LETTERS, "")).await;
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(found["deadLetters"][0]["event"], Value::Null);
    assert_eq!(found["deadLetters"][1]["id"], 2);
}

#[tokio::test]
async fn one_is_sent_again_or_removed() {
    for (method, path, status, call) in [
        ("POST", REPLAY, 202, Call::Replay(7)),
        ("POST", "/DeadLetters/7/Replay/", 202, Call::Replay(7)),
        ("DELETE", LETTER, 204, Call::Discard(7)),
    ] {
        let bench = bench(Ok(()));
        let answer = bench.ask(with_key(method, path, "")).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (status, 0));
        assert_eq!(only_call(&bench), call);
    }
}

#[tokio::test]
async fn those_that_are_not_there_are_404() {
    for id in ["x", "-1", "1.5", "%3F", "99999999999999999999"] {
        let path = format!("/deadLetters/{id}");
        check_bad(with_key("DELETE", &path, ""), 404, "no-dead-letter").await;
        let path = format!("/deadLetters/{id}/replay");
        check_bad(with_key("POST", &path, ""), 404, "no-dead-letter").await;
    }
    for (error, slug) in [
        (DeviceError::NoDeadLetter, "no-dead-letter"),
        (DeviceError::NoSubscription, "no-subscription"),
    ] {
        let answer = bench(Err(error)).ask(with_key("POST", REPLAY, "")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let expected = format!("urn:drawspan:problem:{slug}");
        assert_eq!(answer.problem()["type"], expected);
    }
}

#[tokio::test]
async fn wrong_conditions_are_refused_by_name() {
    for query in [
        "limit=0",
        "limit=101",
        "after=-1",
        "after=x",
        "deviceId=a%20b",
        "subscriptionType=C2D",
    ] {
        let path = format!("{LETTERS}?{query}");
        check_bad(with_key("GET", &path, ""), 400, "invalid-query").await;
    }
}

#[tokio::test]
async fn a_bounded_key_reaches_its_part() {
    let check = async |method: &str, path: &str, status: u16| {
        let key = ApiKey::entry(KEY, None, Some("a-"), None).unwrap();
        let keys = [key].into_iter().collect();
        let api = Api::new(letters(), keys, Duration::from_secs(30));
        let answer = api.answer(with_key(method, path, "")).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
    };
    check("DELETE", "/deadLetters/3", 204).await;
    check("DELETE", "/deadLetters/7", 403).await;
    check("DELETE", "/deadLetters/8", 404).await;
    check("POST", "/deadLetters/9/replay", 202).await;
    check("POST", "/deadLetters/7/replay", 403).await;
    check("POST", "/deadLetters/0/replay", 404).await;
}
