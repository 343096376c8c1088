//! When DPS is asked for the hub of a device.

use super::*;

#[test]
fn an_unknown_hub_is_asked_of_dps() {
    let mut life = Life::new(Assignment::dps(None));
    assert_eq!(life.input(USED), [life.asks_permit()]);
    assert_eq!(life.permit(), [life.provisions()]);
    assert_eq!(life.device.next_deadline(), None);
    assert_eq!(life.assigned("a.net"), [life.opens()]);
    assert_eq!(life.device.hub(), Some(&hub("a.net")));

    let mut life = Life::new(Assignment::dps(Some(hub("cached.net"))));
    life.input(USED);
    assert_eq!(life.permit(), [life.opens()]);
}

#[test]
fn a_device_that_its_hub_does_not_know_registers_again_within_its_budget() {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    assert_eq!(
        life.open_failed(FailureKind::DeviceNotFound),
        [shows(DEVICE_DISABLED)]
    );
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    let registered_at = life.now;
    assert_eq!(life.assigned("b.net"), [life.opens()]);

    // Until the budget allows more, only a request tries the hub that is known, once a minute.
    life.open_failed(FailureKind::DeviceNotFound);
    let State::Waiting { until, why, firm } = life.device.state() else {
        panic!("{:?}", life.device.state());
    };
    assert_eq!((why.kind, firm), (FailureKind::DeviceNotFound, false));
    assert_eq!(until, registered_at + s(300));
    assert!(!life.device.has_another_way());
    let at = life.now;
    assert_eq!(life.input(Input::Use { at }), [life.asks_permit()]);
    assert_eq!(life.permit(), [life.opens()], "the known hub");
    life.open_failed(FailureKind::DeviceNotFound);
    assert_eq!(life.device.next_deadline(), Some(registered_at + s(300)));
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    life.assigned("b.net");

    // The new hub does not know it either.
    let mut registered_at = life.now;
    for expected in [600, 1200, 1800, 1800] {
        life.open_failed(FailureKind::DeviceNotFound);
        life.deadline();
        assert_eq!(life.permit(), [life.provisions()]);
        assert_eq!(life.now - registered_at, s(expected));
        registered_at = life.now;
        life.assigned("b.net");
    }

    // A connection that stands ends that.
    life.opened();
    life.later(3600);
    life.lost(FailureKind::DeviceNotFound);
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    assert!(!life.device.is_forgettable(Now {
        monotonic: life.now,
        unix_s: 0
    }));
    life.assign_failed(FailureKind::ServerError);
    life.deadline();
    assert_eq!(life.permit(), [life.opens()], "the known hub");
}

#[test]
fn a_known_hub_is_tried_again_when_dps_refuses() {
    for kind in [
        FailureKind::Unauthorized,
        FailureKind::DeviceNotFound,
        FailureKind::DeviceDisabled,
    ] {
        let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
        life.input(Input::Permanent(true));
        life.permit();
        life.open_failed(FailureKind::DeviceNotFound);
        life.deadline();
        assert_eq!(life.permit(), [life.provisions()]);
        for _ in 0..3 {
            let registered_at = life.now;
            life.assign_failed(kind);
            life.deadline();
            assert_eq!(life.permit(), [life.opens()], "{kind:?}");
            // It refuses still: DPS is asked again, within the budget.
            life.open_failed(FailureKind::DeviceNotFound);
            life.deadline();
            if life.waits() {
                life.deadline();
            }
            assert_eq!(life.permit(), [life.provisions()]);
            assert!(life.now - registered_at >= s(300));
        }
    }

    // Where no hub is known, there is nothing else to ask.
    let mut life = Life::new(Assignment::dps(None));
    life.input(Input::Permanent(true));
    life.permit();
    life.assign_failed(FailureKind::DeviceNotFound);
    assert_eq!(life.device.next_deadline(), Some(s(300)));
}

