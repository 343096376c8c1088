//! A server and the packets of a client.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::from_secs(100);

/// A CONNECT of this level with a keep-alive of 60 seconds, for client `d`.
fn connect(level: u8) -> Vec<u8> {
    vec![
        0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', level, 0, 0, 60, 0, 1, b'd',
    ]
}

fn connected() -> Server {
    let mut server = Server::new(300_000, NOW);
    server.received(&connect(4), NOW).unwrap();
    let Some(Event::Connect(connect)) = server.event() else {
        panic!("no CONNECT");
    };
    assert_eq!(
        (connect.client_id.as_str(), connect.keep_alive_s),
        ("d", 60)
    );
    assert!(!connect.clean_session);
    server.accept(true).unwrap();
    assert_eq!(server.output()[..], [0x20, 2, 1, 0]);
    server
}

#[test]
fn packets_may_come_in_pieces_and_several_at_a_time() {
    let mut server = Server::new(300_000, NOW);
    for byte in connect(4) {
        assert_eq!(server.event(), None);
        server.received(&[byte], NOW).unwrap();
    }
    assert!(matches!(server.event(), Some(Event::Connect(_))));
    server.accept(false).unwrap();
    server.output();
    // A message of QoS 1, a ping, and an acknowledgement of nothing that was sent.
    let publish = [0x32, 7, 0, 1, b't', 0, 9, b'x', b'y'];
    server
        .received(&[&publish[..], &[0xc0, 0]].concat(), NOW)
        .unwrap();
    let Some(Event::Publish(message)) = server.event() else {
        panic!("no message");
    };
    assert_eq!((message.topic.as_str(), message.packet_id), ("t", Some(9)));
    assert_eq!(
        (&message.payload[..], message.qos),
        (&b"xy"[..], Qos::AtLeastOnce)
    );
    assert_eq!(server.output()[..], [0xd0, 0]);
    server.acknowledge(9).unwrap();
    assert_eq!(server.output()[..], [0x40, 2, 0, 9]);
}

/// A client need not wait for CONNACK (MQTT 3.1.1, section 3.1).
#[test]
fn what_comes_with_connect_is_answered_behind_it() {
    let mut server = Server::new(300_000, NOW);
    let ping = [0xc0, 0];
    let all = [&connect(4)[..], &ping, &ping].concat();
    server.received(&all, NOW).unwrap();
    assert!(matches!(server.event(), Some(Event::Connect(_))));
    assert_eq!(server.output().len(), 0, "nothing goes out before CONNACK");
    server.accept(false).unwrap();
    assert_eq!(server.output()[..], [0x20, 2, 0, 0, 0xd0, 0, 0xd0, 0]);
    server.received(&ping, NOW).unwrap();
    assert_eq!(server.output()[..], [0xd0, 0]);
}

#[test]
fn other_versions_are_refused_in_their_own_words() {
    let check = |level, expected: &[u8]| {
        let mut server = Server::new(300_000, NOW);
        let error = server.received(&connect(level), NOW);
        assert_eq!(error, Err(ServerError::UnsupportedVersion(level)));
        assert_eq!(server.output()[..], *expected);
    };
    check(5, &[0x20, 3, 0, 0x84, 0]);
    let mut server = Server::new(300_000, NOW).with_mqtt_5_reason(0x9d);
    assert!(server.received(&connect(5), NOW).is_err());
    assert_eq!(server.output()[..], [0x20, 3, 0, 0x9d, 0]);
    check(3, &[0x20, 2, 0, 1]);
    let mut server = Server::new(300_000, NOW);
    let old = [&[0x10, 12, 0, 6][..], b"MQIsdp", &[3, 2]].concat();
    assert_eq!(
        server.received(&old, NOW),
        Err(ServerError::UnsupportedVersion(3))
    );
}

#[test]
fn what_is_not_mqtt_is_refused_by_its_first_bytes() {
    for first in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"AMQP\x00\x01\x00\x00",
        &[0x30, 0],
        &[0x10, 0xff, 0xff, 0xff, 0xff, 1],
    ] {
        let mut server = Server::new(300_000, NOW);
        assert_eq!(
            server.received(first, NOW),
            Err(ServerError::NotMqtt),
            "{first:?}"
        );
    }
}

