//! Refusals and silence are named.

use drawspan_fleet::News;

use super::*;

const KIND: SubscriptionType = SubscriptionType::Methods;

#[test]
fn a_device_that_is_refused_while_others_work_is_noted() {
    let mut process = Process::new();
    process.subscribe("good", KIND);
    process.open();
    process.subscribe("bad", KIND);
    process.notes();
    let refuse = |process: &mut Process| {
        let attempt = process.opening().unwrap().place.attempt;
        let failure = Failure::local(FailureKind::Unauthorized, "another key");
        process.session(attempt, SessionEvent::Ended(failure));
        let is_refusal = |note: &Note| matches!(note, Note::DeviceRefused(..));
        let notes = process.notes();
        notes.into_iter().filter(is_refusal).count()
    };
    assert_eq!(refuse(&mut process), 0, "another token may do");
    process.pass(Duration::from_secs(1));
    assert_eq!(refuse(&mut process), 1);
}

#[test]
fn a_hub_that_leaves_requests_of_connected_devices_without_an_answer_is_silent() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    let attempt = process.open();
    let context = process.controller.fleet.context(attempt.device).unwrap();
    let hub = context.place.unwrap().hub;
    process.news();
    let paces = Arc::clone(&process.controller.pool(hub).unwrap().paces);
    let request = |process: &mut Process, is_answered: bool| {
        let failure = Failure::local(FailureKind::Timeout, "no answer");
        let is_news = match is_answered {
            true => paces.answered(),
            false => paces.unanswered(),
        };
        if is_news {
            let failure = (!is_answered).then_some(failure);
            process.handle(Input::Unanswered(hub, failure));
        }
        process.news()
    };
    assert_eq!(request(&mut process, false), []);
    assert_eq!(request(&mut process, true), []);
    assert_eq!(request(&mut process, false), []);
    assert_eq!(request(&mut process, false), [News::Silent]);
    assert_eq!(request(&mut process, false), []);
    assert_eq!(request(&mut process, true), [News::Recovered]);
    assert_eq!(request(&mut process, true), []);
}

/// The next refusal of a caller.
fn refused(process: &mut Process) -> Option<Refusal> {
    process.take(|action| match action {
        Action::Answer(_, Response::NotConnected(refusal)) => Some(refusal.clone()),
        _ => None,
    })
}

/// A hub that refuses each of so many devices, whichever key they show, by a failure with their index.
fn refuse_all(process: &mut Process, devices: usize) {
    for number in 0..devices {
        process.connect(&format!("bad{number}"));
    }
    for _ in 0..2 {
        while let Some(open) = process.opening() {
            let words = format!("wrong key of {:?}", open.place.attempt.device);
            let failure = Failure::local(FailureKind::Unauthorized, &words);
            process.session(open.place.attempt, SessionEvent::Ended(failure));
        }
        process.pass(Duration::from_millis(250));
    }
}

#[test]
fn all_callers_of_a_hub_that_refuses_everyone_are_answered_with_what_concerns_their_device() {
    for scope in [CredentialScope::Policy, CredentialScope::Device] {
        let mut process = Process::with_credentials(scope);
        refuse_all(&mut process, 45);
        let refusals: Vec<_> = std::iter::from_fn(|| refused(&mut process)).collect();
        assert_eq!(refusals.len(), 45, "{scope:?}");
        let words = refusals.iter().map(|it| it.failure.message.as_str());
        assert!(words.clone().all(|words| words.starts_with("wrong key of")));
        if scope == CredentialScope::Device {
            let own: std::collections::BTreeSet<_> = words.collect();
            assert_eq!(own.len(), 45, "each its own");
        }
    }
}

#[test]
fn what_a_hub_says_of_a_policy_concerns_devices_that_were_not_tried() {
    let mut process = Process::with_credentials(CredentialScope::Policy);
    refuse_all(&mut process, 20);
    process.actions.clear();
    process.connect("untried");
    let refusal = refused(&mut process).unwrap();
    assert!(refusal.failure.message.starts_with("wrong key of"));
    // It is the next probe.
    let wait = refusal.retry_in.unwrap();
    assert!(wait <= Duration::from_secs(1), "{wait:?}");
    let untried = process.controller.fleet.find(&id("untried")).unwrap();
    process.pass(wait);
    let probe = process.opening().unwrap().place.attempt.device;
    assert_eq!(probe, untried);
}

#[test]
fn while_a_hub_refuses_everyone_each_caller_hears_of_its_own_device() {
    let mut process = Process::new();
    refuse_all(&mut process, 20);
    process.actions.clear();
    // It was refused, and tries another token when it is its turn.
    process.connect("bad3");
    let refusal = refused(&mut process).unwrap();
    assert_eq!(refusal.failure.message, "wrong key of 3");
    assert!(refusal.retry_in.unwrap() > Duration::from_secs(20));
    // It was not refused: it is tried, and until then it waits.
    process.connect("good");
    let good = process.controller.fleet.find(&id("good")).unwrap();
    process.pass(Duration::from_millis(200));
    assert_eq!(refused(&mut process), None);
    let mut opened = std::iter::from_fn(|| process.opening());
    assert!(opened.any(|open| open.place.attempt.device == good));
}

#[test]
fn a_caller_whose_device_was_not_tried_is_told_so() {
    let mut process = Process::new();
    refuse_all(&mut process, 20);
    process.actions.clear();
    for number in 0..40 {
        process.connect(&format!("asked{number}"));
    }
    let refusal = refused(&mut process).unwrap();
    assert!(refusal.failure.message.contains("has not been tried"));
    assert!(refusal.retry_in.unwrap() >= Duration::from_secs(3));
    // Its caller's time may also be up while it waits for its turn.
    let delay = process
        .controller
        .delay_of(&id("asked39"), process.now.monotonic);
    let Delay::Refused(later) = delay else {
        panic!("{delay:?}");
    };
    assert_eq!(later.failure.message, refusal.failure.message);
}

#[test]
fn a_caller_comes_back_after_the_next_probe_of_a_quota_not_after_midnight() {
    let mut process = Process::new();
    // 02:00 UTC: midnight is far.
    process.now.unix_s = UNIX_S - UNIX_S % 86_400 + 7_200;
    let ask = |process: &mut Process| {
        process.connect("d");
    };
    let retry_in = |process: &mut Process| {
        let refusal = process.take(|action| match action {
            Action::Answer(_, Response::NotConnected(refusal)) => Some(refusal.clone()),
            _ => None,
        });
        refusal.and_then(|refusal| refusal.retry_in)
    };
    let refuse = |process: &mut Process| {
        let attempt = process.opening().unwrap().place.attempt;
        let failure = Failure::local(FailureKind::QuotaExceeded, "403002");
        process.session(attempt, SessionEvent::Ended(failure));
    };
    ask(&mut process);
    refuse(&mut process);
    let first = Duration::from_secs(65);
    assert_eq!(retry_in(&mut process), Some(first));
    process.pass(Duration::from_secs(20));
    ask(&mut process);
    assert_eq!(
        retry_in(&mut process),
        Some(first - Duration::from_secs(20))
    );
    process.pass(Duration::from_secs(40));
    refuse(&mut process);
    ask(&mut process);
    assert_eq!(retry_in(&mut process), Some(Duration::from_secs(125)));
}
