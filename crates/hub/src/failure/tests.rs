use super::*;
use FailureKind as Kind;

const MIDNIGHT: Remedy = Remedy::WaitUntil(Until::MidnightUtc);

const fn after(seconds: u32) -> Remedy {
    Remedy::WaitUntil(Until::After { seconds })
}

fn description(code: u32) -> String {
    format!(r#"{{"errorCode":{code},"trackingId":"t","message":"m","timestampUtc":""}}"#)
}

/// One row: a code as the hub puts it into AMQP descriptions, with a less specific condition.
#[test]
fn codes() {
    let rows = [
        (400_001, Kind::InvalidRequest, Remedy::SlowRetry),
        (400_003, Kind::InvalidRequest, Remedy::SlowRetry),
        (400_004, Kind::InvalidRequest, Remedy::SlowRetry),
        (400_006, Kind::InvalidRequest, Remedy::SlowRetry),
        (400_024, Kind::Timeout, Remedy::SlowRetry),
        (400_027, Kind::LinkStolen, Remedy::Yield),
        (400_029, Kind::ConnectionLost, Remedy::SlowRetry),
        (400_030, Kind::HubMaintenance, after(60)),
        (401_001, Kind::HubNotFound, Remedy::SlowRetry),
        (401_002, Kind::Unauthorized, Remedy::Reauthenticate),
        (401_003, Kind::Unauthorized, Remedy::Reauthenticate),
        (403_001, Kind::HubSuspended, Remedy::SlowRetry),
        (403_002, Kind::QuotaExceeded, MIDNIGHT),
        (403_004, Kind::QueueFull, Remedy::SlowRetry),
        (403_005, Kind::TokenLimit, Remedy::OtherConnection),
        (403_006, Kind::Forbidden, Remedy::SlowRetry),
        (403_010, Kind::Forbidden, Remedy::SlowRetry),
        (403_012, Kind::DeviceDisabled, Remedy::Reprovision),
        (403_100, Kind::InvalidRequest, Remedy::SlowRetry),
        (403_800, Kind::Forbidden, Remedy::SlowRetry),
        (404_001, Kind::DeviceNotFound, Remedy::Reprovision),
        (404_006, Kind::NotFound, Remedy::SlowRetry),
        (404_010, Kind::DeviceNotFound, Remedy::Reprovision),
        (404_012, Kind::HubMaintenance, after(60)),
        (404_103, Kind::DeviceNotOnline, Remedy::SlowRetry),
        (404_104, Kind::ConnectionLost, Remedy::SlowRetry),
        (409_001, Kind::InvalidRequest, Remedy::SlowRetry),
        (409_002, Kind::LinkStolen, Remedy::Yield),
        (412_001, Kind::InvalidRequest, Remedy::SlowRetry),
        (412_002, Kind::LockLost, Remedy::SlowRetry),
        (413_001, Kind::MessageTooLarge, Remedy::SlowRetry),
        (429_000, Kind::Throttled, after(10)),
        (429_001, Kind::Throttled, after(10)),
        (429_002, Kind::Throttled, after(10)),
        (429_003, Kind::Throttled, after(10)),
        (429_005, Kind::Throttled, after(10)),
        (500_001, Kind::ServerError, Remedy::SlowRetry),
        (500_008, Kind::Timeout, Remedy::SlowRetry),
        (503_001, Kind::ServerError, Remedy::SlowRetry),
        (503_005, Kind::ServerError, Remedy::SlowRetry),
        (503_006, Kind::HubMaintenance, after(60)),
        (503_008, Kind::Throttled, after(10)),
        (503_102, Kind::ServerError, Remedy::SlowRetry),
        (504_101, Kind::Timeout, Remedy::SlowRetry),
        (599_999, Kind::ServerError, Remedy::SlowRetry),
    ];
    for (code, kind, remedy) in rows {
        let failure = Failure::from_amqp("amqp:internal-error", Some(&description(code)));
        assert_eq!((failure.kind, failure.remedy()), (kind, remedy), "{code}");
        assert_eq!(failure.code.map(ErrorCode::number), Some(code));
        assert_eq!(failure.tracking_id.as_deref(), Some("t"));

        let http = Failure::from_http(418, None, &description(code), None);
        assert_eq!(http.kind, kind, "{code}");
        let cbs = Failure::from_cbs(418, &description(code));
        assert_eq!(cbs.kind, kind, "{code}");
    }
}

/// One row: an AMQP condition without a code.
#[test]
fn conditions() {
    let rows = [
        (
            "amqp:unauthorized-access",
            Kind::Unauthorized,
            Remedy::Reauthenticate,
        ),
        ("amqp:not-found", Kind::DeviceNotFound, Remedy::Reprovision),
        (
            "amqp:resource-limit-exceeded",
            Kind::ResourceLimit,
            Remedy::SlowRetry,
        ),
        ("amqp:not-allowed", Kind::InvalidRequest, Remedy::SlowRetry),
        (
            "amqp:invalid-field",
            Kind::InvalidRequest,
            Remedy::SlowRetry,
        ),
        (
            "amqp:not-implemented",
            Kind::InvalidRequest,
            Remedy::SlowRetry,
        ),
        ("amqp:internal-error", Kind::ServerError, Remedy::SlowRetry),
        ("amqp:resource-locked", Kind::ServerError, Remedy::SlowRetry),
        (
            "amqp:connection:forced",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:connection:framing-error",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:connection:redirect",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:session:window-violation",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:session-errant-link",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:session:handle-in-use",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:session:unattached-handle",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:link:detach-forced",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:link:transfer-limit-exceeded",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        (
            "amqp:link:redirect",
            Kind::ConnectionLost,
            Remedy::SlowRetry,
        ),
        ("amqp:link:stolen", Kind::LinkStolen, Remedy::Yield),
        (
            "amqp:link:message-size-exceeded",
            Kind::MessageTooLarge,
            Remedy::SlowRetry,
        ),
        ("amqp:decode-error", Kind::Protocol, Remedy::SlowRetry),
        ("amqp:illegal-state", Kind::Protocol, Remedy::SlowRetry),
        (
            "amqp:frame-size-too-small",
            Kind::Protocol,
            Remedy::SlowRetry,
        ),
        (
            "amqp:precondition-failed",
            Kind::InvalidRequest,
            Remedy::SlowRetry,
        ),
        (
            "amqp:resource-deleted",
            Kind::InvalidRequest,
            Remedy::SlowRetry,
        ),
        ("com.microsoft:timeout", Kind::Timeout, Remedy::SlowRetry),
        (
            "com.microsoft:message-lock-lost",
            Kind::LockLost,
            Remedy::SlowRetry,
        ),
        (
            "com.microsoft:argument-error",
            Kind::InvalidRequest,
            Remedy::SlowRetry,
        ),
        (
            "com.microsoft:argument-out-of-range",
            Kind::InvalidRequest,
            Remedy::SlowRetry,
        ),
        (
            "com.microsoft:device-container-throttled",
            Kind::Throttled,
            after(10),
        ),
        (
            "com.microsoft:iot-hub-suspended",
            Kind::HubSuspended,
            Remedy::SlowRetry,
        ),
        (
            "com.microsoft:iot-hub-not-found-error",
            Kind::HubNotFound,
            Remedy::SlowRetry,
        ),
        (
            "com.microsoft:link-creation-conflict",
            Kind::LinkStolen,
            Remedy::Yield,
        ),
        (
            "com.microsoft:device-already-exists",
            Kind::InvalidRequest,
            Remedy::SlowRetry,
        ),
        (
            "com.microsoft:quota-exceeded",
            Kind::QuotaExceeded,
            MIDNIGHT,
        ),
        (
            "com.microsoft:server-busy",
            Kind::ServerError,
            Remedy::SlowRetry,
        ),
        ("com.example:never-seen", Kind::Unknown, Remedy::SlowRetry),
        ("", Kind::Unknown, Remedy::SlowRetry),
    ];
    for (condition, kind, remedy) in rows {
        for text in [
            None,
            Some(""),
            Some("some words"),
            Some(r#"{"errorCode":400000}"#),
        ] {
            let failure = Failure::from_amqp(condition, text);
            assert_eq!(
                (failure.kind, failure.remedy()),
                (kind, remedy),
                "{condition}"
            );
        }
    }
}

/// One row: the status of a put-token answer, without a code.
#[test]
fn cbs_statuses() {
    let rows = [
        (400, "", Kind::InvalidRequest),
        (401, "", Kind::Unauthorized),
        (403, "", Kind::Forbidden),
        (404, "", Kind::DeviceNotFound),
        (
            404,
            "Device d at IotHub contoso not registered.",
            Kind::DeviceNotFound,
        ),
        (408, "", Kind::Timeout),
        (429, "", Kind::Throttled),
        (500, "", Kind::ServerError),
        (
            500,
            "The maximum number of tokens per connection (1000) has been reached.",
            Kind::TokenLimit,
        ),
        (503, "", Kind::ServerError),
        (0, "", Kind::Unknown),
        (-1, "", Kind::Unknown),
    ];
    for (status, text, kind) in rows {
        assert_eq!(
            Failure::from_cbs(status, text).kind,
            kind,
            "{status} {text}"
        );
    }
}

/// One row: HTTP status and header, without a code in the body.
#[test]
fn http_statuses() {
    let rows = [
        (400, None, Kind::InvalidRequest),
        (401, None, Kind::Unauthorized),
        (403, None, Kind::Forbidden),
        (403, Some("IotHubQuotaExceeded"), Kind::QuotaExceeded),
        (403, Some("DeviceDisabled"), Kind::DeviceDisabled),
        (404, None, Kind::NotFound),
        (404, Some("DeviceNotFound"), Kind::DeviceNotFound),
        (404, Some("DeviceNotOnline"), Kind::DeviceNotOnline),
        (408, None, Kind::Timeout),
        (412, None, Kind::InvalidRequest),
        (413, None, Kind::MessageTooLarge),
        (429, None, Kind::Throttled),
        (429, Some("NoSuchName"), Kind::Throttled),
        (500, None, Kind::ServerError),
        (503, None, Kind::ServerError),
        (504, None, Kind::Timeout),
        (302, None, Kind::Unknown),
    ];
    for (status, header, kind) in rows {
        let failure = Failure::from_http(status, header, "", None);
        assert_eq!(failure.kind, kind, "{status} {header:?}");
        assert_eq!(failure.message, format!("HTTP status {status}"));
    }
}

#[test]
fn waits_are_at_least_what_is_known_to_help() {
    let wait = |status, header, asked| Failure::from_http(status, header, "", asked).remedy();
    assert_eq!(wait(429, None, None), after(10));
    assert_eq!(wait(429, None, Some(3)), after(10));
    assert_eq!(wait(429, None, Some(90)), after(90));
    assert_eq!(wait(404, Some("IotHubFailingOver"), Some(90)), after(90));
    assert_eq!(wait(500, None, Some(90)), Remedy::SlowRetry);
}

#[test]
fn only_a_refusal_of_the_device_may_mean_that_it_moved() {
    for code in [
        403_001, 403_002, 403_004, 403_005, 404_012, 404_103, 429_001, 429_005, 503_006,
    ] {
        let failure = Failure::from_amqp("amqp:not-found", Some(&description(code)));
        assert!(!failure.may_mean_moved(), "{code}");
    }
    for code in [
        401_003, 403_012, 404_001, 404_104, 500_001, 503_001, 504_101,
    ] {
        let failure = Failure::from_amqp("amqp:internal-error", Some(&description(code)));
        assert!(failure.may_mean_moved(), "{code}");
    }
    let down = Failure::local(Kind::HubUnreachable, "no route");
    assert!(!down.may_mean_moved());
    assert_eq!(down.remedy(), Remedy::HubDown);
}

#[test]
fn public_reasons() {
    use ConnectionStatusReason as Reason;
    let reason = |kind| Failure::local(kind, "").status_reason();
    assert_eq!(reason(Kind::Unauthorized), Reason::BadCredential);
    assert_eq!(reason(Kind::DeviceNotFound), Reason::DeviceDisabled);
    assert_eq!(reason(Kind::DeviceDisabled), Reason::DeviceDisabled);
    assert_eq!(reason(Kind::HubUnreachable), Reason::CommunicationError);
    assert_eq!(reason(Kind::Unknown), Reason::CommunicationError);
}

#[test]
fn words_for_people() {
    let text = |failure: Failure| failure.to_string();
    assert_eq!(
        text(Failure::from_amqp(
            "amqp:not-found",
            Some(&description(404_001))
        )),
        "m (code 404001, tracking id t)"
    );
    assert_eq!(
        text(Failure::from_amqp("amqp:link:stolen", None)),
        "amqp:link:stolen"
    );
    assert_eq!(
        text(Failure::from_cbs(401, "")),
        "put-token was answered 401"
    );
    let token = "SharedAccessSignature sr=h&sig=secret&se=1";
    let failure = Failure::from_cbs(401, token);
    assert!(!format!("{failure} {failure:?}").contains("secret"));
    assert!(
        !Failure::local(Kind::Unknown, token)
            .message
            .contains("secret")
    );
}

#[test]
fn a_limit_without_a_name_is_the_quota_for_telemetry_alone() {
    const LIMIT: &str = "amqp:resource-limit-exceeded";
    let check = |description: Option<&str>, elsewhere, outcome| {
        assert_eq!(Failure::from_amqp(LIMIT, description).kind, elsewhere);
        assert_eq!(Failure::from_outcome(LIMIT, description).kind, outcome);
    };
    check(None, Kind::ResourceLimit, Kind::QuotaExceeded);
    let links = "too many links on this connection";
    check(Some(links), Kind::ResourceLimit, Kind::QuotaExceeded);
    let quota = "Total number of messages on IotHub 'h' exceeded the allocated quota.";
    check(Some(quota), Kind::QuotaExceeded, Kind::QuotaExceeded);
    let code = r#"{"errorCode":403002}"#;
    check(Some(code), Kind::QuotaExceeded, Kind::QuotaExceeded);
    let other = r#"{"errorCode":403004}"#;
    check(Some(other), Kind::QueueFull, Kind::QueueFull);
    let busy = Failure::from_outcome("com.microsoft:server-busy", None);
    assert_eq!(busy.kind, Kind::ServerError);
}