#[test]
fn subscriptions_are_answered_filter_by_filter() {
    let mut server = connected();
    let subscribe = [0x82, 12, 0, 1, 0, 1, b'a', 1, 0, 3, b'b', b'/', b'#', 2];
    server.received(&subscribe, NOW).unwrap();
    let Some(Event::Subscribe { packet_id, filters }) = server.event() else {
        panic!("no SUBSCRIBE");
    };
    let expected = [
        ("a".to_owned(), Qos::AtLeastOnce),
        ("b/#".to_owned(), Qos::ExactlyOnce),
    ];
    assert_eq!((packet_id, &filters[..]), (1, &expected[..]));
    server
        .subscribed(1, &[Some(Qos::AtLeastOnce), None])
        .unwrap();
    assert_eq!(server.output()[..], [0x90, 4, 0, 1, 1, 0x80]);
    server.received(&[0xa2, 5, 0, 2, 0, 1, b'a'], NOW).unwrap();
    assert!(matches!(
        server.event(),
        Some(Event::Unsubscribe { packet_id: 2, .. })
    ));
    server.unsubscribed(2).unwrap();
    assert_eq!(server.output()[..], [0xb0, 2, 0, 2]);
}

#[test]
fn a_message_of_qos_1_is_acknowledged_by_its_id() {
    let mut server = connected();
    let first = server.publish_at_least_once("t", b"x").unwrap();
    let second = server.publish_at_least_once("t", b"x").unwrap();
    assert_ne!(first, second);
    server.output();
    server.received(&[0x40, 2, 0, first as u8], NOW).unwrap();
    assert_eq!(
        server.event(),
        Some(Event::Acknowledged { packet_id: first })
    );
    // What was not sent cannot be acknowledged.
    let unknown = server.received(&[0x40, 2, 0, 200], NOW);
    assert_eq!(unknown, Err(ServerError::Malformed));
}

#[test]
fn a_client_may_be_silent_for_one_and_a_half_keep_alives() {
    let mut server = connected();
    assert_eq!(server.deadline(), Some(NOW + Duration::from_secs(90)));
    server
        .received(&[0xc0, 0], NOW + Duration::from_secs(50))
        .unwrap();
    assert_eq!(server.deadline(), Some(NOW + Duration::from_secs(140)));
}

#[test]
fn a_client_is_cut_after_one_and_a_half_keep_alives_and_1767_seconds_at_most() {
    let check = |keep_alive_s: u16, cut_after_ms: u64| {
        let mut server = Server::new(300_000, NOW);
        let mut connect = connect(4);
        connect[10..12].copy_from_slice(&keep_alive_s.to_be_bytes());
        server.received(&connect, NOW).unwrap();
        let cut_after = server.deadline().unwrap() - NOW;
        assert_eq!(cut_after, Duration::from_millis(cut_after_ms));
        cut_after
    };
    check(60, 90_000);
    check(180, 270_000);
    // Java's, which is cut 115 s after the ping that it missed.
    assert_eq!(check(230, 345_000).as_secs() - 230, 115);
    check(240, 360_000);
    check(300, 450_000);
    check(1_160, 1_740_000);
    check(1_177, 1_765_500);
    check(1_178, 1_767_000);
    check(1_740, 1_767_000);
    check(u16::MAX, 1_767_000);
    check(0, 1_767_000);
}

#[test]
fn silence_may_be_counted_faster_and_slower_than_it_passes() {
    let after = |seconds: u64| NOW + Duration::from_secs(seconds);
    let mut server = connected();
    // 30 of 90 s have passed: 60 s are left.
    server.set_pace(60.0, after(30));
    assert_eq!(server.deadline(), Some(after(31)));
    server.received(&[0xc0, 0], after(31)).unwrap();
    let whole = Duration::from_millis(1_500);
    assert_eq!(server.deadline(), Some(after(31) + whole));
    server.set_pace(0.5, after(32));
    assert_eq!(server.deadline(), Some(after(32 + 60)));
    server.set_pace(1.0, after(52));
    assert_eq!(server.deadline(), Some(after(52 + 20)));
}

#[test]
fn no_official_client_is_cut_at_a_scale_of_1_2() {
    // Keep-alive and how often the client pings: Python, Node, Java, C, .NET.
    for (keep_alive_s, pings_after_s) in [(60, 60), (180, 180), (230, 230), (240, 240), (300, 75)] {
        let cut_after = silence_of(keep_alive_s).as_secs_f64() / 1.2;
        assert!(cut_after > f64::from(pings_after_s) * 1.2, "{keep_alive_s}");
    }
}

#[test]
fn a_packet_that_is_too_large_is_refused_before_it_came() {
    let mut server = connected();
    let head = [0x30, 0xff, 0xff, 0xff, 0x7f];
    assert_eq!(
        server.received(&head, NOW),
        Err(ServerError::PacketTooLarge)
    );
}

proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
        is_connected in any::<bool>(),
    ) {
        let mut server = if is_connected { connected() } else { Server::new(1_000, NOW) };
        for piece in pieces {
            if server.received(&piece, NOW).is_err() {
                break;
            }
            while server.event().is_some() {}
        }
        prop_assert!(server.output_bytes() < 100_000);
    }
}
