//! Subscriptions of a device.

use drawspan_gateway::{CallbackUrl, Scope, Subscribe, Subscription, SubscriptionStatus};
use drawspan_hub::{SubscriptionType, UtcTime};
use serde_json::json;

use super::paths::*;
use super::*;

const URL: &str = "https://example.com/events?code=1";

/// Each kind and its path.
const KINDS: [(SubscriptionType, &str); 4] = [
    (SubscriptionType::DesiredProperties, DESIRED_SUB),
    (SubscriptionType::Methods, METHODS_SUB),
    (SubscriptionType::C2dMessages, C2D_SUB),
    (SubscriptionType::ConnectionStatus, STATUS_SUB),
];

fn subscription(kind: SubscriptionType) -> Subscription {
    Subscription {
        scope: Scope::Device(id()),
        kind,
        callback: CallbackUrl::parse(URL).unwrap(),
        created_at: UtcTime::from_unix_ms(1_500),
        keep_connected: kind.needs_connection(),
    }
}

fn json_of(answer: &HttpAnswer) -> Value {
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_put_makes_it_and_shows_it() {
    for (kind, path) in KINDS {
        let bench = bench(Ok(()));
        let body = r#"{"x":[1],"CallbackURL":"https://example.com/events?code=1"}"#;
        let answer = bench.ask(with_key("PUT", path, body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let mut expected = json!({
            "deviceId": "dev-1", "subscriptionType": kind.as_str(), "callbackUrl": URL,
            "createdAt": "1970-01-01T00:00:00.0000000Z",
        });
        if kind != SubscriptionType::ConnectionStatus {
            expected["status"] = "Starting".into();
        }
        assert_eq!(json_of(&answer), expected);
        let subscribe = Subscribe {
            scope: Scope::Device(id()),
            kind,
            callback: CallbackUrl::parse(URL).unwrap(),
            keep_connected: kind.needs_connection(),
            limited: false,
        };
        assert_eq!(only_call(&bench), Call::Subscribe(subscribe));
    }
}

#[tokio::test]
async fn a_get_shows_it() {
    for (kind, path) in KINDS {
        let status = kind
            .needs_connection()
            .then_some(SubscriptionStatus::Stopped);
        let bench = with(Fake {
            subscribed: Some((subscription(kind), status)),
            ..Fake::default()
        });
        let lower = path.to_ascii_lowercase();
        for path in [path, &lower] {
            let answer = bench.ask(with_key("GET", path, "")).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            let found = json_of(&answer);
            assert_eq!(found["createdAt"], "1970-01-01T00:00:01.5000000Z");
            let status = found.get("status").and_then(Value::as_str);
            assert_eq!(status, kind.needs_connection().then_some("Stopped"));
        }
        let call = Call::Subscription(Scope::Device(id()), kind);
        assert_eq!(bench.calls.lock().unwrap()[..], [call.clone(), call]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_to_read_and_204_to_remove() {
    for (kind, path) in KINDS {
        let answer = bench(Ok(())).ask(with_key("GET", path, "")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let expected = "urn:drawspan:problem:no-subscription";
        assert_eq!(answer.problem()["type"], expected);

        for refusal in [Ok(()), Err(DeviceError::NoSubscription)] {
            let bench = bench(refusal);
            let answer = bench.ask(with_key("DELETE", path, "")).await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
            assert!(answer.body.is_empty());
            let call = Call::Unsubscribe(Scope::Device(id()), kind);
            assert_eq!(only_call(&bench), call);
        }
    }
}

#[tokio::test]
async fn what_keeps_it_from_being_made_is_told() {
    let check = async |error: DeviceError, status: u16, words: &str| {
        let answer = bench(Err(error)).ask(with_key("PUT", C2D_SUB, SUB)).await;
        assert_eq!(answer.status.as_u16(), status);
        let problem = answer.problem();
        assert!(
            problem["detail"].as_str().unwrap().contains(words),
            "{problem}"
        );
    };
    let refused = DeviceError::CallbackRefused("Use --allow-callbacks.".into());
    check(refused, 400, "--allow-callbacks").await;
    check(DeviceError::NotStored(None), 503, "stored").await;
    check(DeviceError::NotReady, 503, "starting").await;
}
