//! Requests that are refused, and the answers to devices.

use drawspan_amqp::performative::{DeliveryState, SenderSettleMode};
use drawspan_amqp::value::Value;
use serde_json::json;

use super::super::client::{code_in, connect_as, device_token, start};
use super::{DESIRED, REPORTED, Twin, answers, request, requests};
use crate::support::ask;

#[tokio::test]
async fn a_device_that_may_not_has_no_twin() {
    let running = start(&["a", "b"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let error = client.attach(answers("b")).await.unwrap_err();
    assert_eq!(error.condition.as_str(), "amqp:unauthorized-access");
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    twin.report(&mut client, json!({ "of": "the first" })).await;
    let body = r#"{"deviceId":"a","status":"disabled"}"#;
    ask(&running, "PUT", "/devices/a", &[("If-Match", "*")], body).await;
    for link in [twin.requests, twin.answers] {
        let error = client.detached(link).await;
        assert_eq!(
            (error.condition.as_str(), code_in(&error)),
            ("amqp:unauthorized-access", 403_012)
        );
    }
    assert_eq!(
        ask(&running, "DELETE", "/devices/a", &[], "").await.status,
        204
    );
    assert_eq!(
        ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"a"}"#)
            .await
            .status,
        200
    );
    let fresh = ask(&running, "GET", "/twins/a", &[], "").await.json();
    assert_eq!(
        fresh["properties"]["reported"].get("of"),
        None,
        "another device of that name"
    );
}

#[tokio::test]
async fn bad_requests_are_answered_with_json() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    for (operation, resource, body, status, code) in [
        ("PATCH", REPORTED, "{", 400, 400_006),
        ("PATCH", REPORTED, "", 400, 400_006),
        ("PATCH", REPORTED, "[1]", 400, 400_004),
        ("PATCH", REPORTED, r#"{"$version":1}"#, 400, 400_004),
        ("PATCH", REPORTED, r#"{"a.b":1}"#, 400, 400_004),
        ("PATCH", REPORTED, r##"{"a":{"b#c":1}}"##, 400, 400_004),
        ("PATCH", REPORTED, r#"{"a":[{"b":null}]}"#, 400, 400_004),
        ("PATCH", "/properties/desired", "{}", 400, 400_003),
        ("PATCH", "", "{}", 400, 400_003),
        ("PUT", REPORTED, "{}", 400, 400_003),
        ("GET", DESIRED, " ", 400, 400_003),
        ("POST", "", " ", 400, 400_003),
        ("", "", " ", 400, 400_003),
    ] {
        let heard = twin.ask(&mut client, operation, resource, body).await;
        let what = format!("{operation} {resource} {body}");
        assert_eq!((heard.status, heard.version), (status, None), "{what}");
        assert_eq!(heard.body["errorCode"], code, "{what}");
    }
    let large: String = (0..9)
        .map(|n| format!(r#""{n}":"{}","#, "x".repeat(4_000)))
        .collect();
    let heard = twin
        .ask(
            &mut client,
            "PATCH",
            REPORTED,
            &format!("{{{large}\"z\":1}}"),
        )
        .await;
    assert_eq!(
        (heard.status, &heard.body["errorCode"]),
        (403, &json!(403_100))
    );
    let text = "'Properties.Reported' size should be less than 32768 bytes.";
    assert_eq!(heard.body["message"], text);
    let read = twin.ask(&mut client, "GET", "", " ").await;
    assert_eq!(
        read.body["reported"],
        json!({ "$version": 1 }),
        "nothing else happened"
    );
}

#[tokio::test]
async fn a_report_of_another_version_is_refused() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    for (version, expected) in [
        (Value::Long(1), (204, Some(2))),
        (Value::Long(1), (412, None)),
        (Value::Long(3), (412, None)),
        (Value::Long(-1), (412, None)),
        (Value::from("x"), (412, None)),
        (Value::Int(2), (204, Some(3))),
        (Value::Null, (204, Some(4))),
    ] {
        let heard = twin
            .report_version(&mut client, version.clone(), json!({ "a": 1 }))
            .await;
        assert_eq!((heard.status, heard.version), expected, "{version:?}");
        if expected.0 == 412 {
            assert_eq!(heard.body["errorCode"], 412_001, "{version:?}");
        }
    }
}

#[tokio::test]
async fn requests_that_cannot_be_answered_are_rejected() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let mut options = requests("a");
    options.snd_settle_mode = SenderSettleMode::Mixed;
    let link = client.attach(options).await.unwrap();
    let patch = request(Some("x".into()), "PATCH", REPORTED, r#"{"a":1}"#).to_bytes();
    let rejected = |state: DeliveryState| match state {
        DeliveryState::Rejected(Some(error)) => error.condition.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    // Out of order: nowhere to answer.
    let state = client.deliver(link, 0, &patch).await;
    assert_eq!(rejected(state), "amqp:not-allowed");
    let other_session = client.begin();
    client.attach_on(other_session, answers("a")).await.unwrap();
    let state = client.deliver(link, 0, &patch).await;
    assert_eq!(
        rejected(state),
        "amqp:not-allowed",
        "a pair is on one session"
    );
    client.attach(answers("a")).await.unwrap();
    let nameless = request(None, "PATCH", REPORTED, r#"{"a":1}"#).to_bytes();
    let state = client.deliver(link, 0, &nameless).await;
    assert_eq!(rejected(state), "amqp:invalid-field");
    let state = client.deliver(link, 0, b"no message").await;
    assert_eq!(rejected(state), "amqp:decode-error");
    let seen = ask(&running, "GET", "/twins/a", &[], "").await.json();
    assert_eq!(
        seen["properties"]["reported"]["$version"], 1,
        "nothing happened"
    );
    assert_eq!(
        client.deliver(link, 0, &patch).await,
        DeliveryState::Accepted
    );
}

#[tokio::test]
async fn requests_that_are_too_large_are_refused_even_when_settled() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    client.heed_no_size();
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    twin.send(&mut client, "PATCH", REPORTED, &" ".repeat(300 * 1024))
        .await;
    let error = client.detached(twin.requests).await;
    assert_eq!(error.condition.as_str(), "amqp:link:message-size-exceeded");
}
