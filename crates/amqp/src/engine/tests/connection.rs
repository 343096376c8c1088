use std::time::Duration;

use bytes::Bytes;

use super::pair::Pair;
use super::{begin, message, sender};
use crate::engine::{ClientSasl, Closed, CommandError, Config, Connection, Credit, Event};
use crate::frame;
use crate::performative::{Error, SaslCode, condition};
use crate::value::Symbol;

const MECHANISM: Symbol = Symbol::from_static("MSSBCBS");

fn sasl_pair(offered: Vec<Symbol>) -> Pair {
    let sasl = ClientSasl {
        mechanism: MECHANISM,
        initial_response: Some(Bytes::from_static(b"hello")),
    };
    let client = Connection::client(Config::default(), Some(sasl), Duration::ZERO);
    Pair::new(
        client,
        Connection::server(Config::default(), offered, Duration::ZERO),
    )
}

#[test]
fn sasl_waits_for_the_decision_and_then_opens() {
    for chunk in [1, 7, usize::MAX] {
        let mut pair = sasl_pair(vec![Symbol::from_static("PLAIN"), MECHANISM]);
        pair.chunk = chunk;
        pair.settle();
        let init = Event::SaslInit {
            mechanism: MECHANISM,
            initial_response: Some(Bytes::from_static(b"hello")),
        };
        assert_eq!(pair.server.next(), init);
        assert!(pair.client.drain().is_empty());
        pair.server.connection.sasl_outcome(SaslCode::Ok, pair.now);
        pair.settle();
        assert!(matches!(pair.client.next(), Event::Opened(_)));
        assert!(matches!(pair.server.next(), Event::Opened(_)));
    }
}

#[test]
fn refused_sasl_and_missing_mechanisms_are_told_apart() {
    let mut pair = sasl_pair(vec![MECHANISM]);
    pair.settle();
    pair.server
        .connection
        .sasl_outcome(SaslCode::Auth, pair.now);
    pair.settle();
    assert_eq!(
        pair.client.next(),
        Event::Closed(Closed::SaslRefused(SaslCode::Auth))
    );

    let offered = vec![Symbol::from_static("PLAIN")];
    let mut pair = sasl_pair(offered.clone());
    pair.settle();
    assert_eq!(
        pair.client.next(),
        Event::Closed(Closed::NoSaslMechanism(offered))
    );
}

#[test]
fn a_server_without_mechanisms_answers_sasl_with_its_own_header() {
    let mut pair = sasl_pair(Vec::new());
    pair.exchange();
    assert_eq!(
        pair.server.next(),
        Event::Closed(Closed::WrongProtocol(frame::SASL_HEADER))
    );
    pair.settle();
    assert_eq!(
        pair.client.next(),
        Event::Closed(Closed::WrongProtocol(frame::AMQP_HEADER))
    );
}

#[test]
fn http_on_the_port_is_refused_at_once() {
    let mut server = Connection::server(Config::default(), vec![MECHANISM], Duration::ZERO);
    server.input().extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
    let closed = server.poll_event(Duration::ZERO);
    assert_eq!(
        closed,
        Some(Event::Closed(Closed::WrongProtocol(*b"GET / HT")))
    );
    assert_eq!(server.poll_event(Duration::ZERO), None);
    assert!(server.input().is_empty());
}

#[test]
fn heartbeats_keep_an_idle_pair_open_and_silence_ends_it() {
    let config = Config {
        idle_time_out_ms: Some(10_000),
        ..Config::default()
    };
    let mut pair = Pair::open(config.clone());
    pair.run_until(Duration::from_secs(3_600));
    assert!(pair.client.drain().is_empty() && pair.server.drain().is_empty());

    let mut lonely = Pair::open(config).client.connection;
    let silent = Duration::from_secs(15);
    while let Some(deadline) = lonely.deadline() {
        assert!(deadline <= silent);
        lonely.tick(deadline);
    }
    assert_eq!(
        lonely.poll_event(silent),
        Some(Event::Closed(Closed::Silent))
    );
}

#[test]
fn a_silent_peer_may_be_given_another_time_than_what_is_announced() {
    let config = Config {
        silence_ms: Some(255_000),
        container_id: "hub".into(),
        ..Config::default()
    };
    let at = Duration::from_secs;
    let mut pair = Pair::open(config);
    let server = &mut pair.server.connection;
    server.received(at(10));
    // Heartbeats are due before, and not counted faster: only the silence is.
    let silent_at = |server: &Connection| server.silence_deadline().unwrap();
    assert_eq!(silent_at(server), at(265));
    server.set_pace(10.0, at(15));
    assert_eq!(silent_at(server), at(40));
    server.set_pace(1.0, at(20));
    assert_eq!(silent_at(server), at(220));
    server.tick(at(220) - Duration::from_millis(1));
    assert!(!server.is_done());
    server.tick(at(220));
    assert!(server.is_done());
    pair.settle();
    let Some(Event::Closed(Closed::ByPeer(Some(error)))) = pair.client.drain().pop() else {
        panic!("no reason");
    };
    assert_eq!(error.condition, condition::CONNECTION_FORCED);
    let text = "inactive for more than the allowed 240000 milliseconds";
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn a_peer_that_never_opens_is_dropped() {
    let mut server = Connection::server(Config::default(), Vec::new(), Duration::ZERO);
    let deadline = server.deadline().unwrap();
    server.tick(deadline - Duration::from_millis(1));
    assert!(!server.is_done());
    server.tick(deadline);
    assert_eq!(
        server.poll_event(deadline),
        Some(Event::Closed(Closed::TimedOut))
    );
}

#[test]
fn close_is_agreed_and_its_reason_arrives() {
    let mut pair = Pair::open(Config::default());
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "a", Credit::Manual(1));
    let reason = Error::new(condition::CONNECTION_FORCED, "maintenance");
    pair.server.connection.close(Some(reason.clone()), pair.now);
    pair.settle();
    let events = pair.client.drain();
    assert_eq!(
        events.last(),
        Some(&Event::Closed(Closed::ByPeer(Some(reason))))
    );
    assert_eq!(
        pair.server.drain().last(),
        Some(&Event::Closed(Closed::ByUs))
    );
    assert_eq!(pair.client.connection.begin(), Err(CommandError::NotOpen));
    assert_eq!(
        pair.client.connection.detach(link, true, None),
        Err(CommandError::NotOpen)
    );
    assert_eq!(pair.client.connection.credit(link), 0);
}

