//! What is told of a change: once for each new status, and once for each new cause of the same.

use drawspan_hub::ConnectionCause as Cause;

use super::*;

fn lost(life: &Life, failure: &Failure) -> Input<'static> {
    let failure = Box::leak(Box::new(failure.clone()));
    Input::Lost {
        epoch: life.epoch(),
        failure,
    }
}

fn connected() -> Life {
    let mut life = Life::connecting();
    life.opened();
    life
}

#[test]
fn a_change_has_its_cause() {
    let mut life = Life::connecting();
    let epoch = life.epoch();
    let opened = life.changes(Input::Opened { epoch });
    assert_eq!(opened, [(CONNECTED, true, None)]);
    let stolen = Failure::from_amqp("amqp:link:stolen", None);
    let input = lost(&life, &stolen);
    assert_eq!(
        life.changes(input),
        [(RETRYING, true, Some(Cause::OtherClient))]
    );
}

#[test]
fn another_cause_of_the_same_status_is_told_without_being_a_new_status() {
    let mut life = connected();
    life.lost(FailureKind::ConnectionLost);
    life.deadline();
    life.permit();
    let epoch = life.epoch();
    let throttled = Failure::from_cbs(429, "");
    let failure = &throttled;
    let first = life.changes(Input::OpenFailed { epoch, failure });
    assert_eq!(first, [(RETRYING, false, Some(Cause::Throttled))]);
    life.deadline();
    life.permit();
    let epoch = life.epoch();
    let again = life.changes(Input::OpenFailed { epoch, failure });
    assert_eq!(again, [], "it is known");
}

#[test]
fn the_bridge_says_what_it_does() {
    let mut life = connected();
    let relocated = life.changes(Input::Relocate);
    assert_eq!(relocated, [(RETRYING, true, Some(Cause::ClosedByBridge))]);

    let mut life = connected();
    let removed = life.changes(Input::Release);
    assert_eq!(removed, [(DISABLED, true, Some(Cause::ClosedByBridge))]);
    let epoch = life.epoch();
    assert_eq!(life.changes(Input::Closed { epoch }), [], "said before");

    let mut life = connected();
    let unused = life.changes(Input::Permanent(false));
    assert_eq!(unused, [(DISABLED, true, Some(Cause::IdleTimeout))]);

    let mut life = connected();
    let moved = life.changes(Input::Moved { hub: hub("b.net") });
    assert_eq!(moved, [(RETRYING, true, Some(Cause::HubMoved))]);
}

#[test]
fn a_device_that_dps_assigns_to_another_hub_has_moved() {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.opened();
    let deleted = Failure::from_amqp("amqp:not-found", None);
    let input = lost(&life, &deleted);
    assert_eq!(
        life.changes(input),
        [(DEVICE_DISABLED, true, Some(Cause::Deleted))]
    );
    life.deadline();
    life.permit();
    let epoch = life.epoch();
    let hub = hub("b.net");
    assert_eq!(
        life.changes(Input::Assigned { epoch, hub }),
        [(DEVICE_DISABLED, false, Some(Cause::HubMoved))]
    );
}

#[test]
fn clocks_that_differ_are_the_cause_of_refusals_from_then_on() {
    let mut life = connected();
    let refused = Failure::from_cbs(401, "");
    let input = lost(&life, &refused);
    let cause = Some(Cause::CredentialsRefused);
    assert_eq!(life.changes(input), [(RETRYING, true, cause)]);
    let clock = Some(Cause::ClockSkew);
    let told = life.changes(Input::ClocksDiffer);
    assert_eq!(told, [(RETRYING, false, clock)]);
    let told = life.changes(Input::RefusedForNow);
    assert_eq!(told, [(BAD_CREDENTIAL, true, clock)]);
    assert_eq!(
        connected().changes(Input::ClocksDiffer),
        [],
        "it is connected"
    );
}
