//! Devices have two keys, of which the hub may accept only one.

use drawspan_hub::WhichKey;

use super::*;

const KIND: SubscriptionType = SubscriptionType::Methods;

/// Refuses or opens the next device, by what the hub takes. Returns the key that was tried.
fn answer(process: &mut Process, takes: WhichKey) -> WhichKey {
    let open = process.opening().expect("a device to open");
    let attempt = open.place.attempt;
    let event = if open.key == takes {
        SessionEvent::Opened {
            session: attempt.serial,
            route: TestRoute(attempt.serial),
        }
    } else {
        SessionEvent::Ended(Failure::local(FailureKind::Unauthorized, "another key"))
    };
    process.session(attempt, event);
    process.pass(Duration::from_secs(1));
    open.key
}

#[test]
fn the_key_that_a_hub_took_is_tried_first_from_then_on() {
    use WhichKey::{Primary, Secondary};
    let mut process = Process::new();
    process.subscribe("d", KIND);
    assert_eq!(answer(&mut process, Secondary), Primary);
    assert_eq!(answer(&mut process, Secondary), Secondary);
    // By other devices of the hub, and by this one.
    process.subscribe("e", KIND);
    assert_eq!(answer(&mut process, Secondary), Secondary);
    let index = process.controller.fleet.find(&id("d")).unwrap();
    let place = process.controller.fleet.context(index).unwrap().place;
    process.lose(ServiceId::of(1), place.unwrap().connection);
    process.pass(Duration::from_secs(1));
    assert_eq!(answer(&mut process, Secondary), Secondary);
    assert_eq!(answer(&mut process, Secondary), Secondary);
}
