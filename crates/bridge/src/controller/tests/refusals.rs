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

#[test]
fn while_a_hub_refuses_everyone_each_caller_hears_of_its_own_device() {
    let mut process = Process::new();
    for number in 0..40 {
        process.subscribe(&format!("bad{number}"), KIND);
    }
    let refuse = |process: &mut Process, open: &Open| {
        let words = format!("wrong key of {:?}", open.place.attempt.device);
        let failure = Failure::local(FailureKind::Unauthorized, &words);
        process.session(open.place.attempt, SessionEvent::Ended(failure));
    };
    for _ in 0..20 {
        let open = process.opening().unwrap();
        refuse(&mut process, &open);
    }
    // It was not refused: it is tried, and until then it waits.
    process.connect("good");
    assert_eq!(refused(&mut process), None);
    // It was refused, and tries another token when it is its turn.
    process.pass(Duration::from_millis(500));
    process.connect("bad3");
    let refusal = refused(&mut process).unwrap();
    assert_eq!(refusal.failure.message, "wrong key of 3");
    assert!(refusal.retry_in.unwrap() > Duration::from_secs(20));

    let good = process.controller.fleet.find(&id("good")).unwrap();
    let is_served = |process: &mut Process| {
        let mut opened = std::iter::from_fn(|| process.opening());
        opened.any(|open| open.place.attempt.device == good)
    };
    assert!(!is_served(&mut process));
    process.pass(Duration::from_secs(2));
    assert_eq!(refused(&mut process), None);
    assert!(is_served(&mut process));
}

#[test]
fn a_caller_whose_device_was_not_tried_is_told_so() {
    let mut process = Process::new();
    for number in 0..20 {
        process.subscribe(&format!("bad{number}"), KIND);
    }
    while let Some(open) = process.opening() {
        let failure = Failure::local(FailureKind::Unauthorized, "wrong key");
        process.session(open.place.attempt, SessionEvent::Ended(failure));
    }
    for number in 0..40 {
        process.connect(&format!("asked{number}"));
    }
    let refusal = refused(&mut process).unwrap();
    assert!(refusal.failure.message.contains("has not been tried"));
    assert_eq!(refusal.retry_in, Some(Duration::from_secs(1)));
    // Its caller's time may also be up while it waits for its turn.
    let delay = process
        .controller
        .delay_of(&id("asked39"), process.now.monotonic);
    assert_eq!(delay, Delay::Refused(refusal));
}

#[test]
fn a_message_that_is_refused_for_the_quota_closes_the_hub_to_messages_but_not_to_devices() {
    let mut process = Process::new();
    process.subscribe("d", KIND);
    let attempt = process.open();
    let context = process.controller.fleet.context(attempt.device).unwrap();
    let hub = context.place.unwrap().hub;
    process.news();
    let paces = Arc::clone(&process.controller.pool(hub).unwrap().paces);
    let quota = Failure::from_outcome("amqp:resource-limit-exceeded", None);
    assert_eq!(quota.kind, FailureKind::QuotaExceeded);
    let refuse = |process: &mut Process| {
        let turn = paces.send_quota.admit(process.now.monotonic).ok()?;
        let (over, is_news) = paces.send_quota.refused(turn, &quota, process.now);
        if is_news {
            process.handle(Input::MessageQuota(hub, Some(quota.clone())));
        }
        Some(over.retry_in.as_secs())
    };
    assert_eq!(refuse(&mut process), Some(65));
    assert_eq!(process.news(), [News::QuotaExceeded]);
    assert!(process.controller.fleet.is_current(attempt));
    let messages = (0..59).filter(|_| {
        process.pass(Duration::from_secs(1));
        refuse(&mut process).is_some()
    });
    assert_eq!(messages.count(), 0);
    // Another device may connect, and its messages wait as well.
    process.subscribe("e", KIND);
    process.open();
    process.pass(Duration::from_secs(1));
    assert_eq!(refuse(&mut process), Some(125));
    assert_eq!(process.news(), []);
    process.pass(Duration::from_secs(120));
    let turn = paces.send_quota.admit(process.now.monotonic).unwrap();
    assert!(paces.send_quota.accepted(turn, process.now.monotonic));
    process.handle(Input::MessageQuota(hub, None));
    assert_eq!(process.news(), [News::QuotaRestored]);
    assert!(paces.send_quota.admit(process.now.monotonic).is_ok());
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
