//! Frames that foreign stacks send and our engine does not, and frames that cross on their way.

use super::pair::Pair;
use super::{begin, message, payloads, receiver, sender};
use crate::engine::{AcceptOptions, CommandError, Config, Credit, Event, LinkOptions};
use crate::frame;
use crate::performative::{
    Begin, DeliveryState, DeliveryTag, Detach, Flow, Performative, condition,
};

/// Feeds the server a flow of the client's on the first session.
fn flow(pair: &mut Pair, flow: &Flow) {
    frame::encode_flow(pair.server.connection.input(), 0, flow);
    pair.settle();
}

#[test]
fn credit_and_windows_without_practical_limit_are_taken_as_such() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let options = LinkOptions::receiver("r", "queue", Credit::Manual(2));
    let (_, theirs) = receiver(&mut pair, session, options);
    let server = &mut pair.server.connection;
    server.send(theirs, &message(0, b"on its way")).unwrap();
    server.poll_output();
    flow(
        &mut pair,
        &Flow {
            next_incoming_id: Some(0),
            incoming_window: u32::MAX,
            handle: Some(0),
            delivery_count: Some(0),
            link_credit: Some(u32::MAX),
            ..Flow::default()
        },
    );
    assert_eq!(pair.server.connection.credit(theirs), u32::MAX - 1);
    pair.client.drain();
    pair.server
        .connection
        .send(theirs, &message(1, b"x"))
        .unwrap();
    assert_eq!(pair.server.connection.queued_bytes, 0);
}

#[test]
fn a_sender_that_counts_late_takes_no_credit_away() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, theirs) = sender(&mut pair, session, "l", Credit::Manual(3));
    pair.client
        .connection
        .send(link, &message(0, b"x"))
        .unwrap();
    pair.settle();
    assert_eq!(pair.server.connection.credit(theirs), 2);
    let late = Flow {
        next_incoming_id: Some(0),
        incoming_window: 5_000,
        handle: Some(0),
        delivery_count: Some(0),
        link_credit: Some(3),
        ..Flow::default()
    };
    flow(&mut pair, &late);
    assert_eq!(pair.server.connection.credit(theirs), 2);
    pair.client
        .connection
        .send(link, &message(1, b"x"))
        .unwrap();
    pair.settle();
    assert_eq!(payloads(&pair.server.drain()).len(), 2);
}

fn frames_of(server: &mut crate::engine::Connection, transfers: &[(u32, Option<u32>, bool)]) {
    for &(handle, id, more) in transfers {
        let transfer = crate::performative::Transfer {
            handle,
            delivery_id: id,
            delivery_tag: id.map(DeliveryTag::from_u32),
            message_format: None,
            settled: None,
            more,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: false,
            batchable: false,
            payload: bytes::Bytes::new(),
        };
        frame::encode_transfer(server.input(), 0, &transfer, &[handle as u8]);
    }
}

#[test]
fn messages_of_two_links_may_be_mixed_frame_by_frame() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (_, first) = sender(&mut pair, session, "a", Credit::Manual(10));
    let (_, second) = sender(&mut pair, session, "b", Credit::Manual(10));
    let mixed = [
        (0, Some(0), true),
        (1, Some(1), true),
        (1, Some(1), false),
        (1, Some(2), false),
        (0, None, false),
    ];
    frames_of(&mut pair.server.connection, &mixed);
    pair.settle();
    assert_eq!(
        payloads(&pair.server.drain()),
        [vec![1, 1], vec![1], vec![0, 0]]
    );
    for (link, id) in [(first, 0), (second, 2), (second, 1)] {
        let delivery = crate::engine::DeliveryId(id);
        pair.server
            .connection
            .settle(link, delivery, DeliveryState::Accepted)
            .unwrap();
    }
}

#[test]
fn a_delivery_id_that_is_still_in_use_detaches_its_link() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Manual(10));
    pair.client.drain();
    let twice = [(0, Some(0), false), (0, Some(0), false)];
    frames_of(&mut pair.server.connection, &twice);
    pair.settle();
    assert_eq!(payloads(&pair.server.drain()).len(), 1);
    let [
        Event::Detached {
            link: gone,
            error: Some(error),
            ..
        },
    ] = &pair.client.drain()[..]
    else {
        panic!("not detached");
    };
    assert_eq!((*gone, &error.condition), (link, &condition::NOT_ALLOWED));
}

