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
        process.handle(Input::Request(Request::Connect {
            device: id("d"),
            waiter: Waiter {
                not: None,
                deadline: process.now.monotonic + Duration::from_secs(30),
                who: drawspan_fleet::CallerId(0),
                caller: TestCaller,
            },
        }));
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
