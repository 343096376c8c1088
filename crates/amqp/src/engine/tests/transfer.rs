use super::pair::Pair;
use super::{begin, message, payloads, sender};
use crate::engine::{CommandError, Config, Credit, Event, Outgoing};
use crate::performative::{DeliveryState, Error, condition};

#[test]
fn large_messages_cross_in_frames_and_windows_however_they_are_cut() {
    let body: Vec<u8> = (0..300_000u32).map(|n| (n * 7) as u8).collect();
    for (max_frame_bytes, incoming_window, chunk) in [
        (65_536, 5_000, usize::MAX),
        (512, 3, 1_000),
        (4_096, 1, 333),
        (512, 5_000, 65_536),
    ] {
        let config = Config {
            max_frame_bytes,
            incoming_window,
            ..Config::default()
        };
        let mut pair = Pair::open(config);
        pair.chunk = chunk;
        let (session, _) = begin(&mut pair);
        let (link, _) = sender(&mut pair, session, "l", Credit::Auto(10));
        for (context, length) in [(0u64, 300_000), (1, 0), (2, 1), (3, 511), (4, 100_000)] {
            pair.client
                .connection
                .send(link, &message(context, &body[..length]))
                .unwrap();
        }
        pair.settle();
        let got = payloads(&pair.server.drain());
        let lengths: Vec<_> = got.iter().map(Vec::len).collect();
        assert_eq!(lengths, [300_000, 0, 1, 511, 100_000]);
        assert!(
            got.iter()
                .all(|payload| payload[..] == body[..payload.len()])
        );
        assert_eq!(pair.client.connection.queued_bytes, 0);
    }
}

#[test]
fn every_outcome_comes_back_to_its_context_and_accepts_share_a_frame() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, theirs) = sender(&mut pair, session, "l", Credit::Auto(1_000));
    for context in 0..100 {
        pair.client
            .connection
            .send(link, &message(context, b"x"))
            .unwrap();
    }
    pair.settle();
    pair.client.drain();
    let rejected = DeliveryState::Rejected(Some(Error::new(condition::NOT_ALLOWED, "no")));
    for event in pair.server.drain() {
        let Event::Delivery { delivery, .. } = event else {
            continue;
        };
        let state = match delivery.0 {
            50 => rejected.clone(),
            51 => DeliveryState::Released,
            _ => DeliveryState::Accepted,
        };
        pair.server
            .connection
            .settle(theirs, delivery, state)
            .unwrap();
    }
    let bytes = pair.server.connection.poll_output().len();
    assert!(
        bytes < 250,
        "four dispositions, not a hundred: {bytes} bytes"
    );
    pair.settle();
    let outcomes: Vec<_> = pair
        .client
        .drain()
        .into_iter()
        .map(|event| match event {
            Event::Outcome {
                context,
                state: Some(state),
                settled: true,
                ..
            } => (context, state),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(outcomes.len(), 100);
    for (context, state) in outcomes {
        let expected = match context {
            50 => rejected.clone(),
            51 => DeliveryState::Released,
            _ => DeliveryState::Accepted,
        };
        assert_eq!(state, expected, "{context}");
    }
}

#[test]
fn credit_is_topped_up_only_as_deliveries_are_settled() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, theirs) = sender(&mut pair, session, "l", Credit::Auto(10));
    let mut sent = 0;
    while pair
        .client
        .connection
        .send(link, &message(sent, b"x"))
        .is_ok()
    {
        sent += 1;
        pair.settle();
    }
    assert_eq!(sent, 10, "nothing is settled yet");
    for event in pair.server.drain() {
        if let Event::Delivery { delivery, .. } = event {
            pair.server
                .connection
                .settle(theirs, delivery, DeliveryState::Accepted)
                .unwrap();
        }
    }
    pair.settle();
    let credit = pair.client.connection.credit(link);
    assert!(
        (5..=10).contains(&credit),
        "topped up when half is used: {credit}"
    );
}

