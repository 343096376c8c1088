use super::pair::Pair;
use super::{accept, begin, message, receiver, sender};
use crate::engine::{AcceptOptions, CommandError, Config, Credit, Event, LinkOptions};
use crate::performative::{DeliveryState, Error, Role, condition};

#[test]
fn a_refused_link_is_never_attached_and_tells_why() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    for role in [Role::Sender, Role::Receiver] {
        let options = match role {
            Role::Sender => LinkOptions::sender("x", "nowhere"),
            Role::Receiver => LinkOptions::receiver("x", "nowhere", Credit::Auto(10)),
        };
        let link = pair.client.connection.attach(session, options).unwrap();
        pair.settle();
        let Event::AttachRequested { link: theirs, .. } = pair.server.next() else {
            panic!("no attach")
        };
        let error = Error::new(condition::NOT_FOUND, "no such node");
        pair.server
            .connection
            .refuse(theirs, error.clone())
            .unwrap();
        pair.settle();
        assert_eq!(
            pair.client.drain(),
            vec![Event::Detached {
                link,
                session,
                closed: true,
                error: Some(error)
            }]
        );
        assert!(matches!(pair.server.next(), Event::Detached { link, .. } if link == theirs));
        assert_eq!(
            pair.client.connection.detach(link, true, None),
            Err(CommandError::UnknownLink)
        );
    }
}

#[test]
fn sender_and_receiver_may_share_a_name_on_one_session() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (out, _) = sender(&mut pair, session, "same", Credit::Manual(1));
    let (into, theirs) = receiver(
        &mut pair,
        session,
        LinkOptions::receiver("same", "queue", Credit::Manual(1)),
    );
    assert_ne!(out, into);
    pair.server.drain();
    pair.server
        .connection
        .send(theirs, &message(1, b"down"))
        .unwrap();
    pair.settle();
    assert!(
        pair.client
            .drain()
            .iter()
            .any(|event| matches!(event, Event::Delivery { link, .. } if *link == into))
    );
}

#[test]
fn one_session_ends_and_its_neighbour_stays() {
    let mut pair = Pair::open(Config::default());
    let (first, theirs) = begin(&mut pair);
    let (second, _) = begin(&mut pair);
    let (gone, _) = sender(&mut pair, first, "l", Credit::Manual(5));
    let (stays, _) = sender(&mut pair, second, "l", Credit::Manual(5));
    pair.client.drain();
    let error = Error::new(condition::INTERNAL_ERROR, "worker restarted");
    pair.server
        .connection
        .end(theirs, Some(error.clone()))
        .unwrap();
    pair.settle();
    assert_eq!(
        pair.client.drain(),
        vec![Event::SessionEnded {
            session: first,
            error: Some(error)
        }]
    );
    assert_eq!(
        pair.client.connection.send(gone, &message(1, b"x")),
        Err(CommandError::UnknownLink)
    );
    pair.client
        .connection
        .send(stays, &message(1, b"x"))
        .unwrap();
    pair.settle();
    assert!(
        pair.server
            .drain()
            .iter()
            .any(|event| matches!(event, Event::Delivery { .. }))
    );
}

