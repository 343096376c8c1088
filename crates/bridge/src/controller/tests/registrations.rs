//! One registration of a device at a time.

use drawspan_fleet::CallerId;

use super::first_contact::{answers, ended, started};
use super::*;

#[test]
fn a_registration_answers_all_who_want_the_same() {
    let mut process = Process::by_dps();
    let register = |process: &mut Process, payload: Option<&str>| {
        process.handle(Input::Request(Request::Register {
            device: id("d"),
            who: CallerId(0),
            payload: payload.map(str::to_owned),
            deadline: process.now.monotonic + Duration::from_secs(30),
            caller: TestCaller::default(),
        }));
    };
    register(&mut process, Some("1"));
    let first = started(&mut process);
    register(&mut process, Some("1"));
    register(&mut process, Some("2"));
    // The device itself is content with any.
    process.subscribe("d", SubscriptionType::Methods);
    assert!(started(&mut process).is_empty(), "one at a time");

    ended(&mut process, first[0], Ok("a.net"));
    assert_eq!(answers(&mut process), [Ok(()), Ok(())]);
    assert!(process.opening().is_some());
    let second = started(&mut process);
    assert_eq!(second.len(), 1, "with the other payload");
    ended(&mut process, second[0], Ok("a.net"));
    assert_eq!(answers(&mut process), [Ok(())]);
    assert!(started(&mut process).is_empty());
}
