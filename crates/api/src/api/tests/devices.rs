//! The routes of a device, one after the other.

use drawspan_gateway::{Change, DeviceState, Diagnostics, LastFailure};
use drawspan_hub::{
    ConnectionCause, ConnectionStatus, ConnectionStatusReason, DeviceId, ErrorCode, Failure,
    FailureKind, HostName, SubscriptionType, UtcTime,
};

use super::paths::*;
use super::*;

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
    check(Some(403_100), FailureKind::InvalidRequest, 400).await;
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
        wanted: vec![SubscriptionType::Methods, SubscriptionType::C2dMessages],
        refused: vec![SubscriptionType::Methods],
        history: vec![Change {
            at: at(2_000),
            status: ConnectionStatus::DisconnectedRetrying,
            reason: ConnectionStatusReason::CommunicationError,
            cause: Some(ConnectionCause::TokenExpired),
            detail: Some("hub.example: the token has expired".into()),
            session: Some(std::time::Duration::from_millis(61_500)),
        }],
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
        "wanted": ["Methods", "C2DMessages"], "refused": ["Methods"],
        "history": [{
            "at": "1970-01-01T00:00:02.0000000Z", "status": "Disconnected_Retrying", "reason": "Communication_Error",
            "cause": "token-expired", "detail": "hub.example: the token has expired", "sessionSeconds": 61.5,
        }],
    });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn nothing_to_tell_of_an_unknown_device() {
    let answer = bench(Ok(())).ask(with_key("GET", DIAGNOSTICS, "")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    answer.problem();
}
