//! Rates and the quota, by a clock that is stepped.

use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{Credit, Event, LinkId, LinkOptions, Outgoing};
use drawspan_amqp::message::{Message, MessageId, Properties};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::clock::{Clock, ClockHand};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::test_hub::hub_at;
use drawspan_net::Handler as _;

use super::{HUB, Pair, owner, shared, unix_s};
use crate::signals::Wake;

const THROTTLED: &str = "com.microsoft:device-container-throttled";

/// A hub with limits and a connection that may speak for all its devices.
struct Limited {
    hub: Arc<Hub>,
    hand: ClockHand,
    pair: Pair,
    sent: u32,
}

impl Limited {
    fn new(words: &str, devices: &[&str]) -> Self {
        let (clock, hand) = Clock::manual(unix_s() * 1_000);
        let hub = hub_at(clock, devices);
        let mut pair = Pair::new(&shared(&hub));
        pair.end.put(&hub, &owner(HUB, 100_000));
        let limited = Self {
            hub,
            hand,
            pair,
            sent: 0,
        };
        limited.limit(words);
        limited
    }

    fn limit(&self, words: &str) {
        let mut limits = self.hub.rate_limits(Clone::clone);
        for word in words.split(' ') {
            limits.apply(word).unwrap();
        }
        self.hub.set_rate_limits(limits);
    }

    /// Time passes, and the connection is woken.
    fn pass(&mut self, time: Duration) {
        self.hand.advance(time);
        self.wake();
    }

    fn wake(&mut self) {
        let end = &mut self.pair.end;
        end.head.on_command(&mut end.connection, Wake, end.now);
        self.pair.run();
    }

    fn telemetry(&mut self, id: &str) -> LinkId {
        let session = self.pair.client.begin().unwrap();
        let address = format!("/devices/{id}/messages/events");
        let options = LinkOptions::sender(id, address);
        let link = self.pair.client.attach(session, options).unwrap();
        self.pair.run();
        link
    }

    fn send(&mut self, link: LinkId, message: &Message) {
        let outgoing = Outgoing {
            tag: DeliveryTag::from_u32(self.sent),
            message_format: 0,
            settled: false,
            context: self.sent.into(),
            payload: &message.to_bytes(),
        };
        self.sent += 1;
        self.pair.client.send(link, &outgoing).unwrap();
        self.pair.run();
    }

    /// Messages that have got an outcome since the last time: the number of each, and its error's condition and description.
    fn outcomes(&mut self) -> Vec<(u64, Option<(String, String)>)> {
        let outcome = |event: Event| match event {
            Event::Outcome { context, state, .. } => Some(match state {
                Some(DeliveryState::Accepted) => (context, None),
                Some(DeliveryState::Rejected(Some(error))) => {
                    let text = error.description.unwrap_or_default();
                    (
                        context,
                        Some((error.condition.to_string(), text.to_string())),
                    )
                }
                other => panic!("{other:?}"),
            }),
            _ => None,
        };
        self.pair.events.drain(..).filter_map(outcome).collect()
    }

    fn accepted(&mut self) -> Vec<u64> {
        let all = self.outcomes();
        assert!(all.iter().all(|(_, error)| error.is_none()), "{all:?}");
        all.into_iter().map(|(number, _)| number).collect()
    }

    fn stored(&self) -> usize {
        self.hub.read(0, 0, 10_000, 10_000_000).unwrap().len()
    }

    fn attached(&mut self) -> usize {
        let events = std::mem::take(&mut self.pair.events);
        let attached = |event: &&Event| matches!(event, Event::Attached { .. });
        events.iter().filter(attached).count()
    }
}

fn text(body: &str) -> Message {
    Message::from_data(body.to_owned())
}

