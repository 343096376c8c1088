//! Direct methods.

use std::time::Duration;

use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{Error, condition};
use drawspan_amqp::value::{Map, Value};
use drawspan_hub::{FailureKind, Link, Receive, Wants};

use super::hub::Seen;
use super::{Bench, attempt};
use crate::connection::{DeviceSession, MethodAnswer};
use crate::downlink::{Incoming, MethodRequestId};
use crate::limits;

pub(super) const TO_HUB: &str = ">/devices/d1/methods/devicebound";
const FROM_HUB: &str = "</devices/d1/methods/devicebound";
const METHODS: Wants = Wants {
    methods: true,
    c2d: Receive::No,
    desired: false,
};

fn request(number: u8, name: &str, payload: &'static str) -> Message {
    Message {
        properties: Some(Properties {
            correlation_id: Some(MessageId::Uuid([number; 16])),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![(
            Value::from("IoThub-methodname"),
            Value::from(name),
        )])),
        ..Message::from_data(payload)
    }
}

/// Number, status and payload of an answer.
fn what(answer: &Message) -> (u8, i32, Vec<u8>) {
    let Some(MessageId::Uuid(id)) = answer.properties.as_ref().unwrap().correlation_id else {
        panic!("{answer:?}");
    };
    let properties = answer.application_properties.as_ref().unwrap();
    let Some(Value::Int(status)) = properties.get("IoThub-status") else {
        panic!("{answer:?}");
    };
    let Body::Data(parts) = &answer.body else {
        panic!("{answer:?}");
    };
    (id[0], *status, parts.concat())
}

impl Bench {
    pub(super) async fn links_up(&self) {
        self.hub
            .until(|state| {
                let up = [TO_HUB, FROM_HUB]
                    .iter()
                    .all(|link| state.link(link).is_some());
                up.then_some(())
            })
            .await;
        // The client's credit comes behind its attach.
        self.pass(Duration::from_millis(1)).await;
    }

    pub(super) fn call(&self, number: u8, name: &'static str, payload: &'static str) {
        self.hub
            .send(FROM_HUB, &[number], request(number, name, payload));
    }

    /// The requests that came, which must be of methods.
    pub(super) async fn called(&self) -> Vec<(MethodRequestId, String, Vec<u8>)> {
        let incoming = self.incoming().await.into_iter();
        let method = |incoming| match incoming {
            Incoming::Method {
                attempt: of,
                request,
                name,
                payload,
                ..
            } => {
                assert_eq!(of, attempt(1));
                (request, name, payload.to_vec())
            }
            other => panic!("{other:?}"),
        };
        incoming.map(method).collect()
    }

    pub(super) fn answer_call(
        &self,
        session: DeviceSession,
        request: &MethodRequestId,
        status: i32,
    ) {
        assert!(self.connection.answer_method(MethodAnswer {
            session,
            request: request.clone(),
            status,
            payload: (status != 204).then(|| "[1]".into()),
        }));
    }
}

