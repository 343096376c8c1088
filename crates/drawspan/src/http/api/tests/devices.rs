//! The routes of a device, one after the other, and everything that may be wrong with a request to each.

use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, ErrorCode, Failure, FailureKind, HostName,
    UtcTime,
};

use super::*;
use crate::devices::{DeviceState, Diagnostics, LastFailure};

const TWIN: &str = "/devices/dev-1/twin";
const REPORTED: &str = "/devices/dev-1/twin/properties/reported";
const REGISTRATION: &str = "/devices/dev-1/registration";
const STATUS: &str = "/devices/dev-1/connectionStatus";
const RESYNC: &str = "/devices/dev-1/resync";
const DIAGNOSTICS: &str = "/devices/dev-1/diagnostics";
const DEVICE: &str = "/devices/dev-1";

/// Method, path, a good body (none for routes that take none), the methods that the route allows.
const ROUTES: [(&str, &str, &str, &str); 8] = [
    ("POST", EVENTS, GOOD, "POST"),
    ("GET", TWIN, "", "GET,HEAD"),
    ("PATCH", REPORTED, r#"{"patch":{}}"#, "PATCH"),
    ("POST", REGISTRATION, "{}", "POST"),
    ("GET", STATUS, "", "GET,HEAD"),
    ("POST", RESYNC, "", "POST"),
    ("GET", DIAGNOSTICS, "", "GET,HEAD"),
    ("DELETE", DEVICE, "", "DELETE"),
];

fn id() -> DeviceId {
    DeviceId::parse("dev-1").unwrap()
}

/// The one thing that the devices were asked.
fn only_call(bench: &Bench) -> Call {
    match &bench.calls.lock().unwrap()[..] {
        [call] => call.clone(),
        other => panic!("{other:?}"),
    }
}

fn with_key(method: &str, path: &str, body: &'static str) -> Request<Body> {
    ask(method, path, Some(KEY), body)
}

#[tokio::test]
async fn a_twin_is_passed_on_as_it_came() {
    let bench = with(Fake {
        twin: r#"{"desired":{ "a":1.50,"$version":7},"reported":{"$version":1}}"#,
        ..Fake::default()
    });
    let answer = bench.ask(with_key("GET", TWIN, "")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(
        answer.body,
        r#"{"twin":{"properties":{"desired":{ "a":1.50,"$version":7},"reported":{"$version":1}}}}"#
    );
    assert_eq!(only_call(&bench), Call::Twin(id()));
}

#[tokio::test]
async fn a_twin_that_is_none_is_the_hubs_fault() {
    for twin in ["", "[]", "{", "null"] {
        let bench = with(Fake {
            twin,
            ..Fake::default()
        });
        let answer = bench.ask(with_key("GET", TWIN, "")).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{twin}");
        answer.problem();
    }
}

#[tokio::test]
async fn a_patch_is_passed_on_as_it_came() {
    let bench = bench(Ok(()));
    let body = r#"{"other":1,"Patch":{ "a" : null, "b":1.50 }}"#;
    let path = "/Devices/dev-1/TWIN/Properties/Reported/";
    let answer = bench.ask(with_key("PATCH", path, body)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());
    let patch = Bytes::from_static(br#"{ "a" : null, "b":1.50 }"#);
    assert_eq!(only_call(&bench), Call::Report(id(), patch));
}

#[tokio::test]
async fn a_patch_that_the_hub_finds_invalid_is_the_callers_mistake() {
    let check = async |code: Option<u32>, kind: FailureKind, status: u16| {
        let mut failure = Failure::local(kind, "too deep");
        failure.code = code.and_then(ErrorCode::new);
        let bench = bench(Err(DeviceError::Refused(failure)));
        let answer = bench
            .ask(with_key("PATCH", REPORTED, r#"{"patch":{}}"#))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{code:?}");
        let problem = answer.problem();
        assert_eq!(problem["code"].as_u64(), code.map(u64::from));
        assert_eq!(problem["detail"], "too deep");
    };
    check(Some(400_004), FailureKind::InvalidRequest, 400).await;
    check(None, FailureKind::InvalidRequest, 502).await;
    check(Some(412_002), FailureKind::InvalidRequest, 502).await;
    check(Some(401_003), FailureKind::Unauthorized, 502).await;
}

#[tokio::test]
async fn a_registration_needs_no_body() {
    let plain = |body: &'static str| {
        let request = request("POST", REGISTRATION).header("x-api-key", KEY);
        request.body(Body::from(body)).unwrap()
    };
    let bench = bench(Ok(()));
    let answer = bench.ask(plain("")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(only_call(&bench), Call::Register(id(), None));
    check_bad(plain("{}"), 415, "unsupported-media-type").await;
}

#[tokio::test]
async fn a_registration_may_name_a_model() {
    let check = async |body: &'static str, model: Option<&str>| {
        let bench = bench(Ok(()));
        let answer = bench.ask(with_key("POST", REGISTRATION, body)).await;
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &b""[..]),
            "{body}"
        );
        let expected = Call::Register(id(), model.map(str::to_owned));
        assert_eq!(only_call(&bench), expected, "{body}");
    };
    check("{}", None).await;
    check(r#"{"modelId":null}"#, None).await;
    check(r#"{"modelId":""}"#, None).await;
    check(
        r#"{"MODELID":"dtmi:com:example:Pump;1"}"#,
        Some("dtmi:com:example:Pump;1"),
    )
    .await;
    check(
        r#"{"modelId":"x","modelId":"dtmi:a;2","other":[]}"#,
        Some("dtmi:a;2"),
    )
    .await;
}

#[tokio::test]
async fn a_connection_status_is_there_once_the_device_tried() {
    let status = (
        ConnectionStatus::DisconnectedRetrying,
        ConnectionStatusReason::CommunicationError,
    );
    let bench = with(Fake {
        status: Some(status),
        ..Fake::default()
    });
    for path in [STATUS, "/devices/dev-1/CONNECTIONSTATUS"] {
        let answer = bench.ask(with_key("GET", path, "")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.body,
            r#"{"status":"Disconnected_Retrying","reason":"Communication_Error"}"#
        );
    }
    let answer = self::bench(Ok(())).ask(with_key("GET", STATUS, "")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(
        answer.problem()["type"],
        "urn:drawspan:problem:unknown-device"
    );
}

#[tokio::test]
async fn a_resync_is_taken_at_once() {
    let bench = bench(Ok(()));
    let answer = bench.ask(with_key("POST", RESYNC, "")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(only_call(&bench), Call::Resync(id()));
}

#[tokio::test]
async fn a_device_is_forgotten() {
    let bench = bench(Ok(()));
    let answer = bench.ask(with_key("DELETE", "/devices/Dev%2B2/", "")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let other = DeviceId::parse("Dev+2").unwrap();
    assert_eq!(only_call(&bench), Call::Forget(other));
}

#[tokio::test]
async fn diagnostics_tell_everything() {
    let at = |ms| UtcTime::from_unix_ms(ms);
    let known = Diagnostics {
        state: DeviceState::Waiting,
        since: Some(at(1_000)),
        status: Some((
            ConnectionStatus::Disconnected,
            ConnectionStatusReason::BadCredential,
        )),
        hub: Some(HostName::parse("hub.example").unwrap()),
        assigned_device_id: None,
        last_failure: Some(LastFailure {
            code: ErrorCode::new(401_003),
            kind: FailureKind::Unauthorized,
            tracking_id: Some("T-1".into()),
            message: "no".into(),
            at: at(2_000),
        }),
        failures: 3,
        next_attempt_at: Some(at(3_500)),
        permanent: false,
        wanted_until: None,
        connection: Some(4),
        token_slot: None,
    };
    let bench = with(Fake {
        diagnostics: Some(known),
        ..Fake::default()
    });
    let answer = bench.ask(with_key("GET", DIAGNOSTICS, "")).await;
    assert_eq!(answer.status, StatusCode::OK);
    let found: Value = serde_json::from_slice(&answer.body).unwrap();
    let expected = serde_json::json!({
        "deviceId": "dev-1", "state": "waiting", "since": "1970-01-01T00:00:01.0000000Z",
        "status": "Disconnected", "reason": "Bad_Credential", "hub": "hub.example", "assignedDeviceId": null,
        "lastFailure": {
            "code": 401_003, "kind": "unauthorized", "trackingId": "T-1", "message": "no",
            "at": "1970-01-01T00:00:02.0000000Z",
        },
        "failures": 3, "nextAttemptAt": "1970-01-01T00:00:03.5000000Z", "permanent": false,
        "wantedUntil": null, "connection": 4, "tokenSlot": null,
    });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn nothing_to_tell_of_an_unknown_device() {
    let answer = bench(Ok(())).ask(with_key("GET", DIAGNOSTICS, "")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    answer.problem();
}

// What may be wrong, for all routes.

#[tokio::test]
async fn every_route_asks_for_the_key_first() {
    for (_, path, _, _) in ROUTES {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            for key in [None, Some("wrong")] {
                check_bad(ask(method, path, key, "{"), 401, "unauthorized").await;
            }
        }
    }
}

#[tokio::test]
async fn every_route_refuses_ids_that_are_none() {
    for (method, path, body, _) in ROUTES {
        for bad in ["", "a%20b", "a%2Fb", "%C3%A4", "%FF", &"x".repeat(129)] {
            if bad.is_empty() && path == DEVICE {
                // The path of no device.
                continue;
            }
            let path = path.replace("dev-1", bad);
            check_bad(with_key(method, &path, body), 400, "invalid-device-id").await;
        }
    }
    let nobody = with_key("DELETE", "/devices/", "");
    check_bad(nobody, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn every_route_names_the_methods_that_it_takes() {
    for (_, path, body, allowed) in ROUTES {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            if allowed.split(',').any(|known| known == method) {
                continue;
            }
            check_bad(with_key(method, path, body), 405, "method-not-allowed").await;
            let answer = bench(Ok(())).ask(with_key(method, path, body)).await;
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn paths_beside_the_routes_are_404() {
    for path in [
        "/devices/dev-1/twin/properties",
        "/devices/dev-1/twin/properties/desired",
        "/devices/dev-1/twin/properties/reported/more",
        "/devices/dev-1/twin//properties/reported",
        "/devices/dev-1/connection-status",
        "/devices/dev-1/messages",
        "/devices/a/b/twin",
    ] {
        check_bad(with_key("GET", path, ""), 404, "not-found").await;
    }
}

#[tokio::test]
async fn routes_with_a_body_refuse_what_is_not_theirs() {
    let bad_for = |path: &str| -> &[&'static str] {
        match path {
            REPORTED => &[
                "{}",
                r#"{"patch":null}"#,
                r#"{"patch":[]}"#,
                r#"{"patch":"{}"}"#,
                r#"{"patch":1}"#,
                r#"{"patch":{}} x"#,
                r#"{"patch":{"a":}}"#,
                r#"{"patch":{},"patch":1}"#,
            ],
            REGISTRATION => &[
                r#"{"modelId":1}"#,
                r#"{"modelId":{}}"#,
                r#"{"modelId":"x"}"#,
                r#"{"modelId":"dtmi:a-b;1"}"#,
                r#"{"modelId":"\ud800"}"#,
            ],
            _ => &[],
        }
    };
    for (method, path, body, _) in ROUTES
        .into_iter()
        .filter(|(_, _, body, _)| !body.is_empty())
    {
        let everywhere = ["", " ", "null", "[]", "\"a\"", "1", "{", "{]"];
        for bad in everywhere.iter().chain(bad_for(path)) {
            check_bad(with_key(method, path, bad), 400, "invalid-body").await;
        }
        for content_type in [
            None,
            Some("text/plain"),
            Some("application/json; charset=utf-16"),
        ] {
            let request = request(method, path).header("x-api-key", KEY);
            let request = content_type.into_iter().fold(request, |request, value| {
                request.header("content-type", value)
            });
            check_bad(
                request.body(body.into()).unwrap(),
                415,
                "unsupported-media-type",
            )
            .await;
        }
        let packed = request(method, path)
            .header("x-api-key", KEY)
            .header("content-type", "application/json")
            .header("content-encoding", "gzip");
        check_bad(
            packed.body(body.into()).unwrap(),
            415,
            "unsupported-media-type",
        )
        .await;
        let large = Pieces::of([[b' '; 10_000].as_slice(); 100]);
        let large = request(method, path)
            .header("x-api-key", KEY)
            .header("content-type", "application/json")
            .body(large);
        check_bad(large.unwrap(), 413, "too-large").await;
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_never_end_are_given_up() {
    for (method, path, _, _) in ROUTES
        .into_iter()
        .filter(|(_, _, body, _)| !body.is_empty())
    {
        let endless = request(method, path)
            .header("x-api-key", KEY)
            .header("content-type", "application/json")
            .body(Body::new(Pieces(None)));
        check_bad(endless.unwrap(), 408, "body-timeout").await;
    }
}

#[tokio::test]
async fn a_body_where_none_is_taken_does_not_matter() {
    for (method, path, _, _) in ROUTES.into_iter().filter(|(_, _, body, _)| body.is_empty()) {
        let bench = bench(Ok(()));
        let plain = request(method, path).header("x-api-key", KEY);
        bench.ask(plain.body("not json".into()).unwrap()).await;
        assert!(!bench.untouched(), "{method} {path}");
    }
}

#[tokio::test]
async fn what_the_devices_cannot_do_is_told_by_every_route() {
    for (method, path, body, _) in ROUTES {
        let bench = bench(Err(DeviceError::QueueFull { retry_after_s: 3 }));
        let answer = bench.ask(with_key(method, path, body)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.header("retry-after"), Some("3"), "{path}");
        assert_eq!(answer.problem()["type"], "urn:drawspan:problem:queue-full");
    }
}