#[test]
fn a_fleet_connects_at_the_rate_of_its_hub() {
    let ids: Vec<String> = (0..1_000).map(|id| format!("d{id}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let check = |size: &str, expected: &[usize]| {
        let mut fleet = Limited::new(size, &ids);
        for id in &ids {
            fleet.telemetry(id);
        }
        let mut by_second = vec![fleet.attached()];
        for _ in 1..expected.len() {
            fleet.pass(Duration::from_secs(1));
            by_second.push(fleet.attached());
        }
        assert_eq!(by_second, expected, "{size}");
    };
    check("S1", &[100; 10]);
    check("S1x2", &[100; 10]);
    check("S1x9", &[108, 108, 108, 108, 108, 108, 108, 108, 108, 28]);
    check("S3", &[1_000]);
    check("off", &[1_000]);
}

#[test]
fn a_device_connects_once_however_many_links_it_has() {
    let mut fleet = Limited::new("connects=1/s", &["a", "b"]);
    fleet.telemetry("a");
    let session = fleet.pair.client.begin().unwrap();
    let address = "/devices/b/methods/devicebound";
    for options in [
        LinkOptions::receiver("calls", address, Credit::Manual(1)),
        LinkOptions::sender("answers", address),
        LinkOptions::sender("t", "/devices/b/messages/events"),
    ] {
        fleet.pair.client.attach(session, options).unwrap();
    }
    fleet.pair.run();
    assert_eq!(fleet.attached(), 1, "that of the other device");
    fleet.pass(Duration::from_millis(999));
    assert_eq!(fleet.attached(), 0);
    fleet.pass(Duration::from_millis(1));
    assert_eq!(fleet.attached(), 3);
    // One more of a device that is connected.
    fleet.telemetry("b");
    assert_eq!(fleet.attached(), 1);
}

#[test]
fn a_device_that_gives_up_while_it_waits_is_not_connected() {
    let mut fleet = Limited::new("connects=1/s", &["a", "b"]);
    fleet.telemetry("a");
    let waits = fleet.telemetry("b");
    fleet.pair.client.detach(waits, true, None).unwrap();
    fleet.pair.run();
    fleet.pass(Duration::from_secs(2));
    assert_eq!(fleet.pair.end.head.clients.len(), 1);
    assert!(fleet.pair.end.head.connecting.is_empty());
    // It comes again, and is in the queue again.
    fleet.pair.events.clear();
    fleet.telemetry("b");
    assert_eq!(fleet.attached(), 1);
}

#[test]
fn a_connection_above_the_rate_is_refused_by_a_condition_after_which_clients_come_again() {
    let mut fleet = Limited::new("connects=1/s queue.connects=0", &["a", "b"]);
    fleet.telemetry("a");
    fleet.telemetry("b");
    let detached = fleet.pair.events.iter().find_map(|event| match event {
        Event::Detached { error, .. } => error.clone(),
        _ => None,
    });
    let error = detached.unwrap();
    assert_eq!(error.condition.as_str(), "amqp:link:detach-forced");
    assert!(error.description.unwrap().contains("429001"));
    // Credentials that are not good cost nothing.
    fleet.pass(Duration::from_secs(1));
    fleet.telemetry("nobody");
    fleet.pair.events.clear();
    fleet.telemetry("b");
    assert_eq!(fleet.attached(), 1);
}

#[test]
fn telemetry_is_taken_then_delayed_then_refused() {
    let mut fleet = Limited::new("d2c=1/s burst.d2c=2 queue.d2c=3", &["a"]);
    let link = fleet.telemetry("a");
    for number in 0..6 {
        fleet.send(link, &text(&number.to_string()));
    }
    let outcomes = fleet.outcomes();
    let [(0, None), (1, None), (5, Some((condition, description)))] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(condition, THROTTLED);
    assert!(description.contains("429002"), "{description}");
    for number in 2..5 {
        assert_eq!(fleet.stored() as u64, number);
        fleet.pass(Duration::from_secs(1));
        assert_eq!(fleet.accepted(), [number]);
    }
    // In the order in which they came.
    let stored = fleet.hub.read(0, 0, 10, 10_000).unwrap();
    let bodies = stored
        .iter()
        .map(|it| Message::decode(&it.message).unwrap().data());
    assert_eq!(bodies.collect::<Vec<_>>().concat(), b"01234");
}

#[test]
fn a_fleet_at_twice_the_rate_is_taken_for_a_minute_delayed_for_another_and_then_refused() {
    let ids: Vec<String> = (0..10).map(|id| format!("d{id}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut fleet = Limited::new("S1", &ids);
    let links: Vec<LinkId> = ids.iter().map(|id| fleet.telemetry(id)).collect();
    let (message, mut tag) = (text("x").to_bytes(), 0);
    let (mut delayed_at, mut refused_at, mut codes) = (None, None, Vec::new());
    for second in 0..180 {
        fleet.pass(Duration::from_secs(1));
        fleet.pair.events.clear();
        for _ in 0..20 {
            for link in &links {
                let outgoing = Outgoing {
                    tag: DeliveryTag::from_u32(tag),
                    message_format: 0,
                    settled: false,
                    context: 0,
                    payload: &message,
                };
                tag += 1;
                fleet.pair.client.send(*link, &outgoing).unwrap();
            }
        }
        fleet.pair.run();
        let outcomes = fleet.outcomes();
        if outcomes.len() < 200 {
            delayed_at.get_or_insert(second);
        }
        for (_, refusal) in outcomes.into_iter().filter(|(_, error)| error.is_some()) {
            refused_at.get_or_insert(second);
            codes.extend(refusal.map(|(_, text)| text.contains("429001")));
        }
    }
    let (delayed_at, refused_at) = (delayed_at.unwrap(), refused_at.unwrap());
    assert!((59..=61).contains(&delayed_at), "{delayed_at}");
    assert!((118..=121).contains(&refused_at), "{refused_at}");
    // All but perhaps those of the first second.
    assert!(codes.iter().filter(|is_lasting| !**is_lasting).count() <= 200);
    // The burst, and the rate since the first was sent.
    let stored = fleet.hub.partition(0).unwrap().next_sequence;
    assert_eq!(stored, 6_000 + 179 * 100);
}

#[test]
fn nothing_gets_before_what_waits_and_limits_that_end_let_it_pass() {
    let mut fleet = Limited::new("d2c=1/s burst.d2c=0", &["a"]);
    let link = fleet.telemetry("a");
    for number in 0..4 {
        fleet.send(link, &text(&number.to_string()));
    }
    assert_eq!(fleet.accepted(), [0]);
    fleet.limit("d2c=1000/s");
    fleet.send(link, &text("4"));
    let accepted = fleet.accepted();
    assert!(
        accepted.is_empty(),
        "behind the others, which keep their time"
    );
    fleet.limit("off");
    // Before the connection hears of it.
    fleet.send(link, &text("5"));
    assert_eq!(fleet.accepted(), [1, 2, 3, 4, 5]);
    fleet.send(link, &text("6"));
    fleet.limit("d2c=1/min");
    fleet.limit("off");
    fleet.wake();
    assert_eq!(fleet.accepted(), [6]);
    assert!(fleet.pair.end.head.waiting.is_empty());
}

#[test]
fn bytes_that_wait_are_bounded() {
    let mut fleet = Limited::new("d2c=1/min burst.d2c=0 queue.d2c=86400 wait=86400", &["a"]);
    let link = fleet.telemetry("a");
    let large = text(&"x".repeat(200_000));
    for _ in 0..60 {
        fleet.send(link, &large);
    }
    let outcomes = fleet.outcomes();
    let refused = outcomes.iter().filter(|(_, error)| error.is_some()).count();
    // One is stored, 8 MiB wait.
    assert_eq!((outcomes.len(), refused), (19, 18));
    let (_, Some((condition, _))) = &outcomes[1] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(condition, THROTTLED);
}

#[test]
fn messages_beyond_the_quota_are_refused_or_lost_until_midnight() {
    let mut fleet = Limited::new("quota=2", &["a"]);
    let link = fleet.telemetry("a");
    fleet.send(link, &text("x"));
    // 4 KB and its name: two blocks.
    fleet.send(link, &text(&"x".repeat(4_097)));
    let outcomes = fleet.outcomes();
    let [(0, None), (1, Some((condition, description)))] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(condition, "amqp:resource-limit-exceeded");
    assert!(description.contains("403002"), "{description}");
    fleet.limit("over-quota=accepted");
    fleet.send(link, &text(&"x".repeat(4_097)));
    assert_eq!(fleet.accepted(), [2]);
    assert_eq!(fleet.stored(), 1);
    fleet.pass(Duration::from_secs(24 * 60 * 60));
    fleet.send(link, &text(&"x".repeat(4_097)));
    assert_eq!(fleet.accepted(), [3]);
    assert_eq!(fleet.stored(), 2);
}

#[test]
fn messages_of_services_wait_as_well() {
    let mut fleet = Limited::new("c2d-sends=1/s burst.c2d-sends=0 queue.c2d-sends=1", &["a"]);
    let session = fleet.pair.client.begin().unwrap();
    let options = LinkOptions::sender("s", "/messages/devicebound");
    let link = fleet.pair.client.attach(session, options).unwrap();
    fleet.pair.run();
    let message = Message {
        properties: Some(Properties {
            to: Some("/devices/a/messages/devicebound".into()),
            ..Properties::default()
        }),
        ..text("hello")
    };
    for _ in 0..3 {
        fleet.send(link, &message);
    }
    fleet.wake();
    let outcomes = fleet.outcomes();
    let refused = |(_, error): &(u64, Option<(String, String)>)| error.is_some();
    assert_eq!(outcomes.iter().filter(|it| refused(it)).count(), 1);
    let a = drawspan_hub::DeviceId::parse("a").unwrap();
    assert_eq!(fleet.hub.message_count(&a), 1);
    fleet.pass(Duration::from_secs(1));
    fleet.wake();
    assert_eq!(fleet.accepted(), [1]);
    assert_eq!(fleet.hub.message_count(&a), 2);
    // Services take a resource limit for a full queue.
    fleet.limit("quota=0");
    fleet.send(link, &message);
    let outcomes = fleet.outcomes();
    let (_, Some((condition, _))) = &outcomes[0] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(condition, "com.microsoft:quota-exceeded");
}

/// A request for the twin, and the statuses of the answers that have come.
fn read_twin(fleet: &mut Limited, requests: LinkId, id: &str) {
    let operation = (
        Value::Symbol(Symbol::from_static("operation")),
        Value::from("GET"),
    );
    let request = Message {
        message_annotations: Some(Map(vec![operation])),
        properties: Some(Properties {
            correlation_id: Some(MessageId::String(id.into())),
            ..Properties::default()
        }),
        ..Message::default()
    };
    fleet.send(requests, &request);
}

fn statuses(fleet: &mut Limited) -> Vec<i64> {
    let status = |event: Event| match event {
        Event::Delivery { payload, .. } => {
            let message = Message::decode(&payload).unwrap();
            message.message_annotations.unwrap().get("status")?.as_i64()
        }
        _ => None,
    };
    fleet.pair.events.drain(..).filter_map(status).collect()
}

#[test]
fn requests_about_twins_wait_and_are_answered_with_429() {
    let mut fleet = Limited::new(
        "twin-reads=1/s burst.twin-reads=0 queue.twin-reads=1",
        &["a"],
    );
    let session = fleet.pair.client.begin().unwrap();
    let address = "/devices/a/twin";
    let answers = LinkOptions::receiver("answers", address, Credit::Auto(100));
    fleet.pair.client.attach(session, answers).unwrap();
    let requests = LinkOptions::sender("requests", address);
    let requests = fleet.pair.client.attach(session, requests).unwrap();
    fleet.pair.run();
    for id in ["1", "2", "3"] {
        read_twin(&mut fleet, requests, id);
    }
    assert_eq!(statuses(&mut fleet), [200, 429]);
    fleet.pass(Duration::from_secs(1));
    assert_eq!(statuses(&mut fleet), [200]);
    fleet.limit("quota=0");
    fleet.pass(Duration::from_secs(5));
    read_twin(&mut fleet, requests, "4");
    assert_eq!(statuses(&mut fleet), [403]);
}

#[test]
fn basic_tiers_have_telemetry_alone() {
    let mut fleet = Limited::new("B1", &["a"]);
    fleet.telemetry("a");
    assert_eq!(fleet.attached(), 1);
    let session = fleet.pair.client.begin().unwrap();
    for (name, address) in [
        ("m", "/devices/a/methods/devicebound"),
        ("t", "/devices/a/twin"),
        ("c", "/devices/a/messages/devicebound"),
    ] {
        let options = LinkOptions::receiver(name, address, Credit::Manual(1));
        fleet.pair.client.attach(session, options).unwrap();
        fleet.pair.run();
        let detached = fleet.pair.events.drain(..).find_map(|event| match event {
            Event::Detached { error, .. } => error,
            _ => None,
        });
        let error = detached.unwrap();
        assert_eq!(error.condition.as_str(), "amqp:not-allowed");
        assert!(error.description.unwrap().contains("403010"), "{address}");
    }
}
