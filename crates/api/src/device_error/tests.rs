//! The public side of the failure table: every row of it, and the caller's view.

use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse as _;
use drawspan_hub::RegistrationId;

use super::*;

/// Status, last word of the type, `Retry-After`.
fn shown(error: DeviceError) -> (u16, String, Option<u64>) {
    let problem = Problem::from(error);
    let document: serde_json::Value = serde_json::from_slice(&problem.to_json()).unwrap();
    let slug = document["type"].as_str().unwrap();
    let slug = slug.rsplit(':').next().unwrap().to_owned();
    let response = problem.into_response();
    let seconds = response.headers().get(RETRY_AFTER);
    let seconds = seconds.map(|value| value.to_str().unwrap().parse().unwrap());
    (response.status().as_u16(), slug, seconds)
}

#[test]
fn every_error_of_the_devices_has_its_status() {
    let check = |error: DeviceError, status: u16, slug: &str, retry_after_s: Option<u64>| {
        let expected = (status, slug.to_owned(), retry_after_s);
        assert_eq!(shown(error.clone()), expected, "{error:?}");
    };
    let no_registration = RegistrationId::parse("a%b").unwrap_err();
    check(DeviceError::TooLarge, 413, "too-large", None);
    check(
        DeviceError::Throttled { retry_after_s: 7 },
        429,
        "throttled",
        Some(7),
    );
    check(
        DeviceError::HubUnreachable {
            retry_after_s: 2,
            why: None,
        },
        503,
        "hub-unreachable",
        Some(2),
    );
    check(
        DeviceError::QueueFull { retry_after_s: 0 },
        503,
        "queue-full",
        Some(1),
    );
    check(DeviceError::NotReady, 503, "not-ready", Some(5));
    check(DeviceError::NotSent, 503, "not-sent-in-time", Some(5));
    check(
        DeviceError::Delayed(Delay::Credit),
        503,
        "not-sent-in-time",
        Some(5),
    );
    check(DeviceError::FateUnknown, 504, "fate-unknown", Some(5));
    let refused_until = |kind, retry_after_s| DeviceError::RefusedUntil {
        failure: Failure::local(kind, "said"),
        retry_after_s,
    };
    let gone = refused_until(FailureKind::DeviceNotFound, 61);
    check(gone, 502, "hub-refused", Some(61));
    let throttled = refused_until(FailureKind::Throttled, 3);
    check(throttled, 429, "throttled", Some(10));
    check(
        DeviceError::IdNotForDps(no_registration),
        400,
        "invalid-device-id",
        None,
    );
    check(DeviceError::NotListed, 404, "unknown-device", None);
}

#[test]
fn every_kind_of_refusal_has_its_status() {
    use FailureKind as Kind;
    let expected = |kind| match kind {
        Kind::MessageTooLarge => (413, "too-large", None),
        Kind::Throttled => (429, "throttled", Some(10)),
        Kind::HubUnreachable | Kind::ConnectionLost | Kind::HubMaintenance => {
            (503, "hub-unreachable", Some(5))
        }
        Kind::TokenLimit => (503, "not-ready", Some(5)),
        Kind::ConnectionsFull => (503, "connections-full", Some(5)),
        Kind::Timeout => (504, "fate-unknown", Some(5)),
        Kind::HubSuspended
        | Kind::HubNotFound
        | Kind::Unauthorized
        | Kind::DeviceNotFound
        | Kind::DeviceDisabled
        | Kind::LinkStolen
        | Kind::QuotaExceeded
        | Kind::ResourceLimit
        | Kind::QueueFull
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::DeviceNotOnline
        | Kind::LockLost
        | Kind::InvalidRequest
        | Kind::Protocol
        | Kind::ServerError
        | Kind::Unknown => (502, "hub-refused", None),
    };
    for kind in FailureKind::ALL {
        let (status, slug, seconds) = expected(kind);
        let error = DeviceError::Refused(Failure::local(kind, "said"));
        assert_eq!(shown(error), (status, slug.to_owned(), seconds), "{kind:?}");
    }
}

#[test]
fn advice_follows_what_the_hub_said() {
    for said in ["not registered", "not registered."] {
        let failure = Failure::local(FailureKind::DeviceNotFound, said);
        let problem = Problem::from(DeviceError::RefusedUntil {
            failure,
            retry_after_s: 61,
        });
        let text = String::from_utf8(problem.to_json()).unwrap();
        let expected = "not registered. A request in 61 s makes";
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_longer_wait_that_the_hub_asks_for_is_passed_on() {
    let check = |asked, expected| {
        let mut failure = Failure::local(FailureKind::Throttled, "slow");
        failure.retry_after_s = asked;
        assert_eq!(shown(DeviceError::Refused(failure)).2, Some(expected));
    };
    check(None, 10);
    check(Some(3), 10);
    check(Some(30), 30);
}

#[test]
fn ids_that_dps_does_not_take_are_named() {
    let error = RegistrationId::parse("a%b").unwrap_err();
    let problem = Problem::from(DeviceError::IdNotForDps(error));
    let text = String::from_utf8(problem.to_json()).unwrap();
    assert!(
        text.contains("cannot be registered at DPS") && text.contains("'%' at position 2"),
        "{text}"
    );
}
