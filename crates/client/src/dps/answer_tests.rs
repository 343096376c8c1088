use super::*;

fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status,
        error_code: None,
        skew: None,
        retry_after_s: Some(7),
        continuation: None,
        body: body.to_owned().into(),
    }
}

fn next(body: &str) -> Result<Next, Failure> {
    OperationStatus::read(&reply(200, body))?.into_next()
}

#[test]
fn a_look_up_tells_an_unknown_device_from_an_unknown_scope() {
    let check = |status: u16, body: &str| known(&reply(status, body));
    let unknown = r#"{"errorCode":404201,"message":"The registration does not exist"}"#;
    assert_eq!(check(404, unknown), Ok(None));
    let scope = r#"{"errorCode":404201,"message":"The id scope does not exist"}"#;
    assert_eq!(check(404, scope).unwrap_err().kind, FailureKind::NotFound);
    let refused = r#"{"errorCode":401002,"message":"Unauthorized"}"#;
    assert_eq!(
        check(401, refused).unwrap_err().kind,
        FailureKind::Unauthorized
    );
    let known =
        r#"{"registrationId":"d","assignedHub":"h.test","deviceId":"D","status":"assigned"}"#;
    let expected = Assigned {
        hub: HostName::parse("h.test").unwrap(),
        device: DeviceId::parse("D").unwrap(),
    };
    assert_eq!(check(200, known), Ok(Some(expected)));
    assert_eq!(check(200, r#"{"status":"failed"}"#), Ok(None));
    assert!(check(200, "?").is_err());
}

#[test]
fn an_assignment_names_hub_and_device() {
    let body = r#"{"operationId":"4.a","status":"assigned","registrationState":
        {"assignedHub":"Contoso.Example","deviceId":"Other","substatus":"initialAssignment","more":[1]}}"#;
    let expected = Assigned {
        hub: HostName::parse("contoso.example").unwrap(),
        device: DeviceId::parse("Other").unwrap(),
    };
    assert_eq!(next(body), Ok(Next::Assigned(expected)));
}

#[test]
fn a_hub_that_has_no_amqp_is_refused_by_the_name_of_its_profile() {
    let of = |profile: &str| {
        next(&format!(
            r#"{{"operationId":"4.a","status":"assigned","registrationState":
            {{"assignedHub":"h.test","deviceId":"d","connectionProfile":"{profile}"}}}}"#
        ))
    };
    assert!(of("Classic").is_ok());
    let failure = of("mqttV5").unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidRequest);
    assert!(failure.message.contains("mqttV5"), "{}", failure.message);
}

#[test]
fn what_is_under_way_is_asked_after() {
    for status in ["assigning", "unassigned"] {
        let body = format!(r#"{{"operationId":"4.a","status":"{status}"}}"#);
        let (operation, wait_s) = ("4.a".to_owned(), 7);
        assert_eq!(next(&body), Ok(Next::Ask { operation, wait_s }));
    }
}

#[test]
fn waits_are_bounded() {
    let waits = [None, Some(0), Some(1), Some(299), Some(301), Some(u32::MAX)];
    assert_eq!(waits.map(wait_s), [2, 1, 1, 299, 300, 300]);
}

#[test]
fn answers_without_sense_are_the_services_fault() {
    let long = "x".repeat(limits::DPS_OPERATION_ID_CHARS + 1);
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"status":7}"#,
        r#"{"status":"lost"}"#,
        r#"{"status":"assigning"}"#,
        r#"{"status":"assigning","operationId":""}"#,
        &format!(r#"{{"status":"assigning","operationId":"{long}"}}"#),
        r#"{"status":"assigned"}"#,
        r#"{"status":"assigned","registrationState":{"deviceId":"a"}}"#,
        r#"{"status":"assigned","registrationState":{"assignedHub":"https://h","deviceId":"a"}}"#,
        r#"{"status":"assigned","registrationState":{"assignedHub":"h","deviceId":"a b"}}"#,
        r#"{"status":"assigned","registrationState":{"assignedHub":"h"}}"#,
    ] {
        let failure = next(body).unwrap_err();
        assert_eq!(failure.kind, FailureKind::ServerError, "{body}: {failure}");
        assert!(failure.message.contains("makes no sense"), "{failure}");
    }
}

#[test]
fn a_registration_that_failed_says_why() {
    let failed = |state: &str| {
        let body =
            format!(r#"{{"operationId":"4.a","status":"failed","registrationState":{{{state}}}}}"#);
        let failure = next(&body).unwrap_err();
        (
            failure.kind,
            failure.code.map(|code| code.number()),
            failure.message,
        )
    };
    assert_eq!(
        failed(r#""errorCode":400208,"errorMessage":"no hub is linked""#),
        (
            FailureKind::InvalidRequest,
            Some(400_208),
            "no hub is linked".into()
        )
    );
    // A hub is throttled, says the service; the hub's own words are kept.
    assert_eq!(
        failed(
            r#""errorCode":429001,"errorMessage":"{\"Message\":\"ErrorCode:ThrottlingException;slow down\"}""#
        ),
        (FailureKind::Throttled, Some(429_001), "slow down".into())
    );
    assert_eq!(
        failed(""),
        (FailureKind::Unknown, None, "the registration failed".into())
    );
    let disabled = next(r#"{"status":"disabled"}"#).unwrap_err();
    assert_eq!(disabled.kind, FailureKind::DeviceDisabled);
    assert_eq!(disabled.message, "the enrollment is disabled");
}

#[test]
fn refusals_keep_code_tracking_id_and_wait() {
    let check = |status, body: &str, kind, code| {
        let failure = OperationStatus::read(&reply(status, body)).unwrap_err();
        assert_eq!((failure.kind, failure.retry_after_s), (kind, Some(7)));
        assert_eq!(failure.code.map(|code| code.number()), code, "{failure}");
        failure
    };
    let body = r#"{"errorCode":401002,"trackingId":"t-1","message":"Unauthorized","timestampUtc":"","info":{}}"#;
    let failure = check(401, body, FailureKind::Unauthorized, Some(401_002));
    assert_eq!(failure.tracking_id.as_deref(), Some("t-1"));
    assert_eq!(failure.message, "Unauthorized");
    check(
        404,
        r#"{"errorCode":404201}"#,
        FailureKind::NotFound,
        Some(404_201),
    );
    check(429, "", FailureKind::Throttled, None);
    check(503, "<html>", FailureKind::ServerError, None);
    check(307, "", FailureKind::Unknown, None);
}
