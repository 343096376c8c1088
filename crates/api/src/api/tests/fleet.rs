//! The list of devices, and subscriptions for many of them.

use drawspan_gateway::{
    CallbackUrl, ListPage, ListQuery, Listed, Prefix, Scope, Subscribe, Subscription,
};
use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, HostName, SubscriptionType, UtcTime,
};
use drawspan_settings::ApiKey;
use serde_json::json;

use super::paths::*;
use super::*;

fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

fn prefix(text: &str) -> Prefix {
    Prefix::parse(text).unwrap()
}

#[tokio::test]
async fn devices_are_listed_page_by_page() {
    let bench = with(Fake {
        page: ListPage {
            devices: vec![
                Listed {
                    device: device("a-1"),
                    status: Some((
                        ConnectionStatus::Connected,
                        ConnectionStatusReason::ConnectionOk,
                    )),
                    hub: Some(HostName::parse("hub.example").unwrap()),
                    subscriptions: vec![SubscriptionType::Methods, SubscriptionType::C2dMessages],
                },
                Listed {
                    device: device("a-2"),
                    status: None,
                    hub: None,
                    subscriptions: vec![],
                },
            ],
            next: Some(device("a-2")),
        },
        ..Fake::default()
    });
    let path = "/Devices?prefix=a-&status=connected&subscription=c2dmessages&after=a%2D0&limit=2";
    let answer = bench.ask(with_key("GET", path, "")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = json!({
        "devices": [
            {"deviceId": "a-1", "status": "Connected", "reason": "Connection_Ok", "hub": "hub.example",
             "subscriptions": ["Methods", "C2DMessages"]},
            {"deviceId": "a-2", "status": null, "reason": null, "hub": null, "subscriptions": []},
        ],
        "continuation": "a-2",
    });
    assert_eq!(found, expected);
    let query = ListQuery {
        prefix: prefix("a-"),
        within: Prefix::default(),
        status: Some(ConnectionStatus::Connected),
        subscription: Some(SubscriptionType::C2dMessages),
        after: Some(device("a-0")),
        limit: 2,
    };
    assert_eq!(only_call(&bench), Call::List(query));
}

#[tokio::test]
async fn a_list_without_conditions_has_everything() {
    let bench = bench(Ok(()));
    let answer = bench.ask(with_key("GET", LIST, "")).await;
    assert_eq!(answer.body, r#"{"devices":[]}"#);
    let query = ListQuery {
        limit: 100,
        ..ListQuery::default()
    };
    assert_eq!(only_call(&bench), Call::List(query));
}

#[tokio::test]
async fn wrong_conditions_are_refused_by_name() {
    for query in [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "status=Unknown",
        "status=",
        "subscription=C2D",
        "after=",
        "after=a%20b",
        "prefix=a%2Fb",
        "prefix=a&Prefix=b",
    ] {
        let path = format!("{LIST}?{query}");
        check_bad(with_key("GET", &path, ""), 400, "invalid-query").await;
        let name = query.split('=').next().unwrap();
        let problem = bench(Ok(()))
            .ask(with_key("GET", &path, ""))
            .await
            .problem();
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&format!("`{name}`")), "{query}: {detail}");
    }
}

fn subscription(of: &str, kind: SubscriptionType) -> Subscription {
    Subscription {
        scope: Scope::Fleet(prefix(of)),
        kind,
        callback: CallbackUrl::parse("https://example.com/x").unwrap(),
        created_at: UtcTime::from_unix_ms(0),
        keep_connected: true,
    }
}

fn shown(of: &str, kind: &str, keep_connected: bool) -> Value {
    json!({
        "prefix": of, "subscriptionType": kind, "callbackUrl": "https://example.com/x",
        "keepConnected": keep_connected, "createdAt": "1970-01-01T00:00:00.0000000Z",
    })
}