#[test]
fn nothing_is_said_on_a_session_after_our_end() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (out, _) = sender(&mut pair, session, "out", Credit::Manual(10));
    let options = LinkOptions::receiver("in", "queue", Credit::Manual(10));
    let (into, theirs) = receiver(&mut pair, session, options);
    pair.server
        .connection
        .send(theirs, &message(1, b"x"))
        .unwrap();
    pair.settle();
    let Event::Delivery { delivery, .. } = pair
        .client
        .take(|event| matches!(event, Event::Delivery { .. }))
    else {
        unreachable!()
    };
    pair.client.drain();
    let client = &mut pair.client.connection;
    client.end(session, None).unwrap();
    let before = client.poll_output().len();
    let gone = Err(CommandError::UnknownLink);
    assert_eq!(client.send(out, &message(2, b"x")), gone);
    assert_eq!(client.settle(into, delivery, DeliveryState::Accepted), gone);
    assert_eq!(client.grant(into, 5), gone);
    assert_eq!(client.detach(out, true, None), gone);
    assert_eq!(client.credit(out), 0);
    assert_eq!(client.poll_output().len(), before);
    pair.settle();
    assert!(matches!(
        pair.client.drain()[..],
        [Event::SessionEnded { error: None, .. }]
    ));
    assert!(!pair.server.connection.is_done());
}

#[test]
fn a_flow_gets_no_answer_on_a_link_that_is_not_attached() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let options = LinkOptions::receiver("r", "queue", Credit::Manual(0));
    pair.client.connection.attach(session, options).unwrap();
    pair.exchange();
    let Event::AttachRequested { link, .. } = pair.server.next() else {
        panic!("no attach")
    };
    let echo = Flow {
        handle: Some(0),
        link_credit: Some(5),
        echo: true,
        ..Flow::default()
    };
    let server = &mut pair.server.connection;
    crate::frame::encode_flow(server.input(), 0, &echo);
    // Credit that comes before the answer counts.
    assert_eq!(
        server.poll_event(pair.now),
        Some(Event::Credit {
            link,
            credit: 5,
            drain: false
        })
    );
    assert!(server.poll_output().is_empty());
    server.accept(link, AcceptOptions::default()).unwrap();
    server.detach(link, true, None).unwrap();
    let before = server.poll_output().len();
    crate::frame::encode_flow(server.input(), 0, &echo);
    assert_eq!(server.poll_event(pair.now), None);
    assert_eq!(server.poll_output().len(), before);
}

#[test]
fn a_name_that_is_given_up_and_taken_again_is_answered_in_order() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (low, _) = sender(&mut pair, session, "low", Credit::Manual(1));
    pair.client.drain();
    let sender = || LinkOptions::sender("again", "queue");
    let client = &mut pair.client.connection;
    client.detach(low, true, None).unwrap();
    let first = client.attach(session, sender()).unwrap();
    client.detach(first, true, None).unwrap();
    let server = &mut pair.server.connection;
    server.input().unsplit(client.poll_output().split());
    while server.poll_event(pair.now).is_some() {}
    // The lower handle is free before the peer's answer to the first attach is read.
    let mut answers = server.poll_output().split();
    let detached = answers.split_to(usize::from(answers[3]));
    client.input().unsplit(detached);
    assert!(matches!(
        client.poll_event(pair.now),
        Some(Event::Detached { link, .. }) if link == low
    ));
    let second = client.attach(session, sender()).unwrap();
    assert!(second.slot() < first.slot());
    client.input().unsplit(answers);
    assert!(matches!(
        client.poll_event(pair.now),
        Some(Event::Detached { link, .. }) if link == first
    ));
    pair.settle();
    assert!(matches!(
        pair.server.drain()[..],
        [Event::AttachRequested { .. }]
    ));
}

#[test]
fn a_link_without_a_name_steals_none() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    sender(&mut pair, session, "named", Credit::Manual(1));
    pair.client.drain();
    // The server attaches a link with an empty name.
    let options = LinkOptions::receiver("", "queue", Credit::Manual(0));
    let theirs = pair.server.connection.session_id(0);
    pair.server.connection.attach(theirs, options).unwrap();
    pair.settle();
    assert!(matches!(
        pair.client.drain()[..],
        [Event::AttachRequested { .. }]
    ));
}

