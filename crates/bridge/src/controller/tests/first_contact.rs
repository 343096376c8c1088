//! Callers of a DPS that does not answer from the start.

use drawspan_fleet::limits::FIRST_ANSWER_PATIENCE;
use drawspan_fleet::{CallerId, News};

use super::*;

fn register(process: &mut Process, device: &str) {
    process.handle(Input::Request(Request::Register {
        device: id(device),
        who: CallerId(0),
        payload: None,
        deadline: process.now.monotonic + Duration::from_secs(30),
        caller: TestCaller::default(),
    }));
}

/// The registrations that were started, by their numbers.
pub(super) fn started(process: &mut Process) -> Vec<u64> {
    let next = |process: &mut Process| {
        process.take(|action| match action {
            Action::Register(registration) => Some(registration.number),
            _ => None,
        })
    };
    std::iter::from_fn(|| next(process)).collect()
}

/// What callers were answered.
pub(super) fn answers(process: &mut Process) -> Vec<Result<(), FailureKind>> {
    let next = |process: &mut Process| {
        process.take(|action| match action {
            Action::Answer(_, Response::Registered(answer)) => {
                Some(answer.clone().map_err(|it| it.kind))
            }
            _ => None,
        })
    };
    std::iter::from_fn(|| next(process)).collect()
}

pub(super) fn ended(process: &mut Process, number: u64, hub: Result<&str, FailureKind>) {
    let assigned = |hub| Assigned {
        hub: host(hub),
        device: id("d"),
    };
    process.handle(Input::Registered {
        number,
        key: drawspan_hub::WhichKey::Primary,
        answer: hub
            .map(assigned)
            .map_err(|kind| Failure::local(kind, "no answer")),
    });
}

#[test]
fn registrations_by_request_do_not_wait_and_one_goes_on() {
    let unreachable = FailureKind::HubUnreachable;
    let mut process = Process::by_dps();
    register(&mut process, "d");
    let first = started(&mut process);
    process.pass(FIRST_ANSWER_PATIENCE);
    assert_eq!(process.news(), [News::Silent]);
    assert_eq!(answers(&mut process), [Err(unreachable)]);
    // Others are refused at once, and not made while one is under way.
    register(&mut process, "e");
    assert_eq!(answers(&mut process), [Err(unreachable)]);
    assert!(started(&mut process).is_empty());

    ended(&mut process, first[0], Err(unreachable));
    assert_eq!(answers(&mut process), [], "it was answered");
    // The next one finds out whether DPS answers by now.
    register(&mut process, "d");
    assert_eq!(answers(&mut process), [Err(unreachable)]);
    process.pass(Duration::from_secs(1));
    let second = started(&mut process);
    process.news();
    ended(&mut process, second[0], Ok("a.net"));
    assert_eq!(process.news(), [News::Recovered, News::Reachable]);
    register(&mut process, "e");
    assert_eq!(answers(&mut process), []);
    assert_eq!(started(&mut process).len(), 1);
}

#[test]
fn a_dps_that_takes_its_time_is_not_silent() {
    let mut process = Process::by_dps();
    register(&mut process, "d");
    let first = started(&mut process);
    process.handle(Input::DpsAnswers);
    process.pass(FIRST_ANSWER_PATIENCE * 3);
    assert_eq!((process.news(), answers(&mut process)), (vec![], vec![]));
    ended(&mut process, first[0], Ok("a.net"));
    assert_eq!(answers(&mut process), [Ok(())]);
}

#[test]
fn a_registration_that_nobody_waits_for_is_not_made() {
    let mut process = Process::by_dps();
    register(&mut process, "d");
    let first = started(&mut process);
    register(&mut process, "d");
    assert!(started(&mut process).is_empty(), "one at a time");
    process.handle(Input::DpsAnswers);
    process.pass(Duration::from_secs(30));
    ended(&mut process, first[0], Err(FailureKind::Timeout));
    assert!(started(&mut process).is_empty(), "its time is over");

    register(&mut process, "d");
    assert_eq!(started(&mut process).len(), 1, "the next one is made");
}
