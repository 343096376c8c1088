//! The effects of failures.

use drawspan_hub::ErrorCode;

use super::*;
use crate::limits::REFUSED_WAIT_MIN;

#[test]
fn failures_are_retried_quickly_then_slowly_for_ever() {
    let mut life = Life::connecting();
    assert_eq!(
        life.open_failed(FailureKind::ServerError),
        [shows(RETRYING)]
    );
    let (first, _) = life.deadline();
    assert_eq!(first, Duration::from_millis(100));
    life.permit();
    life.open_failed(FailureKind::ServerError);

    let mut attempts = 2;
    let effects = loop {
        assert_eq!(life.device.status(), Some(RETRYING));
        attempts += 1;
        let effects = life.fail_again(FailureKind::ServerError);
        if !effects.is_empty() {
            break effects;
        }
    };
    assert!((30..40).contains(&attempts), "{attempts}");
    assert!((s(300)..s(310)).contains(&life.now), "{:?}", life.now);
    assert_eq!(effects, [shows(EXPIRED)]);
    assert_eq!(life.deadline().0, s(150));
    life.permit();
    for _ in 0..20 {
        assert_eq!(life.open_failed(FailureKind::ServerError), []);
        assert_eq!(life.deadline().1, [life.asks_permit()]);
        life.permit();
    }
    life.open_failed(FailureKind::ServerError);
    assert_eq!(life.deadline().0, s(900), "the middle of 0 to 1800");
    life.permit();
    assert_eq!(life.opened(), [shows(CONNECTED)]);
}

#[test]
fn a_connection_that_keeps_breaking_is_one_series() {
    let mut life = Life::connected();
    for _ in 0..8 {
        life.later(5);
        life.lost(FailureKind::ConnectionLost);
        life.deadline();
        life.permit();
        life.opened();
    }
    life.lost(FailureKind::ConnectionLost);
    assert_eq!(life.deadline().0, s(10));
    life.permit();
    life.opened();

    life.later(60);
    life.lost(FailureKind::ConnectionLost);
    assert_eq!(
        life.deadline().0,
        Duration::from_millis(100),
        "it had stood"
    );
}

#[test]
fn a_connection_that_stood_ends_the_series_when_it_is_replaced_as_well() {
    let first_wait = |stands_s| {
        let mut life = Life::connected();
        for _ in 0..8 {
            life.lost(FailureKind::ConnectionLost);
            life.deadline();
            life.permit();
            life.opened();
        }
        life.later(stands_s);
        life.input(Input::Relocate);
        life.closed();
        life.permit();
        life.open_failed(FailureKind::ConnectionLost);
        life.deadline().0
    };
    assert_eq!(first_wait(59), s(10));
    assert_eq!(first_wait(60), Duration::from_millis(100));
}

#[test]
fn a_request_cuts_a_wait_short_once_a_minute() {
    let mut life = Life::connecting();
    life.open_failed(FailureKind::DeviceNotFound);
    let request = |life: &mut Life| {
        let at = life.now;
        life.input(Input::Use { at })
    };
    assert_eq!(request(&mut life), [life.asks_permit()]);
    life.permit();
    life.open_failed(FailureKind::DeviceNotFound);
    assert!((0..1000).all(|_| request(&mut life).is_empty()));
    life.later(59);
    assert_eq!(request(&mut life), []);
    life.later(1);
    assert_eq!(request(&mut life), [life.asks_permit()]);
}

#[test]
fn a_refusal_that_nobody_else_can_mend_is_not_asked_for_again_by_itself() {
    for kind in [FailureKind::DeviceNotFound, FailureKind::DeviceDisabled] {
        let mut life = Life::connecting();
        life.open_failed(kind);
        let State::Waiting { until, firm, .. } = life.device.state() else {
            panic!("{:?}", life.device.state());
        };
        assert!(until >= life.now + REFUSED_WAIT_MIN && !firm, "{until:?}");
    }
}

#[test]
fn an_unreachable_hub_is_not_the_devices_failure() {
    let mut life = Life::connected();
    life.later(3600);
    assert_eq!(
        life.lost(FailureKind::ConnectionLost),
        [shows(RETRYING)],
        "the connection broke first"
    );
    life.deadline();
    for _ in 0..1000 {
        life.permit();
        life.later(2);
        assert_eq!(
            life.open_failed(FailureKind::HubUnreachable),
            [life.asks_permit()]
        );
        assert_eq!(life.device.state(), State::Queued);
    }
    life.permit();
    life.open_failed(FailureKind::ServerError);
    assert!(life.waits());
    assert!(!life.device.retry.may_have_moved(life.now));
}

