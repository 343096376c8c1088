//! Whether a caller waits for a device without hope.

use super::*;

/// The state of a device whose attempt failed like this, and what a caller with so many seconds is to do.
fn check(kind: FailureKind, patience_s: u64, expected: Option<u64>) {
    let mut life = Life::connecting();
    life.open_failed(kind);
    let now = Now {
        monotonic: life.now,
        unix_s: MORNING_UNIX_S,
    };
    let hopeless = life.device.hopeless(life.now + s(patience_s), now);
    let next_try = hopeless.map(|it| (it.next_try - life.now).as_secs());
    assert_eq!(next_try, expected, "{kind:?}, {patience_s} s");
    if let Some(hopeless) = hopeless {
        assert_eq!(hopeless.why.kind, kind);
    }
}

#[test]
fn a_caller_waits_while_that_may_help() {
    use FailureKind as Kind;
    check(Kind::ServerError, 30, None);
    check(Kind::ConnectionLost, 30, None);
    // It asked for ten seconds, and gets some more.
    check(Kind::Throttled, 30, None);
    check(Kind::Throttled, 5, Some(11));
    check(Kind::HubMaintenance, 30, Some(66));
    check(Kind::Forbidden, 30, Some(0));
    check(Kind::ConnectionsFull, 30, Some(0));
    check(Kind::LinkStolen, 3600, Some(20));
    // A fresh token may do.
    check(Kind::Unauthorized, 30, None);
    check(Kind::HubUnreachable, 30, None);
}

#[test]
fn whoever_comes_as_a_wait_ends_waits_for_the_next_attempt() {
    let mut life = Life::connecting();
    life.open_failed(FailureKind::DeviceNotFound);
    let State::Waiting { until, .. } = life.device.state() else {
        panic!("{:?}", life.device.state());
    };
    // Its timer has not been looked at yet.
    for (since, refused) in [(-1_i64, true), (0, false), (3, false)] {
        let now = match since < 0 {
            true => until - s(1),
            false => until + s(since as u64),
        };
        let hopeless = life.device.hopeless(now + s(30), now_at(now));
        assert_eq!(hopeless.is_some(), refused, "{since} s");
    }
}

fn now_at(monotonic: Duration) -> Now {
    Now {
        monotonic,
        unix_s: MORNING_UNIX_S,
    }
}

#[test]
fn a_refusal_by_dps_is_final_at_once_where_no_hub_is_known() {
    for kind in [
        FailureKind::Unauthorized,
        FailureKind::DeviceNotFound,
        FailureKind::DeviceDisabled,
    ] {
        let mut life = Life::new(Assignment::dps(None));
        life.input(USED);
        life.permit();
        life.assign_failed(kind);
        let now = Now {
            monotonic: life.now,
            unix_s: MORNING_UNIX_S,
        };
        let hopeless = life.device.hopeless(s(30), now).expect("refused");
        assert_eq!((hopeless.why.kind, hopeless.next_try), (kind, s(60)));
        let words = match kind {
            FailureKind::Unauthorized => BAD_CREDENTIAL,
            _ => DEVICE_DISABLED,
        };
        assert_eq!(life.device.status(), Some(words));
        // DPS may be asked again after its interval; a request makes that earlier once, not at once.
        life.later(59);
        let at = life.now;
        assert_eq!(life.input(Input::Use { at }), []);
        assert_eq!(life.device.next_deadline(), Some(s(300)));
        life.later(1);
        let at = life.now;
        assert_eq!(life.input(Input::Use { at }), [life.asks_permit()]);
        assert_eq!(life.permit(), [life.provisions()]);
        life.assign_failed(kind);
        let next = s(300 + 600);
        for _ in 0..9 {
            life.later(60);
            let at = life.now;
            assert_eq!(life.input(Input::Use { at }), [], "once");
            let hopeless = life.device.hopeless(at + s(30), now).expect("refused");
            assert_eq!(hopeless.next_try, next);
        }
        while life.now < next {
            life.later(60);
            let at = life.now;
            life.input(Input::Use { at });
        }
        assert_eq!(life.device.state(), State::Queued);
        assert_eq!(life.permit(), [life.provisions()]);
        life.assign_failed(kind);
        // That one was in its time.
        life.later(60);
        let at = life.now;
        assert_eq!(life.input(Input::Use { at }), [life.asks_permit()]);
    }
}

#[test]
fn a_device_that_its_hub_does_not_know_any_more_says_when_it_tries_again() {
    let mut life = Life::connecting();
    life.open_failed(FailureKind::DeviceNotFound);
    let at = |seconds| Now {
        monotonic: s(seconds),
        unix_s: MORNING_UNIX_S,
    };
    let next_try = |life: &Life, seconds: u64| {
        let hopeless = life.device.hopeless(s(seconds + 30), at(seconds));
        hopeless.expect("refused").next_try
    };
    // A first request tries it again, the next ones after their interval.
    assert_eq!(next_try(&life, 1), s(1));
    life.later(1);
    let used = life.now;
    assert_eq!(life.input(Input::Use { at: used }), [life.asks_permit()]);
    life.permit();
    life.open_failed(FailureKind::DeviceNotFound);
    assert_eq!(next_try(&life, 2), s(61));
}

#[test]
fn a_connected_device_has_no_failures() {
    let mut life = Life::connecting();
    for _ in 0..3 {
        life.open_failed(FailureKind::ServerError);
        life.deadline();
        life.permit();
    }
    assert_eq!(life.device.failures(), 3);
    life.opened();
    assert_eq!(life.device.failures(), 0);
    // A connection that does not stand goes on with the series, so that waits grow.
    life.lost(FailureKind::ServerError);
    assert_eq!(life.device.failures(), 4);
}

#[test]
fn a_scope_that_dps_does_not_know_is_a_bad_credential() {
    for kind in [
        FailureKind::NotFound,
        FailureKind::Forbidden,
        FailureKind::Unauthorized,
    ] {
        let mut life = Life::new(Assignment::dps(None));
        life.input(Input::Permanent(true));
        assert_eq!(life.permit(), [life.provisions()]);
        let words = (
            ConnectionStatus::Disconnected,
            ConnectionStatusReason::BadCredential,
        );
        assert_eq!(life.assign_failed(kind), [shows(words)], "{kind:?}");
    }
}
