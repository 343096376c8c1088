//! Refusals and silence are named.

use super::*;
use crate::fleet::News;

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
    let context = process.controller.fleet.beside(attempt.device).unwrap();
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
