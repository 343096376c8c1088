//! Twin requests and notifications.

use std::time::Duration;

use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{Error, SenderSettleMode, condition};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::{FailureKind, Link, Receive, Wants};
use tokio::task::JoinHandle;

use super::hub::Seen;
use super::{Bench, attempt};
use crate::connection::{DeviceSession, SendFailure, TwinAnswer, TwinOperation, TwinRequest};
use crate::downlink::Incoming;
use crate::limits;

const TO_HUB: &str = ">/devices/d1/twin";
const FROM_HUB: &str = "</devices/d1/twin";
const DESIRED: Wants = Wants {
    methods: false,
    c2d: Receive::No,
    desired: true,
};

type Asked = JoinHandle<Result<TwinAnswer, SendFailure>>;

impl Bench {
    fn ask(&self, session: DeviceSession, operation: TwinOperation, within: Duration) -> Asked {
        let request = TwinRequest {
            session,
            operation,
            deadline: self.clock.now() + within,
        };
        let connection = self.connection.clone();
        tokio::spawn(async move { connection.twin(request).await })
    }

    fn get(&self, session: DeviceSession) -> Asked {
        self.ask(session, TwinOperation::Get, Duration::from_secs(30))
    }

    /// Answers the hub's `number`th request.
    async fn answer(&self, number: u32, status: i32, version: Option<i64>, body: &'static str) {
        let request = self.hub.message(TO_HUB, number as usize).await;
        let mut annotations = Map::new();
        annotations.push(Symbol::from_static("status"), Value::Int(status));
        if let Some(version) = version {
            annotations.push(Symbol::from_static("version"), Value::Long(version));
        }
        let answer = Message {
            message_annotations: Some(annotations),
            properties: Some(Properties {
                correlation_id: correlation(&request),
                ..Properties::default()
            }),
            ..Message::from_data(body)
        };
        self.hub.send(FROM_HUB, &number.to_be_bytes(), answer);
    }
}

fn correlation(request: &Message) -> Option<MessageId> {
    request.properties.as_ref().unwrap().correlation_id.clone()
}

/// Verb, resource and body of a request.
fn what(request: &Message) -> (&str, Option<&str>, Vec<u8>) {
    let annotations = request.message_annotations.as_ref().unwrap();
    let text = |name: &str| {
        annotations
            .get_symbol(name)
            .map(|value| value.as_str().unwrap())
    };
    let Body::Data(parts) = &request.body else {
        panic!("{request:?}");
    };
    (text("operation").unwrap(), text("resource"), parts.concat())
}