#[tokio::test(start_paused = true)]
async fn methods_are_answered_in_any_order_once() {
    let (bench, session) = Bench::open_one(METHODS).await;
    bench.links_up().await;
    bench.call(1, "reboot", r#"{"in":5}"#);
    bench.call(2, "status", "");
    let mut called = bench.called().await;
    while called.len() < 2 {
        called.extend(bench.called().await);
    }
    let (first, second) = (&called[0], &called[1]);
    assert_eq!(
        (first.1.as_str(), &first.2[..]),
        ("reboot", &br#"{"in":5}"#[..])
    );
    assert_eq!((second.1.as_str(), &second.2[..]), ("status", &b""[..]));
    assert_eq!(first.0.to_string(), "01010101-0101-0101-0101-010101010101");

    bench.answer_call(session, &second.0, 204);
    bench.answer_call(session, &second.0, 200);
    bench.answer_call(session, &first.0, 404);
    assert_eq!(
        what(&bench.hub.message(TO_HUB, 0).await),
        (2, 204, b"null".to_vec())
    );
    assert_eq!(
        what(&bench.hub.message(TO_HUB, 1).await),
        (1, 404, b"[1]".to_vec())
    );
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(bench.hub.with(|state| state.messages(TO_HUB).count()), 2);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_methods_come_at_once() {
    let (bench, session) = Bench::open_one(METHODS).await;
    bench.links_up().await;
    let credit = |bench: &Bench| {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        bench.hub.act(move |state, connection| {
            let (link, _) = state.link(FROM_HUB).unwrap();
            sender.send(connection.credit(link)).unwrap();
        });
        async move { receiver.recv().await.unwrap() }
    };
    assert_eq!(credit(&bench).await, limits::METHODS_PER_DEVICE);
    let all = u8::try_from(limits::METHODS_PER_DEVICE).unwrap();
    for number in 0..all {
        bench.call(number, "m", "1");
    }
    let mut called = Vec::new();
    while called.len() < usize::from(all) {
        called.extend(bench.called().await);
    }
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(credit(&bench).await, 0);
    bench.answer_call(session, &called[0].0, 200);
    bench.hub.message(TO_HUB, 0).await;
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(credit(&bench).await, 1);
    // The others are not answered: the hub gives them up, and so does the device.
    bench
        .pass(Duration::from_millis(limits::METHOD_LIFE_MS + 1_000))
        .await;
    assert_eq!(credit(&bench).await, limits::METHODS_PER_DEVICE);
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_too_large_use_up_no_credit() {
    let (bench, _) = Bench::open_one(METHODS).await;
    bench.links_up().await;
    let large = "x".repeat(2 * 1_024 * 1_024);
    for number in 0..2 * limits::METHODS_PER_DEVICE {
        let number = u8::try_from(number).unwrap();
        let message = Message::from_data(large.clone());
        bench.hub.send(FROM_HUB, &[number], message);
        bench.pass(Duration::from_secs(1)).await;
    }
    bench.call(99, "m", "1");
    assert_eq!(bench.called().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_room_for_a_method_its_caller_is_told_at_once() {
    let (bench, _) = Bench::open_one(METHODS).await;
    bench.links_up().await;
    while bench.inbox.has_room() {
        bench.inbox.put(Incoming::DesiredMissed {
            attempt: attempt(9),
        });
    }
    bench.call(7, "m", "1");
    assert_eq!(
        what(&bench.hub.message(TO_HUB, 0).await),
        (7, 503, b"null".to_vec())
    );
    let kept = bench.incoming().await;
    assert!(
        !kept
            .iter()
            .any(|kept| matches!(kept, Incoming::Method { .. }))
    );
    bench.call(8, "m", "1");
    assert_eq!(bench.called().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn methods_end_when_they_are_not_wanted() {
    let (mut bench, session) = Bench::open_one(METHODS).await;
    bench.links_up().await;
    bench.call(1, "m", "1");
    let called = bench.called().await;
    assert!(bench.connection.want(attempt(1), session, Wants::default()));
    bench.hub.seen(&Seen::Detach(TO_HUB.to_owned()), 1).await;
    bench.hub.seen(&Seen::Detach(FROM_HUB.to_owned()), 1).await;
    bench.answer_call(session, &called[0].0, 200);
    bench.stays_open(2).await;
    assert_eq!(bench.hub.with(|state| state.messages(TO_HUB).count()), 0);

    assert!(bench.connection.want(attempt(1), session, METHODS));
    bench.links_up().await;
    bench.call(2, "m", "1");
    assert_eq!(bench.called().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn method_links_that_are_refused_or_never_taken_leave_the_device_its_session() {
    let (mut bench, session) = Bench::open_one(Wants::default()).await;
    let error = Error::new(condition::NOT_ALLOWED, "a basic hub");
    bench
        .hub
        .with(|state| state.refuse.push((FROM_HUB[1..].to_owned(), error)));
    assert!(bench.connection.want(attempt(1), session, METHODS));
    let refused = bench.refused(Link::Methods).await;
    assert_eq!(refused.kind, FailureKind::InvalidRequest);

    // Wanted again, it is tried again.
    bench.hub.with(|state| {
        state.refuse.clear();
        state.ignore.push(FROM_HUB[1..].to_owned());
    });
    assert!(bench.connection.want(attempt(1), session, METHODS));
    let refused = bench.refused(Link::Methods).await;
    assert_eq!(refused.kind, FailureKind::Timeout);

    bench.hub.with(|state| state.ignore.clear());
    assert!(bench.connection.want(attempt(1), session, METHODS));
    bench.linked(METHODS.links()).await;
    bench.call(1, "m", "1");
    assert_eq!(bench.called().await.len(), 1);
    bench.stays_open(2).await;
}

#[tokio::test(start_paused = true)]
async fn method_links_that_somebody_else_takes_cost_the_device_its_session() {
    let (mut bench, session) = Bench::open_one(Wants::default()).await;
    let error = Error::new(condition::LINK_STOLEN, "another client");
    bench
        .hub
        .with(|state| state.refuse.push((FROM_HUB[1..].to_owned(), error)));
    assert!(bench.connection.want(attempt(1), session, METHODS));
    assert_eq!(bench.lost().await.kind, FailureKind::LinkStolen);
}