#[test]
fn a_detach_that_is_said_twice_changes_nothing() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (gone, _) = sender(&mut pair, session, "gone", Credit::Manual(1));
    let (stays, _) = sender(&mut pair, session, "stays", Credit::Manual(1));
    pair.client.connection.detach(gone, true, None).unwrap();
    pair.settle();
    let twice = Performative::Detach(Detach {
        handle: 0,
        closed: true,
        error: None,
    });
    frame::encode_performative(pair.server.connection.input(), 0, &twice);
    pair.settle();
    pair.client
        .connection
        .send(stays, &message(1, b"x"))
        .unwrap();
    pair.settle();
    assert_eq!(payloads(&pair.server.drain()).len(), 1);
}

#[test]
fn lowered_credit_does_not_punish_what_is_on_its_way() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, theirs) = sender(&mut pair, session, "l", Credit::Manual(3));
    for context in 0..3 {
        pair.client
            .connection
            .send(link, &message(context, b"x"))
            .unwrap();
    }
    pair.server.connection.grant(theirs, 1).unwrap();
    pair.settle();
    assert_eq!(payloads(&pair.server.drain()).len(), 3);
    assert_eq!(pair.server.connection.credit(theirs), 0);
    // Nothing is left of the first promise.
    let more = [(0, Some(3), false)];
    frames_of(&mut pair.server.connection, &more);
    pair.settle();
    assert!(payloads(&pair.server.drain()).is_empty());
    let over = pair
        .client
        .drain()
        .into_iter()
        .find_map(|event| match event {
            Event::Detached { error, .. } => error,
            _ => None,
        });
    assert_eq!(over.unwrap().condition, condition::TRANSFER_LIMIT_EXCEEDED);
}

/// Transfers among the frames that wait to be written, which are taken.
fn transfers(connection: &mut crate::engine::Connection) -> usize {
    let mut output = connection.poll_output().split();
    let mut count = 0;
    while let Some(raw) = frame::split_frame(&mut output, 65_536).unwrap() {
        let performative = frame::decode_performative(raw.body).unwrap();
        count += usize::from(matches!(performative, Some(Performative::Transfer(_))));
    }
    count
}

#[test]
fn a_sender_stops_at_the_window_of_its_peer() {
    let mut pair = Pair::open(Config {
        incoming_window: 3,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let options = LinkOptions::receiver("r", "queue", Credit::Manual(100));
    let (_, theirs) = receiver(&mut pair, session, options);
    let server = &mut pair.server.connection;
    for context in 0..50 {
        server.send(theirs, &message(context, b"x")).unwrap();
    }
    assert_eq!(transfers(server), 3);
    // The peer has seen one of them when it opens its window.
    let window = |next_incoming_id, incoming_window| Flow {
        next_incoming_id: Some(next_incoming_id),
        incoming_window,
        ..Flow::default()
    };
    for (flow, expected) in [
        (window(1, 10), 8),
        (window(1, 10), 0),
        (window(5, 2), 0),
        (window(11, 2), 2),
        (window(13, 1_000), 37),
    ] {
        frame::encode_flow(server.input(), 0, &flow);
        while server.poll_event(pair.now).is_some() {}
        assert_eq!(transfers(server), expected, "{flow:?}");
    }
}

#[test]
fn a_channel_on_which_the_peer_begins_anew_was_ended() {
    let mut pair = Pair::open(Config::default());
    let (first, _) = begin(&mut pair);
    let client = &mut pair.client.connection;
    client.end(first, None).unwrap();
    let second = client.begin().unwrap();
    client.poll_output().clear();
    let answer = Performative::Begin(Box::new(Begin {
        remote_channel: Some(1),
        next_outgoing_id: 0,
        incoming_window: 1,
        outgoing_window: 1,
        handle_max: 7,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }));
    // Of the end of the first one it says nothing.
    frame::encode_performative(client.input(), 0, &answer);
    pair.settle();
    let ended = Event::SessionEnded {
        session: first,
        error: None,
    };
    let began = Event::SessionBegan {
        session: second,
        by_peer: false,
    };
    assert_eq!(pair.client.drain(), [ended, began]);
}