#[test]
fn detach_drops_what_waits_and_frees_the_name() {
    let mut pair = Pair::open(Config {
        incoming_window: 1,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let (link, theirs) = sender(&mut pair, session, "l", Credit::Manual(10));
    pair.client.drain();
    for context in 0..10 {
        pair.client
            .connection
            .send(link, &message(context, b"waits for the window"))
            .unwrap();
    }
    pair.client.connection.detach(link, true, None).unwrap();
    assert_eq!(
        pair.client.connection.send(link, &message(10, b"")),
        Err(CommandError::WrongState)
    );
    pair.settle();
    assert_eq!(
        pair.client.drain(),
        vec![Event::Detached {
            link,
            session,
            closed: true,
            error: None
        }]
    );
    assert_eq!(pair.client.connection.queued_bytes, 0);
    assert!(
        pair.server
            .drain()
            .iter()
            .any(|event| matches!(event, Event::Detached { link, .. } if *link == theirs))
    );
    let (again, _) = sender(&mut pair, session, "l", Credit::Manual(1));
    assert_ne!(again, link);
}

#[test]
fn a_detach_before_the_answer_is_answered_in_full() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let link = pair
        .client
        .connection
        .attach(session, LinkOptions::sender("l", "queue"))
        .unwrap();
    pair.client.connection.detach(link, true, None).unwrap();
    pair.settle();
    assert!(matches!(pair.client.drain()[..], [Event::Detached { .. }]));
    let events = pair.server.drain();
    let [
        Event::AttachRequested { link: theirs, .. },
        Event::Detached { .. },
    ] = events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(
        pair.server
            .connection
            .accept(theirs, AcceptOptions::default()),
        Err(CommandError::UnknownLink)
    );
}

#[test]
fn a_link_name_attached_twice_is_stolen_from_the_first() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (first, _) = sender(&mut pair, session, "l", Credit::Manual(1));
    pair.client.drain();
    let second = pair
        .client
        .connection
        .attach(session, LinkOptions::sender("l", "queue"))
        .unwrap();
    accept(&mut pair, AcceptOptions::default());
    let events = pair.client.drain();
    assert!(events.iter().any(
        |event| matches!(event, Event::Detached { link, error: Some(error), .. }
        if *link == first && error.condition == condition::LINK_STOLEN)
    ));
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Attached { link, .. } if *link == second))
    );
}

#[test]
fn a_receiver_drains_and_grants_anew() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, theirs) = receiver(
        &mut pair,
        session,
        LinkOptions::receiver("r", "queue", Credit::Manual(3)),
    );
    assert!(matches!(
        pair.server.next(),
        Event::Credit {
            credit: 3,
            drain: false,
            ..
        }
    ));
    for context in 0..3 {
        pair.server
            .connection
            .send(theirs, &message(context, b"x"))
            .unwrap();
    }
    assert_eq!(
        pair.server.connection.send(theirs, &message(3, b"x")),
        Err(CommandError::NoCredit)
    );
    pair.settle();
    assert_eq!(pair.client.drain().len(), 3);
    pair.client.connection.grant(link, 2).unwrap();
    pair.settle();
    assert!(matches!(
        pair.server.next(),
        Event::Credit { credit: 2, .. }
    ));
    pair.server.connection.drained(theirs).unwrap();
    pair.settle();
    assert_eq!(pair.server.connection.credit(theirs), 0);
    assert_eq!(pair.client.connection.credit(link), 0);
    pair.client.connection.grant(link, 1).unwrap();
    pair.settle();
    assert_eq!(pair.server.connection.credit(theirs), 1);
}

#[test]
fn settlement_in_mode_second_takes_three_steps() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let mut options = LinkOptions::receiver("r", "queue", Credit::Manual(1));
    options.rcv_settle_mode = crate::performative::ReceiverSettleMode::Second;
    let (link, theirs) = receiver(&mut pair, session, options);
    pair.server.drain();
    pair.server
        .connection
        .send(theirs, &message(77, b"x"))
        .unwrap();
    pair.settle();
    let Event::Delivery {
        delivery,
        settled: false,
        ..
    } = pair.client.next()
    else {
        panic!("no delivery")
    };
    pair.client
        .connection
        .propose(link, delivery, DeliveryState::Accepted)
        .unwrap();
    pair.settle();
    assert_eq!(
        pair.server.next(),
        Event::Outcome {
            link: theirs,
            delivery,
            context: 77,
            state: Some(DeliveryState::Accepted),
            settled: false
        }
    );
    let session = pair.server.connection.session_of(theirs).unwrap();
    pair.server
        .connection
        .settle_sent(session, delivery, Some(DeliveryState::Released))
        .unwrap();
    pair.settle();
    assert_eq!(
        pair.client.next(),
        Event::SettledBySender {
            link,
            delivery,
            state: Some(DeliveryState::Released)
        }
    );
    assert_eq!(
        pair.client
            .connection
            .settle(link, delivery, DeliveryState::Accepted),
        Err(CommandError::UnknownDelivery)
    );
}

