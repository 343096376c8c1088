use drawspan_hub::{Failure, FailureKind};

use super::*;
use crate::limits::FEED_CHANGES;

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn change(at_s: i64) -> Change {
    Change {
        at: UtcTime::from_unix_ms(at_s * 1_000),
        status: ConnectionStatus::DisconnectedRetrying,
        reason: ConnectionStatusReason::CommunicationError,
        cause: Some(ConnectionCause::Network),
        detail: Some("bridge, on its way to a.net: no route".into()),
        session: Some(Duration::from_secs(7)),
    }
}

#[test]
fn the_last_changes_of_a_device_newest_first() {
    let mut history = History::default();
    for at in 0..100 {
        history.record(&id("a"), change(at));
    }
    history.record(&id("b"), change(7));
    let expected: Vec<_> = (84..100).rev().map(change).collect();
    assert_eq!(history.of(&id("a")).cloned().collect::<Vec<_>>(), expected);
    assert_eq!(history.of(&id("b")).count(), 1);
    assert_eq!(history.of(&id("c")).count(), 0);
}

#[test]
fn what_changed_longest_ago_is_forgotten_first_and_a_restless_device_costs_only_itself() {
    let mut history = History::default();
    history.record(&id("quiet"), change(0));
    for at in 0..1_000_000 {
        history.record(&id("restless"), change(at));
    }
    assert_eq!(history.of(&id("quiet")).count(), 1);
    let mut devices = 0;
    while history.of(&id("quiet")).count() > 0 {
        history.record(&id(&format!("device-{devices}")), change(1));
        devices += 1;
        assert!(history.bytes() <= HISTORY_BYTES);
    }
    assert_eq!(history.of(&id("restless")).count(), HISTORY_CHANGES);
    let last = id(&format!("device-{}", devices - 1));
    assert_eq!(history.of(&last).count(), 1);
    assert!(devices > 30_000, "{devices}");
    assert_eq!(history.devices.len(), history.order.len());
    let counted: usize = history.devices.values().map(Record::bytes).sum();
    assert_eq!(counted, history.bytes());
}

#[test]
fn a_device_that_just_connects_is_not_kept_and_one_with_a_history_is() {
    let mut history = History::default();
    let connects = Change {
        status: ConnectionStatus::Connected,
        cause: None,
        ..change(1)
    };
    history.record(&id("a"), connects.clone());
    assert_eq!((history.of(&id("a")).count(), history.bytes()), (0, 0));
    history.record(&id("a"), change(2));
    history.record(&id("a"), connects);
    assert_eq!(history.of(&id("a")).count(), 2);
}

#[test]
fn a_change_is_small() {
    assert!(size_of::<Change>() <= 56, "{}", size_of::<Change>());
}

#[test]
fn a_listener_reads_what_it_wants_and_is_told_what_it_missed() {
    let mut feed = Feed::default();
    for number in 0..10 {
        let device = if number % 2 == 0 { "even" } else { "odd" };
        feed.push(id(device), None, change(number));
    }
    let even = |device: &DeviceId, _: &DeviceId| *device == id("even");
    let passage = feed.read(3, 2, even);
    let numbers = |passage: &Passage| -> Vec<u64> {
        passage.changes.iter().map(|change| change.number).collect()
    };
    assert_eq!((numbers(&passage), passage.missed), (vec![4, 6], 0));
    let rest = feed.read(passage.next, 100, even);
    assert_eq!((numbers(&rest), rest.next), (vec![8], 10));
    assert_eq!(feed.read(10, 100, even).changes, []);
    // A number that there is not yet, which only another process can have given out.
    assert_eq!(feed.read(999, 100, even).next, 10);

    for number in 0..FEED_CHANGES as i64 {
        feed.push(id("odd"), Some(id("Odd")), change(number));
    }
    let late = feed.read(4, 1, |_, _| true);
    assert_eq!((late.missed, numbers(&late)), (6, vec![10]));
    let by_hub = feed.read(0, 10, |_, assigned| *assigned == id("odd"));
    assert_eq!(by_hub.changes, [], "it has another name there");
}

#[test]
fn a_detail_says_who_and_has_no_secret() {
    let check = |failure: &Failure, expected: &str| {
        assert_eq!(&*detail_of(failure, Some("a.net")), expected);
    };
    let said = r#"{"errorCode":409002,"trackingId":"T1","message":"taken over"}"#;
    check(
        &Failure::from_amqp("amqp:link:stolen", Some(said)),
        "another client, as a.net says: amqp:link:stolen: taken over (code 409002, tracking id T1)",
    );
    check(
        &Failure::from_amqp("amqp:connection:forced", None),
        "a.net: amqp:connection:forced",
    );
    check(
        &Failure::own(FailureKind::ConnectionLost, "not needed"),
        "bridge: not needed",
    );
    check(
        &Failure::local(FailureKind::HubUnreachable, "refused"),
        "bridge, on its way to a.net: refused",
    );
    check(
        &Failure::from_cbs(401, "no SharedAccessSignature sr=a&sig=abc%3D&se=1 today"),
        "a.net: no SharedAccessSignature *** today",
    );
    let long = Failure::from_amqp(&"c".repeat(5_000), Some(&"m".repeat(5_000)));
    assert!(detail_of(&long, None).len() <= crate::limits::DETAIL_MAX_CHARS);
}