#[tokio::test(start_paused = true)]
async fn a_twin_is_read_over_links_that_go_when_nothing_uses_them() {
    let (mut bench, session) = Bench::open_one(Wants::default()).await;
    let asked = bench.get(session);
    let request = bench.hub.message(TO_HUB, 0).await;
    assert_eq!(what(&request), ("GET", None, b" ".to_vec()));
    let correlations = bench.hub.with(|state| {
        [TO_HUB, FROM_HUB].map(|link| {
            let attach = state.attach(link).unwrap();
            assert_eq!(attach.snd_settle_mode, SenderSettleMode::Settled);
            let properties = attach.properties.as_ref().unwrap();
            let correlation = properties.get_symbol("com.microsoft:channel-correlation-id");
            correlation.and_then(Value::as_str).unwrap().to_owned()
        })
    });
    assert_eq!(correlations[0], correlations[1]);
    assert!(correlations[0].starts_with("twin:"), "{correlations:?}");
    bench
        .answer(0, 200, None, r#"{"desired":{},"reported":{}}"#)
        .await;
    let expected = TwinAnswer {
        version: None,
        body: r#"{"desired":{},"reported":{}}"#.into(),
    };
    assert_eq!(asked.await.unwrap(), Ok(expected));

    // Used again just before they would have gone.
    bench
        .pass(Duration::from_millis(limits::TWIN_IDLE_MS - 1_000))
        .await;
    let asked = bench.get(session);
    // The answer is a use, too.
    bench.pass(Duration::from_secs(20)).await;
    bench.answer(1, 200, None, "{}").await;
    asked.await.unwrap().unwrap();
    bench
        .pass(Duration::from_millis(limits::TWIN_IDLE_MS - 1_000))
        .await;
    let detached = |seen: &[Seen]| seen.iter().any(|seen| matches!(seen, Seen::Detach(_)));
    assert!(!bench.hub.with(|state| detached(&state.seen)));
    bench.hub.seen(&Seen::Detach(TO_HUB.to_owned()), 1).await;
    bench.hub.seen(&Seen::Detach(FROM_HUB.to_owned()), 1).await;

    // And then again.
    let asked = bench.get(session);
    bench.answer(2, 200, None, "{}").await;
    asked.await.unwrap().unwrap();
    bench.stays_open(2).await;
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_requests_in_any_order() {
    let (bench, session) = Bench::open_one(Wants::default()).await;
    let within = Duration::from_secs(30);
    let first = bench.get(session);
    bench.hub.message(TO_HUB, 0).await;
    let patch = TwinOperation::Report(r#"{"a":1}"#.into());
    let second = bench.ask(session, patch, within);
    let request = bench.hub.message(TO_HUB, 1).await;
    let expected = (
        "PATCH",
        Some("/properties/reported"),
        br#"{"a":1}"#.to_vec(),
    );
    assert_eq!(what(&request), expected);
    let third = bench.ask(session, TwinOperation::Report("{}".into()), within);
    bench.hub.message(TO_HUB, 2).await;

    bench.answer(2, 429, None, r#"{"Message":"slower"}"#).await;
    let Err(SendFailure::Refused(failure)) = third.await.unwrap() else {
        panic!("taken");
    };
    assert_eq!(failure.kind, FailureKind::Throttled);
    bench.answer(1, 204, Some(7), "").await;
    let version = second.await.unwrap().unwrap();
    assert_eq!((version.version, version.body.len()), (Some(7), 0));
    bench.answer(0, 200, None, "{}").await;
    assert_eq!(first.await.unwrap().unwrap().body, "{}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_answered_in_time_has_an_unknown_fate_and_what_is_not_sent_has_none() {
    let (bench, session) = Bench::open_one(Wants::default()).await;
    bench
        .hub
        .with(|state| state.ignore.push("/twin".to_owned()));
    let within = Duration::from_secs(5);
    let unsent = bench.ask(session, TwinOperation::Get, within);
    assert_eq!(unsent.await.unwrap(), Err(SendFailure::NotSent));
    // Links that the hub does not take go, and others are tried.
    bench
        .pass(Duration::from_millis(limits::ATTACH_TIMEOUT_MS))
        .await;
    bench.hub.with(|state| state.ignore.clear());
    let asked = bench.ask(session, TwinOperation::Get, within);
    bench.hub.message(TO_HUB, 0).await;
    assert_eq!(asked.await.unwrap(), Err(SendFailure::FateUnknown));
    // The answer comes too late, and belongs to no request.
    let next = bench.get(session);
    bench.hub.message(TO_HUB, 1).await;
    bench.answer(0, 200, None, "late").await;
    bench.answer(1, 200, None, "right").await;
    assert_eq!(next.await.unwrap().unwrap().body, "right");
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_device_are_bounded() {
    let (bench, session) = Bench::open_one(Wants::default()).await;
    let asked: Vec<_> = (0..limits::TWIN_REQUESTS_PER_DEVICE)
        .map(|_| bench.get(session))
        .collect();
    bench.hub.message(TO_HUB, asked.len() - 1).await;
    assert_eq!(bench.get(session).await.unwrap(), Err(SendFailure::Full));
    assert!(bench.connection.close(attempt(1), Some(session)));
    for asked in asked {
        assert_eq!(asked.await.unwrap(), Err(SendFailure::FateUnknown));
    }
    assert_eq!(bench.get(session).await.unwrap(), Err(SendFailure::Stale));
}

#[tokio::test(start_paused = true)]
async fn refused_links_cost_a_request_its_answer_and_a_subscriber_its_notifications() {
    let (mut bench, session) = Bench::open_one(Wants::default()).await;
    let error = Error::new(condition::NOT_ALLOWED, "a basic hub");
    bench
        .hub
        .with(|state| state.refuse.push(("/twin".to_owned(), error)));
    let Err(SendFailure::Refused(failure)) = bench.get(session).await.unwrap() else {
        panic!("taken");
    };
    assert_eq!(failure.kind, FailureKind::InvalidRequest);
    bench.stays_open(2).await;
    assert!(bench.connection.want(attempt(1), session, DESIRED));
    let refused = bench.refused(Link::Desired).await;
    assert_eq!(refused.kind, FailureKind::InvalidRequest);
    bench.stays_open(3).await;
}

#[tokio::test(start_paused = true)]
async fn changes_of_desired_properties_come_while_they_are_wanted() {
    let (bench, session) = Bench::open_one(DESIRED).await;
    let request = bench.hub.message(TO_HUB, 0).await;
    let desired = Some("/notifications/twin/properties/desired");
    assert_eq!(what(&request), ("PUT", desired, b" ".to_vec()));
    bench.answer(0, 200, None, "").await;
    let body = r#"{"a":1,"$version":2}"#;
    bench.hub.send(FROM_HUB, b"n", Message::from_data(body));
    let expected = Incoming::Desired {
        attempt: attempt(1),
        session,
        body: body.into(),
    };
    assert_eq!(bench.incoming().await, [expected]);
    // What is wanted already is not asked for again.
    assert!(bench.connection.want(attempt(1), session, DESIRED));

    // The links stay without being used; when they are not wanted any more, they go after a while.
    bench
        .pass(Duration::from_millis(10 * limits::TWIN_IDLE_MS))
        .await;
    let asked = bench.get(session);
    bench.answer(1, 200, None, "{}").await;
    asked.await.unwrap().unwrap();
    assert!(bench.connection.want(attempt(1), session, Wants::default()));
    let request = bench.hub.message(TO_HUB, 2).await;
    assert_eq!(what(&request).0, "DELETE");
    let seen = bench.hub.seen(&Seen::Detach(FROM_HUB.to_owned()), 1).await;
    let attaches = seen
        .iter()
        .filter(|seen| **seen == Seen::Attach(TO_HUB.to_owned()));
    assert_eq!(attaches.count(), 1);

    assert!(bench.connection.want(attempt(1), session, DESIRED));
    let request = bench.hub.message(TO_HUB, 3).await;
    assert_eq!(what(&request).0, "PUT");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_fails_is_told_and_one_that_ends_costs_the_device_its_session() {
    let (mut bench, _) = Bench::open_one(DESIRED).await;
    bench.answer(0, 429, None, "").await;
    let refused = bench.refused(Link::Desired).await;
    assert_eq!(refused.kind, FailureKind::Throttled);
    // Not answered at all.
    let (mut bench, _) = Bench::open_one(DESIRED).await;
    let refused = bench.refused(Link::Desired).await;
    assert_eq!(refused.kind, FailureKind::Timeout);
    bench.stays_open(2).await;
    // Taken, and then ended by the hub.
    let (mut bench, _) = Bench::open_one(DESIRED).await;
    bench.answer(0, 200, None, "").await;
    bench.pass(Duration::from_secs(100)).await;
    bench.hub.act(|state, connection| {
        let (link, _) = state.link(FROM_HUB).unwrap();
        let error = Error::new(condition::LINK_STOLEN, "another client");
        connection.detach(link, true, Some(error)).unwrap();
    });
    assert_eq!(bench.lost().await.kind, FailureKind::LinkStolen);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_closes_tells_what_was_not_sent() {
    let (bench, session) = Bench::open_one(Wants::default()).await;
    bench
        .hub
        .with(|state| state.ignore.push("/twin".to_owned()));
    let unsent = bench.get(session);
    bench.hub.seen(&Seen::Attach(TO_HUB.to_owned()), 1).await;
    assert!(bench.connection.close(attempt(1), Some(session)));
    assert_eq!(unsent.await.unwrap(), Err(SendFailure::Stale));
}