#[test]
fn what_a_detach_drops_leaves_no_gap_in_the_delivery_ids() {
    let mut pair = Pair::open(Config {
        incoming_window: 1,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let (gone, _) = sender(&mut pair, session, "gone", Credit::Manual(10));
    let (stays, _) = sender(&mut pair, session, "stays", Credit::Manual(10));
    for context in 0..5 {
        for link in [gone, stays] {
            pair.client
                .connection
                .send(link, &message(context, b"waits for the window"))
                .unwrap();
        }
    }
    pair.client.connection.detach(gone, true, None).unwrap();
    pair.settle();
    let ids: Vec<u32> = pair
        .server
        .drain()
        .iter()
        .filter_map(|event| match event {
            Event::Delivery { delivery, .. } => Some(delivery.0),
            _ => None,
        })
        .collect();
    let consecutive: Vec<u32> = (0..u32::try_from(ids.len()).unwrap()).collect();
    assert!(ids.len() >= 5);
    assert_eq!(ids, consecutive);
}

#[test]
fn a_drain_is_answered_behind_what_is_queued() {
    let mut pair = Pair::open(Config {
        incoming_window: 1,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let (link, theirs) = receiver(
        &mut pair,
        session,
        LinkOptions::receiver("r", "queue", Credit::Manual(10)),
    );
    for context in 0..4 {
        pair.server
            .connection
            .send(theirs, &message(context, b"x"))
            .unwrap();
    }
    // Asked for its state in between, the sender must count only what it has sent.
    let index = theirs.index;
    pair.server.connection.emit_link_flow(index, false);
    pair.server.connection.drained(theirs).unwrap();
    pair.settle();
    let events = pair.client.drain();
    assert_eq!(events.len(), 4, "{events:?}");
    assert_eq!(pair.client.connection.credit(link), 0);
    assert_eq!(pair.server.connection.credit(theirs), 0);
}

#[test]
fn a_session_waits_its_turn_once_however_often_its_queue_was_dropped() {
    let mut pair = Pair::open(Config {
        incoming_window: 1,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    for name in ["a", "b", "c", "d"] {
        let (link, _) = sender(&mut pair, session, name, Credit::Manual(10));
        for context in 0..3 {
            pair.client
                .connection
                .send(link, &message(context, b"x"))
                .unwrap();
        }
        assert_eq!(pair.client.connection.sendable.len(), 1);
        pair.client.connection.detach(link, true, None).unwrap();
    }
    pair.settle();
    assert_eq!(pair.client.connection.sendable.len(), 0);
    assert_eq!(pair.client.connection.queued_bytes, 0);
}

#[test]
fn a_session_that_is_given_up_keeps_nothing_but_its_channel() {
    let mut pair = Pair::open(Config::default());
    let (session, theirs) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Manual(3));
    let client = &mut pair.client.connection;
    assert_eq!(client.retire(session), Err(CommandError::WrongState));
    client.end(session, None).unwrap();
    client.retire(session).unwrap();
    assert_eq!((client.links.len(), client.session_count()), (0, 1));
    assert_eq!(client.session_of(link), None);
    let next = client.begin().unwrap();
    assert_ne!(next.channel(), session.channel());
    // The answer comes after all.
    pair.client.drain();
    pair.settle();
    let ended = Event::SessionEnded {
        session,
        error: None,
    };
    assert!(pair.client.drain().contains(&ended));
    assert_eq!(pair.client.connection.session_count(), 1);
    assert_ne!(theirs, session_at(&mut pair));
}

/// The session that was begun at the server last.
fn session_at(pair: &mut Pair) -> crate::engine::SessionId {
    let began = |event: &Event| matches!(event, Event::SessionBegan { .. });
    match pair.server.take(began) {
        Event::SessionBegan { session, .. } => session,
        other => panic!("{other:?}"),
    }
}
