//! API keys with scopes.

use drawspan_gateway::{CallbackUrl, Prefix, Scope, Subscription};
use drawspan_hub::{SubscriptionType, UtcTime};
use drawspan_settings::ApiKey;

use super::paths::*;
use super::*;

fn bench_with(entries: &[(&str, &str, Option<&str>)]) -> Bench {
    bench_of(Fake::default(), entries)
}

fn bench_of(fake: Fake, entries: &[(&str, &str, Option<&str>)]) -> Bench {
    let calls = Arc::clone(&fake.calls);
    let entry = |(key, scopes, prefix): &(&str, &str, Option<&str>)| {
        ApiKey::entry(key, Some(scopes), *prefix, None).unwrap()
    };
    let keys: ApiKeys = entries.iter().map(entry).collect();
    Bench {
        api: Api::new(fake, keys, Duration::from_secs(30)),
        calls,
    }
}

#[tokio::test]
async fn a_key_that_may_not_is_told_so_before_anything_is_looked_at() {
    let check = async |key: &'static str, line: &str, body: &'static str, expected: u16| {
        let bench = bench_with(&[
            ("s", "send", Some("dev-")),
            ("r", "read", None),
            ("m", "manage", Some("dev-1")),
        ]);
        let (method, path) = line.split_once(' ').unwrap();
        let answer = bench.ask(ask(method, path, Some(key), body)).await;
        assert_eq!(answer.status.as_u16(), expected, "{key} {line}");
        if expected == 403 {
            assert_eq!(answer.problem()["type"], "urn:drawspan:problem:forbidden");
            assert!(bench.untouched(), "{key} {line}");
        }
    };
    check("s", "POST /Devices/dev-1/Messages/Events", GOOD, 200).await;
    check("s", "POST /devices/other/messages/events", "{", 403).await;
    check("s", "POST /devices/a%20b/messages/events", GOOD, 403).await;
    check("r", "POST /devices/dev-1/messages/events", GOOD, 403).await;
    check("s", "GET /devices/dev-1/twin", "", 200).await;
    check("r", "GET /devices/dev-1/twin", "", 200).await;
    check("m", "GET /devices/dev-1/twin", "", 403).await;
    check("r", "HEAD /devices/dev-1/diagnostics", "", 404).await;
    check("m", "HEAD /devices/dev-1/diagnostics", "", 403).await;
    check("m", "DELETE /devices/dev-1", "", 204).await;
    check("m", "DELETE /Devices/dev-2/", "", 403).await;
    check("s", "DELETE /devices/dev-1", "", 403).await;
    // Routes that there are not say so, once there is a key.
    check("s", "GET /devices/dev-1/unknown", "", 404).await;
    check("s", "PUT /devices/dev-1/twin", "", 405).await;
    check("x", "PUT /devices/dev-1/twin", "", 401).await;
}

/// What a device is called at DPS, and whether that is known.
async fn check_assigned(
    (assigned, known): (&str, bool),
    line: &str,
    body: &'static str,
    expected: u16,
) {
    let fake = Fake {
        assigned: Some((drawspan_hub::DeviceId::parse(assigned).unwrap(), known)),
        ..Fake::default()
    };
    let bench = bench_of(fake, &[("k", "read,send,manage", Some("Line-1-"))]);
    let (method, path) = line.split_once(' ').unwrap();
    let answer = bench.ask(ask(method, path, Some("k"), body)).await;
    assert_eq!(
        answer.status.as_u16(),
        expected,
        "{line} {assigned} {known}"
    );
    if expected == 403 {
        let problem = answer.problem();
        assert_eq!(problem["type"], "urn:drawspan:problem:forbidden");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(assigned), "{detail}");
        assert!(bench.untouched(), "{line}");
    }
}

#[tokio::test]
async fn a_key_with_a_prefix_is_for_devices_whose_id_at_dps_begins_so_too() {
    const SUB: &str = r#"{"callbackUrl":"https://example.com/x"}"#;
    let reaching = [
        ("POST /devices/Line-1-A/messages/events", GOOD, 200),
        ("GET /devices/Line-1-A/twin", "", 200),
        (
            "PATCH /devices/Line-1-A/twin/properties/reported",
            r#"{"patch":{}}"#,
            204,
        ),
        ("POST /devices/Line-1-A/registration", "{}", 200),
        ("GET /devices/Line-1-A/messages/deviceBound", "", 204),
        ("PUT /devices/Line-1-A/methods/sub", SUB, 200),
    ];
    let looking = [
        ("GET /devices/Line-1-A/connectionStatus", "", 404),
        ("GET /devices/Line-1-A/diagnostics", "", 404),
        ("GET /devices/Line-1-A/methods/sub", "", 404),
        ("DELETE /devices/Line-1-A/methods/sub", "", 204),
        ("POST /devices/Line-1-A/resync", "", 202),
        ("DELETE /devices/Line-1-A", "", 204),
        ("GET /deadLetters?deviceId=Line-1-A", "", 200),
    ];
    for (line, body, good) in reaching {
        check_assigned(("Line-1-A", false), line, body, good).await;
        check_assigned(("line-1-a", false), line, body, 403).await;
        check_assigned(("line-1-a", true), line, body, 403).await;
    }
    for (line, body, good) in looking {
        // DPS is not asked for that.
        check_assigned(("line-1-a", false), line, body, good).await;
        check_assigned(("line-1-a", true), line, body, 403).await;
    }
}

