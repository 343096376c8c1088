//! Devices and the connections that they share.

use std::collections::{BTreeMap, BTreeSet};

use drawspan_fleet::News;

use super::*;
use crate::limits::{MOVE_INTERVAL, MOVES_AT_ONCE};

const KIND: SubscriptionType = SubscriptionType::Methods;

#[test]
fn no_device_goes_from_one_full_connection_to_the_next_for_ever() {
    const TAKES: usize = 3;
    let mut process = Process::new();
    for number in 0..14 {
        process.subscribe(&format!("d{number}"), KIND);
    }
    let mut tokens: BTreeMap<ConnectionKey, BTreeSet<u32>> = BTreeMap::new();
    let mut connected = 0;
    let start = process.now.monotonic;
    while connected < 14 {
        while let Some(open) = process.opening() {
            let attempt = open.place.attempt;
            let taken = tokens.entry(open.place.connection).or_default();
            let event = if taken.len() < TAKES {
                taken.insert(attempt.device);
                connected += 1;
                SessionEvent::Opened {
                    session: attempt.serial,
                    route: TestRoute(attempt.serial),
                }
            } else {
                SessionEvent::TokenRefused(Failure::local(FailureKind::TokenLimit, "full"))
            };
            process.session(attempt, event);
        }
        process.pass(Duration::from_millis(100));
        let lasts = process.now.monotonic - start;
        assert!(
            lasts < Duration::from_secs(60),
            "{connected} of 14 connected"
        );
    }
    let hub = ServiceId::of(1);
    let connections = process.controller.pool(hub).unwrap().connections();
    assert_eq!(connections, 5);
}

#[test]
fn devices_are_moved_only_where_there_is_a_place_for_them() {
    let check = |max_connections, moves: usize| {
        let mut process = Process::with_connections(max_connections);
        for number in 0..10 {
            process.subscribe(&format!("d{number}"), KIND);
            process.open();
        }
        // More than half of the connection's slots are held by devices that left.
        for number in 0..6 {
            process.unsubscribe(&format!("d{number}"), KIND);
            let closing = process.take(closing).unwrap();
            process.session(closing, SessionEvent::Closed);
        }
        process.pass(Duration::from_secs(10));
        let closed = std::iter::from_fn(|| process.take(closing)).count();
        assert_eq!(closed, moves, "with {max_connections:?} connections");
    };
    check(Some(1), 0);
    check(Some(2), 4);
    check(None, 4);
}

#[test]
fn no_more_devices_are_moved_once_the_place_for_them_is_taken() {
    let mut process = Process::with_slots(2, 50);
    let connect = |process: &mut Process, number: usize| {
        process.subscribe(&format!("d{number}"), KIND);
        process.open();
    };
    (0..50).for_each(|number| connect(&mut process, number));
    for number in 0..26 {
        process.unsubscribe(&format!("d{number}"), KIND);
        let closing = process.take(closing).unwrap();
        process.session(closing, SessionEvent::Closed);
    }
    // Some of the other 24 leave for another connection, which then is filled by others.
    process.pass(MOVE_INTERVAL);
    let moved = std::iter::from_fn(|| process.take(closing)).count();
    assert_eq!(moved, MOVES_AT_ONCE);
    (50..100).for_each(|number| connect(&mut process, number));
    process.pass(Duration::from_secs(10));
    assert_eq!(process.take(closing), None);
}

fn closing(action: &Action<Test>) -> Option<AttemptId> {
    match action {
        Action::Close(place) => Some(place.attempt),
        _ => None,
    }
}

fn refusal(process: &mut Process) -> Option<Refusal> {
    process.take(|action| match action {
        Action::Answer(_, Response::NotConnected(refusal)) => Some(refusal.clone()),
        _ => None,
    })
}

#[test]
fn a_caller_is_told_at_once_that_all_connections_are_full() {
    let mut process = Process::with_slots(1, 2);
    for device in ["d0", "d1"] {
        process.subscribe(device, KIND);
        process.open();
    }
    assert_eq!(process.news(), []);
    process.connect("d2");
    let refused = refusal(&mut process).expect("an answer at once");
    assert_eq!(refused.failure.kind, FailureKind::ConnectionsFull);
    assert!(refused.failure.message.contains("max_connections is 1"));
    let index = process.controller.fleet.find(&id("d2")).unwrap();
    let noted = process.controller.fleet.context(index).unwrap();
    let noted = noted.last_failure.as_ref().unwrap();
    assert_eq!(noted.failure, refused.failure);
    // Later callers do not wait either, and the hub is reported once.
    for device in ["d2", "d3", "d4"] {
        process.connect(device);
        assert!(refusal(&mut process).is_some(), "{device}");
        process.pass(Duration::from_secs(20));
    }
    assert_eq!(process.news(), [News::Full]);

    // One leaves: its token counts as long as it may last.
    process.unsubscribe("d0", KIND);
    let closing = process.take(closing).unwrap();
    process.session(closing, SessionEvent::Closed);
    assert_eq!(process.news(), []);
    process.pass(Duration::from_secs(3_600) + drawspan_fleet::limits::SLOT_MARGIN * 2);
    assert_eq!(process.news(), [News::HasRoom]);
    process.connect("d2");
    process.open();
    assert_eq!(refusal(&mut process), None);
}

#[test]
fn slots_are_as_many_as_the_hub_takes() {
    let mut process = Process::with_slots(2, 10);
    let slots = |process: &Process| {
        let pool = process.controller.pool(ServiceId::of(1)).unwrap();
        pool.slots()
    };
    // The hub takes three on a connection.
    let mut taken: BTreeMap<ConnectionKey, usize> = BTreeMap::new();
    for number in 0..7 {
        process.subscribe(&format!("d{number}"), KIND);
        while let Some(open) = process.opening() {
            let attempt = open.place.attempt;
            let count = taken.entry(open.place.connection).or_default();
            let event = if *count < 3 {
                *count += 1;
                SessionEvent::Opened {
                    session: attempt.serial,
                    route: TestRoute(attempt.serial),
                }
            } else {
                SessionEvent::TokenRefused(Failure::local(FailureKind::TokenLimit, "full"))
            };
            process.session(attempt, event);
            process.pass(Duration::from_millis(200));
        }
    }
    assert_eq!(slots(&process), 6);
    assert_eq!(process.news(), [News::Full]);
}

#[test]
fn a_token_counts_unless_it_was_refused() {
    let connections = |event: fn(Failure) -> SessionEvent<Test>| {
        let mut process = Process::new();
        process.subscribe("good", KIND);
        process.open();
        // As many as a connection takes, and one more.
        for number in 0..10 {
            process.subscribe(&format!("d{number}"), KIND);
            let attempt = process.opening().unwrap().place.attempt;
            let failure = Failure::local(FailureKind::Unauthorized, "another key");
            process.session(attempt, event(failure));
            process.unsubscribe(&format!("d{number}"), KIND);
        }
        process.subscribe("better", KIND);
        process.open();
        let pool = process.controller.pool(ServiceId::of(1)).unwrap();
        pool.connections()
    };
    assert_eq!(connections(SessionEvent::TokenRefused), 1);
    assert_eq!(connections(SessionEvent::Ended), 2);
}