#[test]
fn sessions_are_limited_by_the_lower_channel_max() {
    let client = Connection::client(Config::default(), None, Duration::ZERO);
    let config = Config {
        channel_max: 2,
        ..Config::default()
    };
    let mut pair = Pair::new(
        client,
        Connection::server(config, Vec::new(), Duration::ZERO),
    );
    assert_eq!(pair.client.connection.begin(), Err(CommandError::NotOpen));
    pair.settle();
    assert_eq!(pair.client.connection.session_capacity(), 3);
    let first = pair.client.connection.begin().unwrap();
    pair.client.connection.begin().unwrap();
    pair.client.connection.begin().unwrap();
    assert_eq!(
        pair.client.connection.begin(),
        Err(CommandError::TooManySessions)
    );
    pair.client.connection.end(first, None).unwrap();
    assert_eq!(
        pair.client.connection.begin(),
        Err(CommandError::TooManySessions),
        "the end is not agreed yet"
    );
    pair.settle();
    let again = pair.client.connection.begin().unwrap();
    assert_eq!(again.channel(), first.channel());
    assert_eq!(
        pair.client.connection.end(first, None),
        Err(CommandError::UnknownSession),
        "a stale key"
    );
    pair.settle();
    assert_eq!(pair.server.connection.session_count(), 3);
}

#[test]
fn a_reader_that_never_reads_is_dropped_with_bounded_memory() {
    let mut pair = Pair::open(Config::default());
    let (_, session) = begin(&mut pair);
    // A peer that requests answers and does not read them: each echo costs the server a flow.
    let mut echo = bytes::BytesMut::new();
    let flow = crate::performative::Flow {
        echo: true,
        ..Default::default()
    };
    for _ in 0..1_000 {
        frame::encode_flow(&mut echo, 0, &flow);
    }
    let server = &mut pair.server.connection;
    for _ in 0..1_000 {
        server.input().extend_from_slice(&echo);
        server.poll_event(Duration::ZERO);
        server.poll_output();
    }
    assert!(server.is_done());
    assert!(server.poll_output().len() < 64 * 1_024);
    assert_eq!(server.end(session, None), Err(CommandError::NotOpen));
}

#[test]
fn nothing_follows_our_close_though_messages_wait() {
    let mut pair = Pair::open(Config {
        incoming_window: 1,
        ..Config::default()
    });
    let (session, _) = begin(&mut pair);
    let (link, _) = sender(&mut pair, session, "l", Credit::Manual(10));
    let client = &mut pair.client.connection;
    for context in 0..5 {
        client
            .send(link, &message(context, b"waits for the window"))
            .unwrap();
    }
    client.close(None, pair.now);
    let before = client.poll_output().len();
    // The window opens too late.
    let session = client.sessions.get_mut(session.index).unwrap();
    session.remote_incoming_window = 100;
    assert_eq!(client.poll_output().len(), before);
    pair.settle();
    assert_eq!(
        pair.server.drain().last(),
        Some(&Event::Closed(Closed::ByPeer(None)))
    );
}

#[test]
fn an_idle_time_out_of_zero_is_none() {
    let mut pair = Pair::open(Config {
        idle_time_out_ms: Some(0),
        ..Config::default()
    });
    pair.run_until(Duration::from_secs(100_000));
    assert!(pair.client.drain().is_empty() && pair.server.drain().is_empty());
}

#[test]
fn a_peer_that_does_not_wait_for_the_outcome_of_sasl_is_bounded() {
    let mut pair = sasl_pair(vec![MECHANISM]);
    pair.settle();
    assert!(matches!(pair.server.next(), Event::SaslInit { .. }));
    let server = &mut pair.server.connection;
    let frame = [0; crate::limits::MAX_FRAME_BYTES as usize];
    server.input().extend_from_slice(&frame);
    assert_eq!(server.poll_event(pair.now), None);
    server.input().extend_from_slice(&frame[..1]);
    let closed = server.poll_event(pair.now);
    assert!(matches!(
        closed,
        Some(Event::Closed(Closed::Violation(error))) if error.condition == condition::FRAMING_ERROR
    ));
    assert!(server.input().is_empty());
}
