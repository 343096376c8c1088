//! Scenarios of two engines on virtual time.

mod connection;
mod foreign;
mod links;
mod model;
mod pair;
mod pending_messages;
mod recorded;
mod transfer;

use super::{AcceptOptions, Credit, Event, LinkId, LinkOptions, Outgoing, SessionId};
use crate::performative::DeliveryTag;
use pair::Pair;

/// A session begun by the client: its key at both ends.
fn begin(pair: &mut Pair) -> (SessionId, SessionId) {
    let session = pair.client.connection.begin().unwrap();
    pair.settle();
    assert_eq!(
        pair.client.next(),
        Event::SessionBegan {
            session,
            by_peer: false
        }
    );
    let Event::SessionBegan {
        session: theirs,
        by_peer: true,
    } = pair.server.next()
    else {
        panic!("the server saw no begin");
    };
    (session, theirs)
}

/// A link on which the client sends and the server receives: its key at both ends.
fn sender(pair: &mut Pair, session: SessionId, name: &str, credit: Credit) -> (LinkId, LinkId) {
    let ours = pair
        .client
        .connection
        .attach(session, LinkOptions::sender(name, "queue"))
        .unwrap();
    let theirs = accept(
        pair,
        AcceptOptions {
            credit: Some(credit),
            ..AcceptOptions::default()
        },
    );
    pair.client
        .take(|event| matches!(event, Event::Attached { link, .. } if *link == ours));
    (ours, theirs)
}

/// A link on which the client receives and the server sends.
fn receiver(pair: &mut Pair, session: SessionId, options: LinkOptions) -> (LinkId, LinkId) {
    let ours = pair.client.connection.attach(session, options).unwrap();
    let theirs = accept(pair, AcceptOptions::default());
    pair.client
        .take(|event| matches!(event, Event::Attached { link, .. } if *link == ours));
    (ours, theirs)
}

fn accept(pair: &mut Pair, options: AcceptOptions) -> LinkId {
    pair.settle();
    let request = pair
        .server
        .take(|event| matches!(event, Event::AttachRequested { .. }));
    let Event::AttachRequested { link, .. } = request else {
        unreachable!()
    };
    pair.server.connection.accept(link, options).unwrap();
    pair.settle();
    link
}

fn message(context: u64, payload: &[u8]) -> Outgoing<'_> {
    Outgoing {
        tag: DeliveryTag::from_u32(context as u32),
        message_format: 0,
        settled: false,
        context,
        payload,
    }
}

fn payloads(events: &[Event]) -> Vec<Vec<u8>> {
    let payload = |event: &Event| match event {
        Event::Delivery { payload, .. } => Some(payload.to_vec()),
        _ => None,
    };
    events.iter().filter_map(payload).collect()
}