#[test]
fn without_dps_a_refused_device_is_tried_on() {
    let mut life = Life::connecting();
    assert_eq!(
        life.open_failed(FailureKind::DeviceNotFound),
        [shows(DEVICE_DISABLED)]
    );
    for _ in 0..100 {
        life.fail_again(FailureKind::DeviceNotFound);
    }
    assert_eq!(life.device.status(), Some(DEVICE_DISABLED));
}

#[test]
fn ten_failures_and_a_quarter_of_an_hour_ask_dps() {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.open_failed(FailureKind::ServerError);
    let began = life.now;
    loop {
        life.deadline();
        let effects = life.permit();
        if effects == [life.provisions()] {
            break;
        }
        assert_eq!(effects, [life.opens()]);
        life.open_failed(FailureKind::ServerError);
    }
    assert!(life.now - began >= s(900), "{:?}", life.now);
    assert!(life.now - began < s(2400), "{:?}", life.now);

    // That was asked; the hub that it named is tried, ten times again.
    assert_eq!(life.assigned("a.net"), [life.opens()]);
    for _ in 0..9 {
        life.open_failed(FailureKind::ServerError);
        life.deadline();
        assert_eq!(life.permit(), [life.opens()]);
    }

    // Not because of load.
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.open_failed(FailureKind::Throttled);
    for _ in 0..500 {
        life.deadline();
        assert_eq!(life.permit(), [life.opens()]);
        life.open_failed(FailureKind::Throttled);
    }
}

#[test]
fn failures_of_dps_are_no_reason_to_ask_dps() {
    let mut life = Life::new(Assignment::dps(None));
    life.input(Input::Permanent(true));
    for _ in 0..9 {
        assert_eq!(life.permit(), [life.provisions()]);
        life.assign_failed(FailureKind::ServerError);
        life.deadline();
        life.later(110);
    }
    life.permit();
    assert_eq!(life.assigned("a.net"), [life.opens()]);
    life.open_failed(FailureKind::ServerError);
    life.deadline();
    assert_eq!(life.permit(), [life.opens()], "the first of ten");
}

#[test]
fn when_dps_does_not_answer_a_known_hub_is_tried_and_nothing_is_charged() {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.open_failed(FailureKind::DeviceNotFound);
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    life.assign_failed(FailureKind::ServerError);
    life.deadline();
    assert_eq!(life.permit(), [life.opens()], "the known hub");

    let mut life = Life::new(Assignment::dps(None));
    life.input(Input::Permanent(true));
    for _ in 0..10 {
        assert_eq!(life.permit(), [life.provisions()]);
        assert_eq!(life.device.state(), State::Provisioning);
        let effects = life.assign_failed(FailureKind::HubUnreachable);
        assert!(effects.contains(&life.asks_permit()));
    }
    life.permit();
    life.assigned("a.net");
    life.open_failed(FailureKind::DeviceNotFound);
    assert_eq!(
        life.device.next_deadline(),
        Some(s(300)),
        "one registration"
    );
}

#[test]
fn an_idle_device_is_forgettable_once_its_registration_is_no_longer_counted() {
    let mut life = Life::new(Assignment::dps(None));
    life.input(Input::Permanent(true));
    life.permit();
    life.input(Input::Permanent(false));
    life.assigned("a.net");
    let forgettable = |life: &Life| {
        life.device.is_forgettable(Now {
            monotonic: life.now,
            unix_s: 0,
        })
    };
    assert!(!forgettable(&life));
    assert_eq!(life.device.next_deadline(), Some(s(300)), "to be forgotten");
    life.later(300);
    assert!(forgettable(&life));
    life.input(Input::Deadline);
    assert_eq!(life.device.next_deadline(), None);
    assert!(!forgettable(&Life::connected()));
}

