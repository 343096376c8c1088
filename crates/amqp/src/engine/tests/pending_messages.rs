//! Messages that wait for a window or for room to write: their number, and how they are cancelled.

use super::pair::Pair;
use super::{begin, message, payloads, sender};
use crate::engine::{Config, Credit, Event};
use crate::performative::Flow;
use crate::{frame, limits};

/// A flow of the peer's on its first session, which opens or shuts the session's window.
fn window(pair: &mut Pair, next_incoming_id: u32, incoming_window: u32) {
    let flow = Flow {
        next_incoming_id: Some(next_incoming_id),
        incoming_window,
        ..Flow::default()
    };
    frame::encode_flow(pair.client.connection.input(), 0, &flow);
    pair.settle();
}

#[test]
fn a_session_whose_window_is_shut_has_no_room_until_it_is_opened() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Auto(100));
    pair.client.drain();
    let (other, _) = begin(&mut pair);
    let (neighbour, _) = sender(&mut pair, other, "l", Credit::Auto(100));
    pair.client.drain();
    assert!(pair.client.connection.has_room(link));
    window(&mut pair, 0, 0);
    assert!(!pair.client.connection.has_room(link));
    assert!(pair.client.connection.has_room(neighbour));
    assert_eq!(pair.client.drain(), []);
    window(&mut pair, 0, 1);
    assert_eq!(pair.client.drain(), [Event::Room { session }]);
    assert!(pair.client.connection.has_room(link));
    // Reported once.
    window(&mut pair, 0, 2);
    assert_eq!(pair.client.drain(), []);
}

#[test]
fn a_window_that_is_shut_for_good_is_never_widened() {
    let mut pair = Pair::open(Config::default());
    let (session, theirs) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Auto(100_000));
    pair.client.drain();
    let (other, _) = begin(&mut pair);
    let (neighbour, _) = sender(&mut pair, other, "l", Credit::Auto(100));
    pair.client.drain();
    // On their way while the window is shut, and more than half of it, after which it would be widened.
    let on_their_way = u64::from(limits::INCOMING_WINDOW / 2) + 1;
    for number in 0..on_their_way {
        let sent = pair.client.connection.send(link, &message(number, b"x"));
        sent.unwrap();
    }
    pair.server.connection.shut_window(theirs).unwrap();
    pair.settle();
    assert_eq!(payloads(&pair.server.drain()).len() as u64, on_their_way);
    assert!(!pair.client.connection.has_room(link));
    pair.client
        .connection
        .send(link, &message(on_their_way, b"late"))
        .unwrap();
    pair.client
        .connection
        .send(neighbour, &message(0, b"neighbour"))
        .unwrap();
    pair.settle();
    assert_eq!(payloads(&pair.server.drain()), [b"neighbour".to_vec()]);
}

#[test]
fn a_session_has_no_room_while_much_of_it_waits_to_be_written() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Auto(10_000));
    pair.client.drain();
    let client = &mut pair.client.connection;
    let mut sent = 0;
    while client.has_room(link) {
        client.send(link, &message(sent, &[7; 1_000])).unwrap();
        sent += 1;
    }
    let most = limits::OUTPUT_SOFT_BYTES + limits::SESSION_QUEUE_BYTES + 2_000;
    assert!(client.waiting_bytes() < most, "{}", client.waiting_bytes());
    pair.settle();
    let room = |event: &Event| *event == Event::Room { session };
    assert_eq!(pair.client.drain().into_iter().filter(room).count(), 1);
    assert_eq!(payloads(&pair.server.drain()).len() as u64, sent);
}

#[test]
fn a_message_that_waits_is_taken_back_and_its_credit_with_it() {
    let mut pair = Pair::open(Config {
        max_frame_bytes: 512,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Manual(4));
    pair.client.drain();
    window(&mut pair, 0, 1);
    let client = &mut pair.client.connection;
    for context in 0..4 {
        client
            .send(link, &message(context, &[context as u8; 600]))
            .unwrap();
    }
    assert_eq!(client.credit(link), 0);
    assert!(!client.withdraw(link, 0), "some of it is written");
    assert!(client.withdraw(link, 2));
    assert!(!client.withdraw(link, 2), "taken back already");
    assert_eq!(client.credit(link), 1);
    let credit = Event::Credit {
        link,
        credit: 1,
        drain: false,
    };
    client.send(link, &message(4, b"the last")).unwrap();
    window(&mut pair, 1, 100);
    assert_eq!(pair.client.next(), credit);
    let expected = [
        vec![0; 600],
        vec![1; 600],
        vec![3; 600],
        b"the last".to_vec(),
    ];
    assert_eq!(payloads(&pair.server.drain()), expected);
    assert_eq!(pair.client.connection.queued_bytes, 0);
    assert_eq!(pair.client.connection.credit(link), 0);
}

#[test]
fn credit_that_was_lowered_meanwhile_does_not_come_back() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Manual(3));
    window(&mut pair, 0, 0);
    for context in 0..3 {
        pair.client
            .connection
            .send(link, &message(context, b"x"))
            .unwrap();
    }
    // The receiver wants but one, and does not know of these three.
    let lowered = Flow {
        next_incoming_id: Some(0),
        handle: Some(0),
        delivery_count: Some(0),
        link_credit: Some(1),
        ..Flow::default()
    };
    frame::encode_flow(pair.client.connection.input(), 0, &lowered);
    pair.settle();
    let client = &mut pair.client.connection;
    for (context, credit) in [(2, 0), (1, 0), (0, 1)] {
        assert!(client.withdraw(link, context));
        assert_eq!(client.credit(link), credit, "{context}");
    }
}
