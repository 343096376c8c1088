//! A service that does not answer from the start.

use drawspan_hub::AttemptId;

use super::*;
use crate::limits::FIRST_ANSWER_PATIENCE;

const HUB: ServiceId = ServiceId::of(1);

fn refusal(process: &Process, index: u32) -> Option<FailureKind> {
    let refusal = process.fleet.refusal(index, process.now());
    refusal.map(|failure| failure.kind)
}

/// Lets the patience with a first contact pass. Returns what is to be done then.
fn wait(process: &mut Process) -> Vec<Action> {
    let start = process.now;
    assert!(process.actions().is_empty());
    let due = process.fleet.run(process.now());
    assert_eq!(due, Some(start + FIRST_ANSWER_PATIENCE));
    process.now += FIRST_ANSWER_PATIENCE;
    process.actions()
}

#[test]
fn callers_do_not_wait_for_a_hub_that_answers_nothing_from_the_start() {
    let mut process = Process::new();
    let index = process.at(1, "a.net");
    let attempt = process.opens()[0].0;
    assert_eq!(refusal(&process, index), None);
    let said = [Action::News(HUB, News::Silent), Action::TurnAway(HUB)];
    assert_eq!(wait(&mut process), said);
    assert_eq!(refusal(&process, index), Some(FailureKind::HubUnreachable));
    assert!(process.fleet.is_current(attempt), "it goes on");

    // Neither do later ones, whose devices are tried all the same.
    let later = process.at(2, "a.net");
    assert_eq!(process.opens().len(), 1);
    assert_eq!(refusal(&process, later), Some(FailureKind::HubUnreachable));

    process.fleet.opened(attempt, process.now());
    assert_eq!(process.actions(), [Action::News(HUB, News::Recovered)]);
    assert_eq!(refusal(&process, later), None);
    // It is not a first contact any more.
    process.now += FIRST_ANSWER_PATIENCE;
    assert_eq!(process.actions(), []);
}

#[test]
fn a_silent_hub_that_answers_with_a_fault_is_silent_no_more() {
    let check = |ends: fn(&mut Process, AttemptId, &Failure)| {
        let mut process = Process::new();
        let index = process.at(1, "a.net");
        let attempt = process.opens()[0].0;
        wait(&mut process);
        ends(&mut process, attempt, &failure(FailureKind::ServerError));
        assert_eq!(process.actions(), [Action::News(HUB, News::Recovered)]);
        assert_eq!(refusal(&process, index), None);
    };
    check(|it, attempt, said| it.fleet.ended(attempt, said, it.now()));
    check(|it, attempt, said| it.fleet.connection_ended(HUB, &[attempt], said, it.now()));
}

#[test]
fn a_hub_is_not_waited_for_longer_since_more_is_asked_of_it() {
    let mut process = Process::new();
    let first = process.at(1, "a.net");
    process.opens();
    process.now += FIRST_ANSWER_PATIENCE - Duration::from_secs(1);
    process.at(2, "a.net");
    assert_eq!(process.opens().len(), 1);
    process.now += Duration::from_secs(1);
    let said = [Action::News(HUB, News::Silent), Action::TurnAway(HUB)];
    assert_eq!(process.actions(), said);
    assert_eq!(refusal(&process, first), Some(FailureKind::HubUnreachable));
}

#[test]
fn dps_is_waited_for_no_longer_and_any_answer_is_one() {
    let check = |answers: bool, expected: &[Action]| {
        let mut process = Process::new();
        let index = process.uses(1, Assignment::dps(None));
        let actions = process.actions();
        assert!(matches!(actions[..], [Action::Provision { .. }]));
        if answers {
            process.fleet.reached(ServiceId::DPS);
            process.now += FIRST_ANSWER_PATIENCE;
            assert_eq!(process.actions(), expected);
        } else {
            assert_eq!(wait(&mut process), expected);
        }
        assert_eq!(refusal(&process, index).is_some(), !answers);
    };
    let dps = ServiceId::DPS;
    check(true, &[]);
    check(
        false,
        &[Action::News(dps, News::Silent), Action::TurnAway(dps)],
    );
}

#[test]
fn a_probe_that_hangs_after_a_refused_connection_keeps_no_caller() {
    let mut process = Process::new();
    let index = process.at(1, "a.net");
    let attempt = process.opens()[0].0;
    let down = failure(FailureKind::HubUnreachable);
    process
        .fleet
        .connection_ended(HUB, &[attempt], &down, process.now());
    process.now += Duration::from_secs(1);
    assert_eq!(process.opens().len(), 1, "the probe");
    process.now += FIRST_ANSWER_PATIENCE;
    // Why it cannot be reached was said.
    assert_eq!(process.actions(), [Action::TurnAway(HUB)]);
    assert_eq!(refusal(&process, index), Some(FailureKind::HubUnreachable));
}

#[test]
fn an_attempt_that_was_given_up_here_says_nothing_of_its_hub() {
    let mut process = Process::new();
    let first = process.at(1, "a.net");
    let attempt = process.opens()[0].0;
    process.now += Duration::from_secs(1);
    process.fleet.release(first, process.now());
    process.actions();
    process.fleet.closed(attempt, process.now());
    // Nothing is asked of the hub for a while.
    process.now += FIRST_ANSWER_PATIENCE;
    assert_eq!(process.actions(), []);
    let second = process.at(2, "a.net");
    assert_eq!(process.opens().len(), 1);
    process.now += FIRST_ANSWER_PATIENCE - Duration::from_millis(1);
    assert_eq!(process.actions(), []);
    assert_eq!(refusal(&process, second), None);
    process.now += Duration::from_millis(1);
    let said = [Action::News(HUB, News::Silent), Action::TurnAway(HUB)];
    assert_eq!(process.actions(), said);
}
