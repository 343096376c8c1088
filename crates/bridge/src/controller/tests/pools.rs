//! Devices and the connections that they share.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

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
                SessionEvent::Ended(Failure::local(FailureKind::TokenLimit, "full"))
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
