//! Callers who hang up make way for callers who wait.

use drawspan_fleet::CallerId;

use super::first_contact::{answers, ended, started};
use super::*;

#[test]
fn devices_of_callers_who_hung_up_go_after_one_that_is_waited_for() {
    let mut process = Process::new();
    process.connect("up");
    let attempt = process.open();
    let context = process.controller.fleet.context(attempt.device).unwrap();
    let hub = context.place.unwrap().hub;
    let key = context.place.unwrap().connection;
    // A hub that is away gives a permit to one device at a time.
    let away = Failure::local(FailureKind::HubUnreachable, "away");
    let event = ConnectionEvent::Ended(away);
    process.handle(Input::Connection { hub, key, event });
    while process.opening().is_some() {}
    for number in 0..20 {
        let caller = process.connect(&format!("hang{number}"));
        caller.has_hung_up.set(true);
    }
    process.connect("waited");
    let waited = process.controller.fleet.find(&id("waited")).unwrap();
    let next = loop {
        process.pass(Duration::from_millis(100));
        if let Some(open) = process.opening() {
            break open.place.attempt.device;
        }
    };
    assert_eq!(next, waited);
}

#[test]
fn registrations_of_callers_who_hung_up_go_after_one_that_is_waited_for() {
    let mut process = Process::by_dps();
    let register = |process: &mut Process, device: &str| {
        let caller = TestCaller::default();
        process.handle(Input::Request(Request::Register {
            device: id(device),
            who: CallerId(0),
            payload: None,
            deadline: process.now.monotonic + Duration::from_secs(30),
            caller: caller.clone(),
        }));
        caller
    };
    register(&mut process, "first");
    let first = started(&mut process);
    ended(&mut process, first[0], Ok("a.net"));
    register(&mut process, "second");
    let second = started(&mut process);
    // A DPS that is away gives a permit to one registration at a time.
    ended(&mut process, second[0], Err(FailureKind::HubUnreachable));
    for number in 0..20 {
        let caller = register(&mut process, &format!("hang{number}"));
        caller.has_hung_up.set(true);
    }
    process.actions.clear();
    register(&mut process, "waited");
    let next = loop {
        process.pass(Duration::from_millis(100));
        let next = process.take(|action| match action {
            Action::Register(it) => Some((it.number, it.device.clone())),
            _ => None,
        });
        if let Some(next) = next {
            break next;
        }
    };
    assert_eq!(next.1, id("waited"));
    ended(&mut process, next.0, Ok("a.net"));
    // The others are registered all the same, now that DPS answers.
    let mut left = 20;
    while left > 0 {
        process.pass(Duration::from_secs(1));
        let number = process.take(|action| match action {
            Action::Register(it) => Some(it.number),
            _ => None,
        });
        ended(&mut process, number.unwrap(), Ok("a.net"));
        left -= 1;
    }
    assert!(answers(&mut process).len() > 20);
}