#[tokio::test]
async fn a_fleet_subscription_is_made() {
    let keeps = r#"{"callbackUrl":"https://example.com/x","KeepConnected":true}"#;
    let null = r#"{"callbackUrl":"https://example.com/x","keepConnected":null}"#;
    for (path, body, of, keep_connected) in [
        ("/subscriptions/Methods?prefix=a%2D", SUB, "a-", false),
        ("/Subscriptions/METHODS", keeps, "", true),
        ("/subscriptions/methods?prefix=", null, "", false),
    ] {
        let bench = bench(Ok(()));
        let answer = bench.ask(with_key("PUT", path, body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let found: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(found, shown(of, "Methods", keep_connected));
        let subscribe = Subscribe {
            scope: Scope::Fleet(prefix(of)),
            kind: SubscriptionType::Methods,
            callback: CallbackUrl::parse("https://example.com/x").unwrap(),
            keep_connected,
            limited: false,
        };
        assert_eq!(only_call(&bench), Call::Subscribe(subscribe));
    }
}

#[tokio::test]
async fn fleet_subscriptions_are_shown_and_removed() {
    let kind = SubscriptionType::ConnectionStatus;
    let bench = with(Fake {
        subscribed: Some((subscription("a-", kind), None)),
        fleet: vec![
            subscription("", kind),
            subscription("a-", SubscriptionType::Methods),
        ],
        ..Fake::default()
    });
    let json = |answer: HttpAnswer| -> Value { serde_json::from_slice(&answer.body).unwrap() };
    let path = "/subscriptions/ConnectionStatus?prefix=a-";
    let found = json(bench.ask(with_key("GET", path, "")).await);
    assert_eq!(found, shown("a-", "ConnectionStatus", true));
    let found = json(bench.ask(with_key("GET", FLEET, "")).await);
    let all = [
        shown("", "ConnectionStatus", true),
        shown("a-", "Methods", true),
    ];
    assert_eq!(found, json!({ "subscriptions": all }));
    let answer = bench.ask(with_key("DELETE", path, "")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let scope = Scope::Fleet(prefix("a-"));
    let expected = [
        Call::Subscription(scope.clone(), kind),
        Call::FleetSubscriptions,
        Call::Unsubscribe(scope, kind),
    ];
    assert_eq!(bench.calls.lock().unwrap()[..], expected);

    let answer = self::bench(Ok(())).ask(with_key("GET", path, "")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let expected = "urn:drawspan:problem:no-subscription";
    assert_eq!(answer.problem()["type"], expected);
}

#[tokio::test]
async fn what_cannot_be_subscribed_to_is_refused() {
    for method in ["GET", "PUT", "DELETE"] {
        check_bad(
            with_key(method, "/subscriptions/C2D", SUB),
            404,
            "not-found",
        )
        .await;
        let path = "/subscriptions/Methods?prefix=a%20b";
        check_bad(with_key(method, path, SUB), 400, "invalid-query").await;
    }
    for keep in ["1", "\"true\"", "[]", "{}"] {
        let body = format!(r#"{{"callbackUrl":"https://a.b","keepConnected":{keep}}}"#);
        let request = request("PUT", FLEET_SUB)
            .header("x-api-key", KEY)
            .header("content-type", "application/json");
        check_bad(request.body(body.into()).unwrap(), 400, "invalid-body").await;
    }
}

#[tokio::test]
async fn a_bounded_key_sees_its_part() {
    let fake = Fake {
        fleet: vec![
            subscription("", SubscriptionType::Methods),
            subscription("a-", SubscriptionType::Methods),
            subscription("a-1", SubscriptionType::Methods),
            subscription("b-", SubscriptionType::Methods),
        ],
        ..Fake::default()
    };
    let key = ApiKey::entry(KEY, Some("read"), Some("a-"), None).unwrap();
    let keys = [key].into_iter().collect();
    let api = Api::new(fake, keys, Duration::from_secs(30));
    let answer = api.answer(with_key("GET", FLEET, "")).await;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let found: Value = serde_json::from_slice(&body).unwrap();
    let prefixes = found["subscriptions"].as_array().unwrap().iter();
    let prefixes: Vec<_> = prefixes
        .map(|one| one["prefix"].as_str().unwrap())
        .collect();
    assert_eq!(prefixes, ["a-", "a-1"]);
}
