//! Links and connections that end when a token expires.

use std::time::Duration;

use drawspan_amqp::engine::{Closed, Credit, Event, LinkId, LinkOptions, SessionId};
use drawspan_hub::limits::SAS_CONNECTED_GRACE_S;

use super::{HUB, Pair, device_token, hub, owner, shared};
use crate::limits;

fn telemetry(pair: &mut Pair, session: SessionId, id: &str) -> LinkId {
    let options = LinkOptions::sender(id, format!("/devices/{id}/messages/events"));
    let link = pair.client.attach(session, options).unwrap();
    pair.run();
    let attached = |event: &Event| matches!(event, Event::Attached { link: of, .. } if *of == link);
    assert!(pair.events.iter().any(attached), "{:?}", pair.events);
    link
}

/// Looks for tokens that have expired `seconds` from now, the tolerance for clocks included.
fn sweep(pair: &mut Pair, seconds: u64) {
    let at = Duration::from_secs(SAS_CONNECTED_GRACE_S + seconds);
    pair.end
        .head
        .sweep_tokens(&mut pair.end.connection, pair.end.now, at);
    pair.events.clear();
    pair.run();
}

/// Conditions of the links that were detached.
fn detached(pair: &Pair) -> Vec<(LinkId, String)> {
    let of = |event: &Event| match event {
        Event::Detached { link, error, .. } => {
            Some((*link, error.as_ref().unwrap().condition.to_string()))
        }
        _ => None,
    };
    pair.events.iter().filter_map(of).collect()
}

/// The connection stays for a while in which nothing is said, and is closed then.
fn closes_in_time(pair: &mut Pair) -> String {
    let wait = Duration::from_millis(limits::TOKENLESS_MS);
    pair.end.now += wait - Duration::from_millis(1);
    pair.events.clear();
    pair.deadline();
    assert!(pair.events.is_empty(), "{:?}", pair.events);
    pair.end.now += Duration::from_millis(1);
    pair.deadline();
    let [Event::Closed(Closed::ByPeer(Some(error)))] = &pair.events[..] else {
        panic!("{:?}", pair.events);
    };
    assert_eq!(error.condition.as_str(), UNAUTHORIZED);
    error.to_string()
}

const UNAUTHORIZED: &str = "amqp:unauthorized-access";

#[test]
fn a_connection_whose_last_token_expires_loses_its_links_and_is_closed_later() {
    let hub = hub(&["a"]);
    let mut pair = Pair::new(&shared(&hub));
    pair.end.put(&hub, &device_token("a", 100));
    let session = pair.client.begin().unwrap();
    let link = telemetry(&mut pair, session, "a");
    sweep(&mut pair, 99);
    assert!(pair.events.is_empty(), "{:?}", pair.events);
    sweep(&mut pair, 101);
    assert_eq!(detached(&pair), [(link, UNAUTHORIZED.to_owned())]);
    assert_eq!(pair.events.len(), 1, "no close: {:?}", pair.events);
    let error = closes_in_time(&mut pair);
    assert!(error.contains("expired"), "{error}");
}

#[test]
fn a_connection_stays_when_another_token_comes_after_the_last_one_expired() {
    let hub = hub(&["a"]);
    let mut pair = Pair::new(&shared(&hub));
    pair.end.put(&hub, &device_token("a", 100));
    let session = pair.client.begin().unwrap();
    telemetry(&mut pair, session, "a");
    sweep(&mut pair, 101);
    pair.end.put(&hub, &device_token("a", 300));
    pair.end.now += Duration::from_millis(limits::TOKENLESS_MS);
    pair.deadline();
    pair.events.clear();
    telemetry(&mut pair, session, "a");
}

#[test]
fn each_device_lives_by_its_own_token() {
    let hub = hub(&["a", "b"]);
    let mut pair = Pair::new(&shared(&hub));
    pair.end.put(&hub, &device_token("a", 100));
    pair.end.put(&hub, &device_token("b", 200));
    let session = pair.client.begin().unwrap();
    let a = telemetry(&mut pair, session, "a");
    telemetry(&mut pair, session, "b");
    sweep(&mut pair, 150);
    assert_eq!(detached(&pair), [(a, UNAUTHORIZED.to_owned())]);
    sweep(&mut pair, 201);
    assert_eq!(detached(&pair).len(), 1);
    closes_in_time(&mut pair);
}

#[test]
fn a_renewed_token_lives_longer() {
    let hub = hub(&["a"]);
    let mut pair = Pair::new(&shared(&hub));
    for life_s in [100, 300] {
        pair.end.put(&hub, &device_token("a", life_s));
    }
    let session = pair.client.begin().unwrap();
    telemetry(&mut pair, session, "a");
    sweep(&mut pair, 299);
    assert!(pair.events.is_empty(), "{:?}", pair.events);
}

#[test]
fn readers_live_by_the_token_that_covers_them() {
    let hub = hub(&["a"]);
    let mut pair = Pair::new(&shared(&hub));
    let place = |partition: &str| format!("hub/ConsumerGroups/$Default/Partitions/{partition}");
    pair.end
        .put(&hub, &owner(&format!("{HUB}/{}", place("0")), 100));
    pair.end.put(&hub, &device_token("a", 200));
    let session = pair.client.begin().unwrap();
    let reader = LinkOptions::receiver("r", place("0"), Credit::Manual(0));
    let reader = pair.client.attach(session, reader).unwrap();
    telemetry(&mut pair, session, "a");
    sweep(&mut pair, 150);
    assert_eq!(detached(&pair), [(reader, UNAUTHORIZED.to_owned())]);
}

#[test]
fn a_policys_token_keeps_what_a_devices_own_opened() {
    let hub = hub(&["a"]);
    let mut pair = Pair::new(&shared(&hub));
    pair.end.put(&hub, &device_token("a", 100));
    let session = pair.client.begin().unwrap();
    telemetry(&mut pair, session, "a");
    pair.end.put(&hub, &owner(HUB, 300));
    sweep(&mut pair, 150);
    assert!(pair.events.is_empty(), "{:?}", pair.events);
    sweep(&mut pair, 301);
    assert_eq!(detached(&pair).len(), 1);
    closes_in_time(&mut pair);
}

#[test]
fn a_token_without_links_ends_too() {
    let hub = hub(&["a"]);
    let mut pair = Pair::new(&shared(&hub));
    pair.end.put(&hub, &device_token("a", 100));
    pair.client.begin().unwrap();
    pair.run();
    assert!(
        pair.end.head.sweep_at.is_some(),
        "looked for without a link"
    );
    sweep(&mut pair, 101);
    pair.deadline();
    assert!(matches!(&pair.events[..], [Event::Closed(_)]), "at once");
}