#[test]
fn what_the_hub_named_is_waited_for() {
    let mut life = Life::connecting();
    let throttled = Failure {
        retry_after_s: Some(100),
        ..Failure::local(FailureKind::Throttled, "")
    };
    let epoch = life.epoch();
    life.input(Input::OpenFailed {
        epoch,
        failure: &throttled,
    });
    let at = life.now;
    assert_eq!(life.input(Input::Use { at }), [], "a request does not help");
    assert_eq!(life.deadline().0, s(110));

    life.permit();
    life.open_failed(FailureKind::QuotaExceeded);
    let (waited, _) = life.deadline();
    let at_unix_s = MORNING_UNIX_S + life.now.as_secs();
    assert_eq!(at_unix_s % 86_400, 30, "half a minute past midnight");
    assert!(waited > s(13 * 3600));

    // The hub's clock is behind: yesterday's quota does not cost today.
    life.permit();
    life.open_failed(FailureKind::QuotaExceeded);
    assert_eq!(life.deadline().0, s(630));

    life.permit();
    life.open_failed(FailureKind::QuotaExceeded);
    assert_eq!(life.input(Input::Resync), [life.asks_permit()]);
}

#[test]
fn resync_tries_at_once_and_starts_the_schedule_again() {
    let mut life = Life::connecting();
    life.open_failed(FailureKind::ServerError);
    for _ in 0..10 {
        life.fail_again(FailureKind::ServerError);
    }
    assert_eq!(life.input(Input::Resync), [life.asks_permit()]);
    assert_eq!(life.input(Input::Resync), [], "once is enough");
    life.permit();
    life.open_failed(FailureKind::ServerError);
    assert_eq!(life.deadline().0, Duration::from_millis(100));
    assert!(
        Life::connected().input(Input::Resync).is_empty(),
        "nothing failed"
    );
}

#[test]
fn credentials_are_renewed_once_before_they_are_blamed() {
    let fresh = OpenOptions {
        fresh_token: true,
        ..OpenOptions::USUAL
    };
    let mut life = Life::connected();
    life.later(3600);
    assert_eq!(life.lost(FailureKind::Unauthorized), [shows(RETRYING)]);
    life.deadline();
    assert_eq!(life.permit(), [life.opens_as(fresh)]);
    // It did not come to trying it.
    life.open_failed(FailureKind::HubUnreachable);
    assert_eq!(life.permit(), [life.opens_as(fresh)]);
    assert_eq!(
        life.open_failed(FailureKind::Unauthorized),
        [shows(BAD_CREDENTIAL)]
    );
    life.deadline();
    life.permit();
    assert_eq!(life.opened(), [shows(CONNECTED)]);

    // After a good connection it starts again.
    life.later(60);
    assert_eq!(life.lost(FailureKind::Unauthorized), [shows(RETRYING)]);
    life.deadline();
    assert_eq!(life.permit(), [life.opens_as(fresh)]);
}

#[test]
fn a_full_connection_is_avoided_once() {
    let other = OpenOptions {
        other_connection: true,
        ..OpenOptions::USUAL
    };
    let mut life = Life::connecting();
    life.open_failed(FailureKind::TokenLimit);
    life.deadline();
    assert_eq!(life.permit(), [life.opens_as(other)]);
    life.opened();
    life.lost(FailureKind::ConnectionLost);
    life.deadline();
    assert_eq!(life.permit(), [life.opens()]);
}

#[test]
fn a_stolen_device_steps_back() {
    let mut life = Life::connected();
    assert_eq!(life.lost(FailureKind::LinkStolen), [shows(RETRYING)]);
    let at = life.now;
    assert_eq!(
        life.input(Input::Use { at }),
        [],
        "a request steals nothing back"
    );
    assert_eq!(life.deadline().0, s(20), "the middle of 10 to 30");
    life.permit();
    life.opened();

    life.later(120);
    life.lost(FailureKind::LinkStolen);
    assert_eq!(life.deadline().0, s(155), "the middle of 10 to 300");
    life.permit();
    life.opened();

    life.later(120);
    life.lost(FailureKind::LinkStolen);
    assert_eq!(
        life.input(Input::Permanent(true)),
        [life.asks_permit()],
        "a subscription does"
    );
    life.permit();
    life.opened();
    life.lost(FailureKind::LinkStolen);
    assert_eq!(
        life.input(Input::Resync),
        [life.asks_permit()],
        "and so does resync"
    );
    life.permit();
    life.opened();

    life.later(1800);
    life.lost(FailureKind::LinkStolen);
    assert_eq!(life.deadline().0, s(20), "forgotten");
}

#[test]
fn says_why_it_waits() {
    let mut life = Life::connecting();
    let failure = Failure::from_amqp("amqp:not-found", Some(r#"{"errorCode":404001}"#));
    let epoch = life.epoch();
    life.input(Input::OpenFailed {
        epoch,
        failure: &failure,
    });
    let State::Waiting { why, firm, .. } = life.device.state() else {
        panic!("{:?}", life.device.state());
    };
    assert_eq!(why.kind, FailureKind::DeviceNotFound);
    assert_eq!(why.code.map(ErrorCode::number), Some(404_001));
    assert!(!firm);
    assert_eq!(
        Failure::local(FailureKind::Throttled, "").remedy(),
        drawspan_hub::Remedy::WaitUntil(Until::After { seconds: 10 })
    );
}