#[test]
fn a_message_over_the_limit_is_told_and_costs_no_memory() {
    let mut pair = Pair::open(Config {
        max_frame_bytes: 1_024,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let ours = pair
        .client
        .connection
        .attach(session, crate::engine::LinkOptions::sender("l", "q"))
        .unwrap();
    let options = crate::engine::AcceptOptions {
        max_message_bytes: Some(10_000),
        credit: Some(Credit::Auto(10)),
        ..Default::default()
    };
    let theirs = super::accept(&mut pair, options);
    pair.client.drain();
    assert_eq!(
        pair.client.connection.send(ours, &message(0, &[0; 10_001])),
        Err(CommandError::MessageTooLarge)
    );
    // A peer that does not care.
    pair.client
        .connection
        .links
        .get_mut(ours.index)
        .unwrap()
        .max_message_bytes = u64::MAX;
    pair.client
        .connection
        .send(ours, &message(1, &[0; 100_000]))
        .unwrap();
    pair.client
        .connection
        .send(ours, &message(2, &[0; 10_000]))
        .unwrap();
    pair.settle();
    let events = pair.server.drain();
    let [
        Event::DeliveryTooLarge {
            delivery,
            settled: false,
            ..
        },
        Event::Delivery { .. },
    ] = events[..]
    else {
        panic!("{events:?}");
    };
    let error = Error::new(condition::MESSAGE_SIZE_EXCEEDED, "too large");
    pair.server
        .connection
        .settle(theirs, delivery, DeliveryState::Rejected(Some(error)))
        .unwrap();
    pair.settle();
    assert!(matches!(
        pair.client.next(),
        Event::Outcome {
            context: 1,
            state: Some(DeliveryState::Rejected(_)),
            ..
        }
    ));
}

#[test]
fn a_large_message_does_not_hold_up_other_sessions() {
    let mut pair = Pair::open(Config {
        max_frame_bytes: 4_096,
        ..Config::default()
    });
    let (first, _) = begin(&mut pair);
    let (second, _) = begin(&mut pair);
    let (large, _) = sender(&mut pair, first, "l", Credit::Auto(10));
    let (small, _) = sender(&mut pair, second, "l", Credit::Auto(10));
    pair.client.drain();
    pair.client
        .connection
        .send(large, &message(0, &vec![1; 1_000_000]))
        .unwrap();
    pair.client
        .connection
        .send(large, &message(1, &[1; 40]))
        .unwrap();
    pair.client
        .connection
        .send(small, &message(2, b"urgent"))
        .unwrap();
    pair.settle();
    let order: Vec<_> = payloads(&pair.server.drain())
        .iter()
        .map(Vec::len)
        .collect();
    assert_eq!(order, [6, 1_000_000, 40]);
}

#[test]
fn credit_and_windows_that_a_peer_overruns_end_link_or_session_only() {
    let mut pair = Pair::open(Config {
        incoming_window: 4,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Manual(1));
    pair.client.drain();
    // Pretend to have been given more.
    pair.client
        .connection
        .links
        .get_mut(link.index)
        .unwrap()
        .credit = 2;
    pair.client
        .connection
        .send(link, &message(0, b"x"))
        .unwrap();
    pair.client
        .connection
        .send(link, &message(1, b"x"))
        .unwrap();
    pair.settle();
    let detached = pair
        .client
        .drain()
        .into_iter()
        .find_map(|event| match event {
            Event::Detached { error, .. } => error,
            _ => None,
        });
    assert_eq!(
        detached.unwrap().condition,
        condition::TRANSFER_LIMIT_EXCEEDED
    );

    let (link, _) = sender(&mut pair, session, "l", Credit::Manual(1));
    pair.client.drain();
    pair.client
        .connection
        .sessions
        .get_mut(session.index)
        .unwrap()
        .remote_incoming_window = 1_000;
    pair.client.connection.peer.max_frame_bytes = 512;
    pair.client
        .connection
        .send(link, &message(3, &[0; 9_000]))
        .unwrap();
    pair.exchange();
    pair.settle();
    let ended = pair
        .client
        .drain()
        .into_iter()
        .find_map(|event| match event {
            Event::SessionEnded { error, .. } => error,
            _ => None,
        });
    // With refreshed windows in between the peer may also be in time; then the message is whole.
    if let Some(error) = ended {
        assert_eq!(error.condition, condition::WINDOW_VIOLATION);
    }
    assert!(!pair.client.connection.is_done() && !pair.server.connection.is_done());
}

#[test]
fn what_waits_is_bounded_and_settled_messages_expect_nothing() {
    let mut pair = Pair::open(Config {
        incoming_window: 1,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Auto(100_000));
    pair.client.drain();
    let body = vec![0; 1_000_000];
    let mut last = Ok(());
    for context in 0..100 {
        last = pair.client.connection.send(
            link,
            &Outgoing {
                settled: true,
                ..message(context, &body)
            },
        );
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(CommandError::QueueFull));
    pair.settle();
    let got = payloads(&pair.server.drain());
    assert!(got.len() > 30 && got.iter().all(|payload| payload.len() == 1_000_000));
    assert_eq!(
        pair.client
            .connection
            .sessions
            .get(session.index)
            .unwrap()
            .sent
            .len(),
        0
    );
}

#[test]
fn a_topped_up_receiver_counts_a_delivery_that_is_under_way() {
    let mut pair = Pair::open(Config {
        max_frame_bytes: 512,
        incoming_window: 1,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let (link, theirs) = sender(&mut pair, session, "l", Credit::Auto(2));
    for context in 0..2 {
        pair.client
            .connection
            .send(link, &message(context, &[0; 600]))
            .unwrap();
    }
    while pair.exchange() {
        let receiver = pair.server.connection.links.get(theirs.index).unwrap();
        let under_way = u32::from(receiver.partial.is_some());
        assert!(receiver.credit + receiver.unsettled + under_way <= 2);
    }
    assert_eq!(payloads(&pair.server.drain()).len(), 2);
}
