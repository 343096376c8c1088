//! Cloud-to-device messages.

use std::time::Duration;

use drawspan_amqp::message::{Body, Header, Message, Properties};
use drawspan_amqp::performative::{DeliveryState, Error, ReceiverSettleMode, condition};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::{C2dMessage, FailureKind, Outcome, Receive, UtcTime, Wants};

use super::hub::Seen;
use super::{Bench, attempt};
use crate::connection::{C2dOutcome, DeviceSession, SendFailure};
use crate::downlink::{C2dDelivery, Incoming};
use crate::limits;

const FROM_HUB: &str = "</devices/d1/messages/devicebound";
const C2D: Wants = Wants {
    methods: false,
    c2d: Receive::Flowing,
    desired: false,
};

impl Bench {
    /// Sends a message as soon as there is credit for it.
    pub(super) async fn deliver(&self, tag: u8, message: Message) {
        self.credit(1).await;
        self.hub.send(FROM_HUB, &[tag; 16], message);
    }

    /// Waits until the hub has this much credit.
    async fn credit(&self, wanted: u32) {
        self.hub
            .until(|state| state.link(FROM_HUB).map(|_| ()))
            .await;
        loop {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            self.hub.act(|state, connection| {
                let (link, _) = state.link(FROM_HUB).unwrap();
                sender.send(connection.credit(link)).unwrap();
            });
            if receiver.await.unwrap() == wanted {
                return;
            }
            assert!(self.clock.now() < super::PATIENCE, "no credit");
            self.pass(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn received(&self) -> (C2dDelivery, C2dMessage) {
        let mut incoming = self.incoming().await;
        assert_eq!(incoming.len(), 1, "{incoming:?}");
        match incoming.remove(0) {
            Incoming::C2d {
                attempt: of,
                delivery,
                message,
                ..
            } => {
                assert_eq!(of, attempt(1));
                (delivery, *message)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn settle(
        &self,
        session: DeviceSession,
        delivery: C2dDelivery,
        outcome: Outcome,
    ) -> Result<(), SendFailure> {
        let outcome = C2dOutcome {
            session,
            delivery,
            outcome,
        };
        self.connection.settle_c2d(outcome).await
    }
}

const ON_DEMAND: Wants = Wants {
    c2d: Receive::OnDemand,
    ..C2D
};

fn lock_lost() -> Option<DeliveryState> {
    let error = Error::new(condition::NOT_FOUND, "the lock has ended");
    Some(DeliveryState::Rejected(Some(error)))
}

#[tokio::test(start_paused = true)]
async fn each_outcome_is_told_confirmed_and_followed_by_the_next_message() {
    let (bench, session) = Bench::open_one(C2D).await;
    let mut tag = 0;
    for (outcome, state) in [
        (Outcome::Complete, DeliveryState::Accepted),
        (Outcome::Reject, DeliveryState::Rejected(None)),
        (Outcome::Abandon, DeliveryState::Released),
    ] {
        tag += 1;
        bench.deliver(tag, Message::from_data("one")).await;
        let (delivery, message) = bench.received().await;
        assert_eq!(message.lock_token, Some([tag; 16]));
        // No other message before the outcome of this one.
        bench.credit(0).await;
        assert_eq!(bench.settle(session, delivery, outcome).await, Ok(()));
        bench.hub.seen(&Seen::Outcome(Some(state), false), 1).await;
        let again = bench.settle(session, delivery, outcome).await;
        assert_eq!(again, Err(SendFailure::Stale));
    }
    let mode = bench
        .hub
        .with(|state| state.attach(FROM_HUB).unwrap().rcv_settle_mode);
    assert_eq!(mode, ReceiverSettleMode::Second);
}

#[tokio::test(start_paused = true)]
async fn the_hubs_last_word_counts() {
    let (bench, session) = Bench::open_one(C2D).await;
    bench.hub.with(|state| state.settle = Some(lock_lost()));
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    let Err(SendFailure::Refused(failure)) =
        bench.settle(session, delivery, Outcome::Complete).await
    else {
        panic!("confirmed");
    };
    assert_eq!(failure.kind, FailureKind::LockLost);

    // An Edge hub answers accepted to every outcome.
    bench
        .hub
        .with(|state| state.settle = Some(Some(DeliveryState::Accepted)));
    bench.deliver(2, Message::from_data("2")).await;
    let (delivery, _) = bench.received().await;
    assert_eq!(
        bench.settle(session, delivery, Outcome::Abandon).await,
        Ok(())
    );

    // Another hub does not answer: the result is unknown, and the next message comes.
    bench.hub.with(|state| state.settle = None);
    bench.deliver(3, Message::from_data("3")).await;
    let (delivery, _) = bench.received().await;
    let unknown = bench.settle(session, delivery, Outcome::Complete).await;
    assert_eq!(unknown, Err(SendFailure::FateUnknown));
    bench.deliver(4, Message::from_data("4")).await;
    bench.received().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_hub_takes_back_makes_room_for_the_next() {
    let (bench, session) = Bench::open_one(C2D).await;
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    bench.hub.act(|state, connection| {
        let (_, session) = state.link(FROM_HUB).unwrap();
        let first = drawspan_amqp::engine::DeliveryId(0);
        connection.settle_sent(session, first, None).unwrap();
    });
    bench.deliver(2, Message::from_data("2")).await;
    let late = bench.settle(session, delivery, Outcome::Complete).await;
    assert_eq!(late, Err(SendFailure::Stale));
    let (delivery, _) = bench.received().await;
    assert_eq!(
        bench.settle(session, delivery, Outcome::Complete).await,
        Ok(())
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_settled_when_a_device_closes_stays_so() {
    let (mut bench, session) = Bench::open_one(C2D).await;
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    assert!(bench.connection.close(attempt(1), Some(session)));
    assert!(matches!(bench.news().await, crate::Status::Closed(_)));
    let outcomes = |seen: &[Seen]| seen.iter().any(|seen| matches!(seen, Seen::Outcome(..)));
    assert!(!bench.hub.with(|state| outcomes(&state.seen)));
    let late = bench.settle(session, delivery, Outcome::Complete).await;
    assert_eq!(late, Err(SendFailure::Stale));
}

#[tokio::test(start_paused = true)]
async fn without_room_messages_stay_at_the_hub() {
    let (bench, session) = Bench::open_one(C2D).await;
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    while bench.inbox.has_room() {
        bench.inbox.put(Incoming::DesiredMissed {
            attempt: attempt(9),
        });
    }
    assert_eq!(
        bench.settle(session, delivery, Outcome::Complete).await,
        Ok(())
    );
    bench.pass(Duration::from_secs(60)).await;
    bench.credit(0).await;
    assert_eq!(bench.incoming().await.len(), limits::INBOX_ENTRIES);
    bench.deliver(2, Message::from_data("2")).await;
    bench.received().await;
}

#[tokio::test(start_paused = true)]
async fn c2d_comes_and_goes_as_it_is_wanted() {
    let (mut bench, session) = Bench::open_one(Wants::default()).await;
    for tag in 1..3 {
        assert!(bench.connection.want(attempt(1), session, C2D));
        bench.deliver(tag, Message::from_data("1")).await;
        let (delivery, _) = bench.received().await;
        assert!(bench.connection.want(attempt(1), session, Wants::default()));
        bench
            .hub
            .seen(&Seen::Detach(FROM_HUB.to_owned()), tag.into())
            .await;
        let late = bench.settle(session, delivery, Outcome::Complete).await;
        assert_eq!(late, Err(SendFailure::Stale));
    }
    bench.stays_open(2).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_comes_with_all_that_the_hub_says_of_it() {
    let (bench, _) = Bench::open_one(C2D).await;
    let symbol = |text: &'static str| Symbol::from_static(text);
    let message = Message {
        header: Some(Header {
            delivery_count: 1,
            ..Header::default()
        }),
        message_annotations: Some(Map(vec![
            (
                symbol("x-opt-sequence-number").into(),
                Value::Ulong(u64::MAX),
            ),
            (
                symbol("iothub-enqueuedtime").into(),
                Value::Timestamp(1_000),
            ),
            (symbol("iothub-deliverycount").into(), Value::Ubyte(3)),
        ])),
        properties: Some(Properties {
            message_id: Some([0x11; 16].into()),
            correlation_id: Some("corr".into()),
            user_id: Some("me".into()),
            to: Some("/devices/d1/messages/deviceBound".to_owned()),
            content_type: Some(symbol("application/json")),
            content_encoding: Some(symbol("utf-8")),
            absolute_expiry_time: Some(2_000),
            ..Properties::default()
        }),
        application_properties: Some(
            [
                ("b", Value::from("2")),
                ("a", Value::from("1")),
                ("number", Value::Int(1)),
                ("iothub-ack", Value::from("full")),
                (
                    "iothub-creation-time-utc",
                    Value::from("2021-03-04T05:06:07.089Z"),
                ),
            ]
            .into_iter()
            .collect(),
        ),
        body: Body::Data(vec!["to".into(), "gether".into()]),
        ..Message::default()
    };
    bench.deliver(9, message).await;
    let text = |text: &str| Some(text.to_owned());
    let expected = C2dMessage {
        body: "together".into(),
        properties: vec![("b".into(), "2".into()), ("a".into(), "1".into())],
        message_id: text("11111111-1111-1111-1111-111111111111"),
        correlation_id: text("corr"),
        user_id: Some("me".into()),
        to: text("/devices/d1/messages/deviceBound"),
        expiry: Some(UtcTime::from_unix_ms(2_000)),
        creation_time: UtcTime::parse("2021-03-04T05:06:07.089Z").ok(),
        content_type: text("application/json"),
        content_encoding: text("utf-8"),
        ack: text("full"),
        sequence_number: Some(u64::MAX),
        enqueued: Some(UtcTime::from_unix_ms(1_000)),
        delivery_count: 3,
        lock_token: Some([9; 16]),
    };
    assert_eq!(bench.received().await.1, expected);
}

#[tokio::test(start_paused = true)]
async fn on_demand_one_comes_for_each_that_is_asked_for() {
    let (mut bench, session) = Bench::open_one(ON_DEMAND).await;
    bench.linked(ON_DEMAND.links()).await;
    bench.pass(Duration::from_secs(10)).await;
    bench.credit(0).await;
    // Asking twice is asking once.
    assert!(bench.connection.pull(attempt(1), session));
    assert!(bench.connection.pull(attempt(1), session));
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    assert!(bench.connection.pull(attempt(1), session));
    let settled = bench.settle(session, delivery, Outcome::Complete).await;
    assert_eq!(settled, Ok(()));
    bench.pass(Duration::from_secs(10)).await;
    bench.credit(0).await;
    // A consumer that wants them as they come gets them so from then on.
    assert!(bench.connection.want(attempt(1), session, C2D));
    for tag in 2..4 {
        bench.deliver(tag, Message::from_data("1")).await;
        let (delivery, _) = bench.received().await;
        let settled = bench.settle(session, delivery, Outcome::Complete).await;
        assert_eq!(settled, Ok(()));
    }
    bench.stays_open(2).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_before_the_link_is_there_comes() {
    let (bench, session) = Bench::open_one(Wants::default()).await;
    assert!(bench.connection.want(attempt(1), session, ON_DEMAND));
    assert!(bench.connection.pull(attempt(1), session));
    bench.deliver(1, Message::from_data("1")).await;
    bench.received().await;
}

#[tokio::test(start_paused = true)]
async fn of_a_message_that_is_left_the_hub_hears_nothing_and_the_next_comes_after_its_lock() {
    let (bench, session) = Bench::open_one(C2D).await;
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    bench.pass(Duration::from_secs(30)).await;
    let left = bench.settle(session, delivery, Outcome::Leave).await;
    assert_eq!(left, Ok(()));
    let outcomes = |seen: &[Seen]| seen.iter().any(|seen| matches!(seen, Seen::Outcome(..)));
    bench.pass(Duration::from_secs(34)).await;
    bench.credit(0).await;
    assert!(!bench.hub.with(|state| outcomes(&state.seen)));
    bench.pass(Duration::from_secs(2)).await;
    bench.deliver(2, Message::from_data("2")).await;
    bench.received().await;

    // A hub that takes it back makes room at once.
    let (bench, session) = Bench::open_one(C2D).await;
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    let left = bench.settle(session, delivery, Outcome::Leave).await;
    assert_eq!(left, Ok(()));
    bench.hub.act(|state, connection| {
        let (_, session) = state.link(FROM_HUB).unwrap();
        let first = drawspan_amqp::engine::DeliveryId(0);
        connection.settle_sent(session, first, None).unwrap();
    });
    bench.pass(Duration::from_secs(1)).await;
    bench.credit(1).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_which_nobody_says_anything_gives_way_once_its_lock_has_ended() {
    let (bench, session) = Bench::open_one(C2D).await;
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    bench
        .pass(Duration::from_millis(limits::C2D_LOCK_MS - 1_000))
        .await;
    bench.credit(0).await;
    bench.deliver(2, Message::from_data("2")).await;
    bench.received().await;
    let late = bench.settle(session, delivery, Outcome::Complete).await;
    assert_eq!(late, Err(SendFailure::Stale));
}

#[tokio::test(start_paused = true)]
async fn a_link_on_which_an_outcome_is_not_confirmed_is_replaced() {
    let (mut bench, session) = Bench::open_one(ON_DEMAND).await;
    bench.linked(ON_DEMAND.links()).await;
    bench.hub.with(|state| state.settle = None);
    assert!(bench.connection.pull(attempt(1), session));
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    // Asked for meanwhile, the next one comes over the new link.
    let settled = async {
        let settled = bench.settle(session, delivery, Outcome::Complete);
        let (settled, ()) = tokio::join!(settled, async {
            bench.pass(Duration::from_secs(1)).await;
            assert!(bench.connection.pull(attempt(1), session));
        });
        settled
    };
    assert_eq!(settled.await, Err(SendFailure::FateUnknown));
    let seen = bench.hub.seen(&Seen::Attach(FROM_HUB.to_owned()), 2).await;
    let outcomes: Vec<_> = seen
        .iter()
        .filter(|seen| matches!(seen, Seen::Outcome(..)))
        .collect();
    // Sent, and sent once more as the final disposition.
    let accepted = |settled| Seen::Outcome(Some(DeliveryState::Accepted), settled);
    assert_eq!(outcomes, [&accepted(false), &accepted(true)]);
    assert!(seen.contains(&Seen::Detach(FROM_HUB.to_owned())));
    bench.deliver(2, Message::from_data("2")).await;
    bench.received().await;
    bench.stays_open(2).await;
}