#[test]
fn a_registration_by_request_helps_a_device_that_waits_for_dps() {
    let registered = |life: &mut Life| life.input(Input::Registered { hub: hub("b.net") });

    let mut life = Life::new(Assignment::dps(None));
    life.input(USED);
    let stale = life.epoch();
    assert_eq!(registered(&mut life), [life.asks_permit()]);
    assert_eq!(
        life.input(Input::Permit { epoch: stale }),
        [Effect::ReturnPermit { epoch: stale }],
        "DPS's permit is for somebody else"
    );
    assert_eq!(life.permit(), [life.opens()]);
    assert_eq!(life.device.hub(), Some(&hub("b.net")));

    // It is charged.
    life.open_failed(FailureKind::DeviceNotFound);
    assert_eq!(life.device.next_deadline(), Some(s(300)));
    assert_eq!(registered(&mut life), [life.asks_permit()]);

    // A device that queues at another hub queues again; one that queues there already stays.
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(USED);
    assert_eq!(registered(&mut life), [life.asks_permit()]);
    assert_eq!(registered(&mut life), []);

    let mut life = Life::connected();
    assert_eq!(registered(&mut life), []);
    assert_eq!(life.device.hub(), Some(&hub("h.net")), "fixed");

    let mut life = Life::new(Assignment::dps(None));
    assert_eq!(registered(&mut life), []);
    assert_eq!(life.device.state(), State::Idle);
}

#[test]
fn what_one_hub_said_does_not_count_at_another() {
    for kind in [
        FailureKind::QuotaExceeded,
        FailureKind::DeviceNotFound,
        FailureKind::LinkStolen,
    ] {
        for (named, expected) in [("a.net", false), ("b.net", true)] {
            let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
            life.input(Input::Permanent(true));
            life.permit();
            life.open_failed(kind);
            let waits = life.device.state();
            let effects = life.input(Input::Registered { hub: hub(named) });
            let queues = effects == [life.asks_permit()];
            // The hub that does not know it may do so now.
            let expected = expected || kind == FailureKind::DeviceNotFound;
            assert_eq!(queues, expected, "{waits:?}, {named}: {effects:?}");
        }
    }
}

#[test]
fn a_device_that_is_released_is_wanted_by_nobody() {
    let mut life = Life::connected();
    life.input(USED);
    assert_eq!(life.input(Input::Release), [shows(DISABLED), life.closes()]);
    assert_eq!(life.closed(), []);
    assert_eq!(life.device.state(), State::Idle);
    assert_eq!(life.device.next_deadline(), None);
}

#[test]
fn a_resync_asks_dps_again_whatever_the_budget_says() {
    let mut life = Life::new(Assignment::dps(None));
    life.input(Input::Permanent(true));
    life.permit();
    life.assigned("a.net");
    life.open_failed(FailureKind::DeviceDisabled);
    assert_eq!(life.device.next_deadline(), Some(s(300)));
    assert_eq!(life.input(Input::Resync), [life.asks_permit()]);
    assert_eq!(life.permit(), [life.provisions()]);

    // DPS itself refused it: what it said is remembered, and a resync asks again.
    let mut life = Life::new(Assignment::dps(None));
    life.input(Input::Permanent(true));
    life.permit();
    life.assign_failed(FailureKind::DeviceNotFound);
    let at = life.now;
    life.input(Input::Use { at });
    let State::Waiting { why, firm, .. } = life.device.state() else {
        panic!("{:?}", life.device.state());
    };
    assert_eq!((why.kind, firm), (FailureKind::DeviceNotFound, false));
    assert_eq!(life.input(Input::Resync), [life.asks_permit()]);
    assert_eq!(life.permit(), [life.provisions()]);
}

#[test]
fn a_device_that_is_released_forgets_its_hub() {
    let mut life = Life::new(Assignment::dps(None));
    life.input(USED);
    life.permit();
    life.assigned("a.net");
    life.opened();
    life.input(Input::Release);
    life.closed();
    assert_eq!(life.device.hub(), None);
    let now = Now {
        monotonic: life.now,
        unix_s: 0,
    };
    assert!(life.device.is_forgettable(now));
}

#[test]
fn what_has_not_been_tried_yet_is_another_way() {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.open_failed(FailureKind::ServerError);
    assert!(!life.device.has_another_way());
    life.deadline();
    life.permit();
    life.open_failed(FailureKind::Unauthorized);
    assert!(life.device.has_another_way(), "another key");
    life.deadline();
    life.permit();
    life.open_failed(FailureKind::Unauthorized);
    assert!(life.device.has_another_way(), "DPS");
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    life.assigned("a.net");
    life.open_failed(FailureKind::Unauthorized);
    assert!(!life.device.has_another_way(), "all is tried");
}

