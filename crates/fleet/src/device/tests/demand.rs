//! Demand for a device, and the end of demand.

use super::*;

#[test]
fn a_use_connects_for_ten_minutes() {
    let mut life = Life::new(Assignment::Fixed(hub("h.net")));
    assert_eq!(life.device.status(), None);

    assert_eq!(life.input(USED), [life.asks_permit()]);
    assert_eq!(life.permit(), [life.opens()]);
    assert_eq!(life.device.status(), None);
    assert_eq!(life.opened(), [shows(CONNECTED)]);

    let (waited, effects) = life.deadline();
    assert_eq!(waited, s(600));
    assert_eq!(effects, [shows(DISABLED), life.closes()]);
    assert_eq!(life.device.next_deadline(), None);
    assert_eq!(life.closed(), []);
    assert_eq!(life.device.state(), State::Idle);
}

#[test]
fn a_use_lengthens_and_never_shortens() {
    let mut life = Life::new(Assignment::Fixed(hub("h.net")));
    life.input(USED);
    life.later(100);
    let at = life.now;
    life.input(Input::Use { at });
    assert_eq!(life.device.next_deadline(), Some(s(700)));
    // A use reported late.
    life.input(Input::Use { at: s(50) });
    assert_eq!(life.device.next_deadline(), Some(s(700)));
    // One so late that its time is over does not wake the device.
    let mut life = Life::new(Assignment::Fixed(hub("h.net")));
    life.later(2000);
    assert_eq!(life.input(USED), []);
    assert_eq!(life.device.state(), State::Idle);
}

#[test]
fn subscriptions_keep_it_connected() {
    let mut life = Life::connected();
    assert_eq!(life.device.next_deadline(), None);
    let at = life.now;
    life.input(Input::Use { at });
    assert_eq!(life.device.next_deadline(), None);

    life.later(60);
    assert_eq!(
        life.input(Input::Permanent(false)),
        [],
        "the use still wants it"
    );
    assert_eq!(life.deadline().1, [shows(DISABLED), life.closes()]);

    let mut life = Life::connected();
    assert_eq!(
        life.input(Input::Permanent(false)),
        [shows(DISABLED), life.closes()]
    );
}

#[test]
fn every_state_ends_when_nothing_is_wanted() {
    let mut queued = Life::queued();
    assert_eq!(queued.input(Input::Permanent(false)), []);
    assert_eq!(queued.device.state(), State::Idle);
    assert_eq!(queued.device.status(), None, "it never tried");

    let mut connecting = Life::connecting();
    assert_eq!(
        connecting.input(Input::Permanent(false)),
        [shows(DISABLED), connecting.closes()]
    );
    // The open had been answered before the close was seen.
    assert_eq!(connecting.opened(), []);
    connecting.closed();
    assert_eq!(connecting.device.state(), State::Idle);

    let mut waiting = Life::connecting();
    waiting.open_failed(FailureKind::ServerError);
    assert_eq!(waiting.input(Input::Permanent(false)), [shows(DISABLED)]);
    assert_eq!(waiting.device.state(), State::Idle);

    let mut yielded = Life::connected();
    yielded.lost(FailureKind::LinkStolen);
    assert_eq!(yielded.input(Input::Permanent(false)), [shows(DISABLED)]);
    assert_eq!(yielded.device.state(), State::Idle);

    let mut provisioning = Life::new(Assignment::dps(None));
    provisioning.input(Input::Permanent(true));
    provisioning.permit();
    assert_eq!(provisioning.input(Input::Permanent(false)), []);
    assert_eq!(provisioning.device.state(), State::Provisioning);
    assert_eq!(provisioning.assigned("h.net"), []);
    assert_eq!(provisioning.device.state(), State::Idle);
    assert_eq!(provisioning.device.hub(), Some(&hub("h.net")), "kept");
}

#[test]
fn a_use_that_ends_while_it_waits_ends_the_waiting() {
    let mut life = Life::new(Assignment::Fixed(hub("h.net")));
    life.input(USED);
    life.permit();
    life.open_failed(FailureKind::QuotaExceeded);
    assert_eq!(life.deadline(), (s(600), vec![shows(DISABLED)]));
    assert_eq!(life.device.state(), State::Idle);

    // The failure may come before the deadline is reported.
    let mut life = Life::new(Assignment::Fixed(hub("h.net")));
    life.input(USED);
    life.permit();
    life.later(600);
    assert_eq!(life.open_failed(FailureKind::ServerError), []);
    assert_eq!(life.device.state(), State::Idle);
}

#[test]
fn an_idle_device_starts_afresh() {
    let mut life = Life::connecting();
    life.open_failed(FailureKind::TokenLimit);
    for _ in 0..10 {
        life.fail_again(FailureKind::ServerError);
    }
    life.input(Input::Permanent(false));
    life.input(Input::Permanent(true));
    assert_eq!(life.permit(), [life.opens()], "on any connection");
    life.open_failed(FailureKind::ServerError);
    assert_eq!(life.deadline().0, Duration::from_millis(100));
}

#[test]
fn wanted_again_while_closing() {
    let mut life = Life::connected();
    life.input(Input::Permanent(false));
    assert_eq!(life.input(Input::Permanent(true)), []);
    let before = life.epoch();
    assert_eq!(life.closed(), [life.asks_permit()]);
    assert_ne!(life.epoch(), before);
}

#[test]
fn a_device_that_is_relocated_comes_back_by_itself() {
    let mut life = Life::connected();
    assert_eq!(
        life.input(Input::Relocate),
        [shows(RETRYING), life.closes()]
    );
    assert_eq!(life.input(Input::Relocate), []);
    let asks = life.closed();
    assert_eq!(asks, [life.asks_permit()]);
    life.permit();
    assert_eq!(life.opened(), [shows(CONNECTED)]);

    // Unless the device is no longer wanted.
    life.input(Input::Relocate);
    life.input(Input::Permanent(false));
    assert_eq!(life.closed(), [shows(DISABLED)]);
    assert_eq!(life.device.state(), State::Idle);
}

#[test]
fn another_hub_by_configuration_is_gone_to_at_once() {
    let moved = || Input::Moved {
        hub: hub("other.net"),
    };
    let mut life = Life::connected();
    assert_eq!(life.input(moved()), [shows(RETRYING), life.closes()]);
    assert_eq!(life.closed(), [life.asks_permit()]);
    assert_eq!(life.device.hub(), Some(&hub("other.net")));
    // That is no news.
    assert_eq!(life.input(moved()), []);

    let mut life = Life::connecting();
    assert_eq!(life.input(moved()), [life.closes()]);
    assert_eq!(life.closed(), [life.asks_permit()]);

    let mut life = Life::queued();
    let before = life.epoch();
    let asked = life.input(moved());
    assert_ne!(life.epoch(), before);
    assert_eq!(asked, [life.asks_permit()]);

    // A refusal of the old hub does not hold it up at the new one.
    let mut life = Life::connecting();
    life.open_failed(FailureKind::DeviceDisabled);
    assert!(matches!(life.device.state(), State::Waiting { .. }));
    assert_eq!(life.input(moved()), [life.asks_permit()]);
    assert_eq!(life.device.failures(), 0);

    // Where DPS names the hub, configuration has no say.
    let mut life = Life::new(Assignment::dps(Some(hub("h.net"))));
    assert_eq!(life.input(moved()), []);
    assert_eq!(life.device.hub(), Some(&hub("h.net")));
}