#[tokio::test]
async fn of_many_messages_those_for_devices_of_others_are_refused() {
    let fake = Fake {
        assigned: Some((drawspan_hub::DeviceId::parse("line-1-a").unwrap(), true)),
        ..Fake::default()
    };
    let bench = bench_of(fake, &[("k", "send", Some("Line-1-"))]);
    let body = r#"{"messages":[{"deviceId":"Line-1-A","data":{}}]}"#;
    let answer = bench
        .ask(ask("POST", "/messages/events", Some("k"), body))
        .await;
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(found["results"][0]["status"], 403, "{found}");
    assert!(bench.untouched());
}

#[tokio::test]
async fn only_who_may_change_a_callback_url_sees_its_query() {
    const URL: &str = "https://example.com/events?code=secret";
    let made = |scope: Scope| Subscription {
        scope,
        kind: SubscriptionType::Methods,
        callback: CallbackUrl::parse(URL).unwrap(),
        created_at: UtcTime::from_unix_ms(0),
        keep_connected: true,
    };
    let check = async |scopes: &str, prefix: Option<&str>, expected: &str| {
        let paths = [
            (METHODS_SUB, Scope::Device(id()), "/callbackUrl"),
            (
                "/subscriptions/Methods?prefix=dev-",
                Scope::Fleet(Prefix::parse("dev-").unwrap()),
                "/callbackUrl",
            ),
            (
                FLEET,
                Scope::Fleet(Prefix::parse("dev-").unwrap()),
                "/subscriptions/0/callbackUrl",
            ),
        ];
        for (path, scope, member) in paths {
            let fake = Fake {
                subscribed: Some((made(scope.clone()), None)),
                fleet: vec![made(scope)],
                ..Fake::default()
            };
            let key = ApiKey::entry(KEY, Some(scopes), prefix, None).unwrap();
            let api = Api::new(fake, [key].into_iter().collect(), Duration::from_secs(30));
            let answer = api.answer(with_key("GET", path, "")).await;
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let found: Value = serde_json::from_slice(&body).unwrap();
            let found = found.pointer(member).and_then(Value::as_str);
            assert_eq!(found, Some(expected), "{scopes} {path}");
        }
    };
    check("read", None, "https://example.com/events").await;
    check("read,send", None, "https://example.com/events").await;
    check("read", Some("dev-"), "https://example.com/events").await;
    check("read,manage", None, URL).await;
    check("read,manage", Some("dev-"), URL).await;
    check("read,send,manage", None, URL).await;
}

#[tokio::test]
async fn a_key_may_come_as_a_bearer_token() {
    let check = async |headers: &[(&str, &str)], status: u16, words: &str| {
        let bench = bench(Ok(()));
        let plain = request("GET", STATUS);
        let asked = headers.iter().fold(plain, |request, (name, value)| {
            request.header(*name, *value)
        });
        let answer = bench.ask(asked.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}");
        if status == 401 {
            let problem = answer.problem();
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(words), "{headers:?}: {detail}");
            let asked = answer.header("www-authenticate").unwrap();
            assert_eq!(asked, "ApiKey header=\"x-api-key\", Bearer");
        }
    };
    // 404 as its connection was never tried: the key was taken.
    check(&[("authorization", "Bearer k-1")], 404, "").await;
    check(&[("x-api-key", KEY), ("x-api-key", KEY)], 404, "").await;
    check(&[], 401, "x-api-key, or as: Authorization: Bearer KEY").await;
    check(&[("x-api-key", "k-2")], 401, "is wrong").await;
    check(
        &[("authorization", "Basic a")],
        401,
        "must hold: Bearer KEY",
    )
    .await;
    let both = [("x-api-key", "k-2"), ("authorization", "Bearer k-1")];
    check(&both, 401, "different API keys").await;
}