/// A device that its hub does not know, and that has registered so often that it may do so every half hour only.
fn often_registered() -> Life {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    for _ in 0..5 {
        life.open_failed(FailureKind::DeviceNotFound);
        life.deadline();
        assert_eq!(life.permit(), [life.provisions()]);
        life.assigned("a.net");
    }
    life
}

/// How long the device waits from its next registration to the one after that.
fn next_interval(life: &mut Life) -> Duration {
    life.lost(FailureKind::DeviceNotFound);
    while life.permit() != [life.provisions()] {
        life.deadline();
    }
    let registered_at = life.now;
    life.assigned("a.net");
    life.open_failed(FailureKind::DeviceNotFound);
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    life.now - registered_at
}

#[test]
fn a_connection_that_stood_makes_the_next_interval_the_shortest() {
    let mut life = often_registered();
    life.opened();
    life.later(59);
    assert_eq!(next_interval(&mut life), s(1800), "it did not stand");

    let mut life = often_registered();
    life.opened();
    life.later(60);
    assert_eq!(next_interval(&mut life), s(300));
}

/// The interval of a device that is closed on request is forgotten with the device, once its last registration does not count any
/// more; until then nothing asks DPS again in vain.
#[test]
fn a_device_that_is_closed_on_request_keeps_its_interval_until_it_is_forgotten() {
    let mut life = often_registered();
    life.opened();
    life.later(60);
    life.input(Input::Permanent(false));
    life.closed();
    let at = |life: &Life| Now {
        monotonic: life.now,
        unix_s: MORNING_UNIX_S,
    };
    assert!(!life.device.is_forgettable(at(&life)));
    let mut again = Life {
        device: life.device.clone(),
        now: life.now,
    };
    again.input(Input::Permanent(true));
    assert_eq!(again.permit(), [again.opens()]);
    assert_eq!(next_interval(&mut again), s(1800));

    life.deadline();
    assert!(life.device.is_forgettable(at(&life)));
}

/// A device that was just registered at its hub, which does not know it all the same.
fn registered_and_refused() -> Life {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.open_failed(FailureKind::DeviceNotFound);
    life.deadline();
    life.permit();
    life.assigned("a.net");
    life.open_failed(FailureKind::DeviceNotFound);
    life
}

/// What a request leads to.
fn used(life: &mut Life) -> Vec<Effect> {
    let at = life.now;
    life.input(Input::Use { at });
    life.permit()
}

#[test]
fn a_request_has_the_next_registration_of_a_refused_device_before_its_time_once() {
    let mut life = registered_and_refused();
    // Its device has just registered, so the hub that is known is tried.
    assert_eq!(used(&mut life), [life.opens()]);
    life.open_failed(FailureKind::DeviceNotFound);
    life.later(60);
    assert_eq!(used(&mut life), [life.provisions()]);
    life.assigned("a.net");
    life.open_failed(FailureKind::DeviceNotFound);
    life.later(60);
    assert_eq!(used(&mut life), [life.opens()], "once");
    life.open_failed(FailureKind::DeviceNotFound);
    assert_eq!(life.device.next_deadline(), Some(s(300 + 600) + START));
}

#[test]
fn a_connection_that_stood_lets_a_request_have_another_registration_before_its_time() {
    for (stands_s, again) in [(59, false), (60, true)] {
        let mut life = registered_and_refused();
        life.later(60);
        assert_eq!(used(&mut life), [life.provisions()]);
        life.assigned("a.net");
        life.opened();
        life.later(stands_s);
        life.lost(FailureKind::DeviceNotFound);
        // The registration before counts as one in its time, which was 300 s after the start.
        life.later(300);
        let effects = used(&mut life);
        let expected = match again {
            true => life.provisions(),
            false => life.opens(),
        };
        assert_eq!(effects, [expected], "{stands_s} s");
    }
}

/// The first attempt was not quite at once.
const START: Duration = Duration::from_millis(100);
