//! Events that could not be delivered.

use drawspan_gateway::{DeadLetter, DeadLetterQuery, Prefix};
use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};
use drawspan_settings::ApiKey;
use serde_json::json;

use super::paths::*;
use super::*;

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
        prefix: Prefix::default(),
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
async fn a_prefix_narrows_what_a_key_may_see() {
    let check = async |key: Option<&str>, query: &str, expected: Option<&[u64]>| {
        let key = ApiKey::entry(KEY, Some("read"), key, None).unwrap();
        let api = Api::new(
            letters(),
            [key].into_iter().collect(),
            Duration::from_secs(30),
        );
        let path = format!("{LETTERS}{query}");
        let answer = api.answer(with_key("GET", &path, "")).await;
        let status = answer.status().as_u16();
        let Some(expected) = expected else {
            assert_eq!(status, 403, "{path}");
            return;
        };
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let found: Value = serde_json::from_slice(&body).unwrap();
        let found = found["deadLetters"].as_array().unwrap().iter();
        let found: Vec<_> = found.map(|letter| letter["id"].as_u64().unwrap()).collect();
        assert_eq!(found, expected, "{path}");
    };
    check(None, "", Some(&[3, 7, 9])).await;
    check(None, "?prefix=a-", Some(&[3, 9])).await;
    check(None, "?prefix=b", Some(&[7])).await;
    check(Some("a-"), "", Some(&[3, 9])).await;
    check(Some("a-"), "?Prefix=a-1", Some(&[3, 9])).await;
    check(Some("a-"), "?prefix=a", Some(&[3, 9])).await;
    check(Some("a-"), "?prefix=", Some(&[3, 9])).await;
    check(Some("a-"), "?prefix=b-", None).await;
    check(Some("a-"), "?prefix=a-&deviceId=b-1", None).await;
}

#[tokio::test]
async fn a_bounded_key_reaches_its_part() {
    let check = async |method: &str, path: &str, status: u16| {
        let key = ApiKey::entry(KEY, None, Some("a-"), None).unwrap();
        let keys = [key].into_iter().collect();
        let api = Api::new(letters(), keys, Duration::from_secs(30));
        let answer = api.answer(with_key(method, path, "")).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        answer.into_body().collect().await.unwrap().to_bytes()
    };
    check("DELETE", "/deadLetters/3", 204).await;
    check("POST", "/deadLetters/9/replay", 202).await;
    // One of another device looks like one that is not there.
    let absent = check("DELETE", "/deadLetters/8", 404).await;
    assert_eq!(check("DELETE", "/deadLetters/7", 404).await, absent);
    assert_eq!(check("POST", "/deadLetters/7/replay", 404).await, absent);
    assert_eq!(check("POST", "/deadLetters/0/replay", 404).await, absent);
}
