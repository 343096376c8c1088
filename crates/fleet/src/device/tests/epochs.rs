//! Answers to attempts that are over.

use super::*;

#[test]
fn answers_to_something_over_change_nothing_and_are_given_back() {
    let mut life = Life::queued();
    let old = life.epoch();
    life.input(Input::Permanent(false));
    life.input(Input::Permanent(true));
    let before = life.device.clone();

    assert_eq!(
        life.input(Input::Permit { epoch: old }),
        [Effect::ReturnPermit { epoch: old }]
    );
    assert_eq!(
        life.input(Input::Opened { epoch: old }),
        [Effect::Close { epoch: old }]
    );
    let failure = Failure::local(FailureKind::Unauthorized, "");
    let failure = &failure;
    for stale in [
        Input::OpenFailed {
            epoch: old,
            failure,
        },
        Input::Lost {
            epoch: old,
            failure,
        },
        Input::AssignFailed {
            epoch: old,
            failure,
        },
        Input::Assigned {
            epoch: old,
            hub: hub("x.net"),
        },
        Input::Closed { epoch: old },
    ] {
        assert_eq!(life.input(stale), []);
    }
    assert_eq!(life.device, before);

    // A permit for a device that no longer needs one.
    let epoch = life.epoch();
    life.input(Input::Permanent(false));
    assert_eq!(life.permit(), [Effect::ReturnPermit { epoch }]);
    assert_eq!(life.device.state(), State::Idle);
    // A permit given twice.
    let mut life = Life::connecting();
    let epoch = life.epoch();
    assert_eq!(life.permit(), [Effect::ReturnPermit { epoch }]);
}

#[test]
fn a_connection_closed_unasked_is_lost() {
    let mut life = Life::connected();
    assert_eq!(life.closed(), [shows(RETRYING)]);
    assert!(life.waits());
}
