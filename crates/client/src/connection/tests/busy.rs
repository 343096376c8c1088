//! Devices, or a hub, that take more than their share of a connection, and what remains for the others.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use drawspan_amqp::engine::Connection;
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{Begin, Flow, Performative};
use drawspan_hub::{Outcome, Receive, Wants};

use super::hub::Seen;
use super::wire::{Decide, FrameAction, Of};
use super::{Bench, attempt, group, open};
use crate::connection::{C2dOutcome, DeviceSession, MethodAnswer, Send, SendFailure};
use crate::limits;
use crate::status::Status;

type Sending = Pin<Box<dyn Future<Output = Result<(), SendFailure>>>>;

const EVENTS: &str = ">/devices/d1/messages/events";

impl Bench {
    fn message(&self, session: DeviceSession, body: &'static str, within: Duration) -> Send {
        Send {
            session,
            message: Message::from_data(body).to_bytes(),
            deadline: self.clock.now() + within,
        }
    }

    /// A message in flight that neither the connection's task nor the hub has received. `None` if it was refused.
    fn begin_send(&self, send: Send) -> Option<Sending> {
        let connection = self.connection.clone();
        let mut sending: Sending = Box::pin(async move { connection.send(send).await });
        match sending
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Pending => Some(sending),
            Poll::Ready(Err(SendFailure::Full)) => None,
            Poll::Ready(other) => panic!("{other:?}"),
        }
    }

    /// As many of them as there is room for.
    fn storm(&self, session: DeviceSession) -> Vec<Sending> {
        let send = || self.begin_send(self.message(session, "x", Duration::from_secs(600)));
        std::iter::repeat_with(send)
            .map_while(|sent| sent)
            .collect()
    }

    /// Opens devices to which the hub gives no credit, and has each send as much as it may.
    async fn crowd(&mut self, devices: std::ops::Range<u32>) -> Vec<Sending> {
        self.hub.with(|state| state.telemetry_credit = 0);
        let mut sends = Vec::new();
        for index in devices {
            assert!(self.connection.open(open(index)));
            let session = self.opened(index).await;
            sends.extend(self.storm(session));
        }
        self.hub.with(|state| state.telemetry_credit = 100);
        sends
    }
}

#[tokio::test(start_paused = true)]
async fn one_device_has_its_share_of_the_places_and_no_more() {
    let (mut bench, noisy) = Bench::open_one(Wants::default()).await;
    assert!(bench.connection.open(open(2)));
    let quiet = bench.opened(2).await;
    let sends = bench.storm(noisy);
    assert_eq!(sends.len(), limits::SENDS_PER_DEVICE);
    let send = bench.message(quiet, "x", Duration::from_secs(5));
    assert_eq!(bench.connection.send(send).await, Ok(()));
    for send in sends {
        assert_eq!(send.await, Ok(()));
    }
    // What was answered makes room.
    assert_eq!(bench.storm(noisy).len(), limits::SENDS_PER_DEVICE);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_caller_has_gone_keeps_its_place_until_it_is_answered() {
    let (bench, session) = Bench::open_one(Wants::default()).await;
    drop(bench.storm(session));
    assert_eq!(bench.storm(session).len(), 0);
    bench.pass(Duration::from_secs(1)).await;
    assert_eq!(bench.storm(session).len(), limits::SENDS_PER_DEVICE);
}

#[tokio::test(start_paused = true)]
async fn every_device_has_a_few_places_however_many_others_wait() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    let _sends = bench.crowd(10..60).await;
    assert!(bench.connection.open(open(1)));
    let session = bench.opened(1).await;
    let send = bench.message(session, "x", Duration::from_secs(5));
    assert_eq!(bench.connection.send(send).await, Ok(()));
    assert_eq!(bench.storm(session).len(), limits::SENDS_GUARANTEED);
}

#[tokio::test(start_paused = true)]
async fn outcomes_and_answers_have_room_of_their_own() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    let wants = Wants {
        methods: true,
        c2d: Receive::Flowing,
        desired: false,
    };
    assert!(bench.connection.open(super::Open { wants, ..open(1) }));
    let session = bench.opened(1).await;
    bench.linked(wants.links()).await;
    let _sends = bench.crowd(10..60).await;
    let answers = bench.storm(session);
    bench.deliver(1, Message::from_data("1")).await;
    let (delivery, _) = bench.received().await;
    let outcome = C2dOutcome {
        session,
        delivery,
        outcome: Outcome::Complete,
    };
    assert_eq!(bench.connection.settle_c2d(outcome).await, Ok(()));
    bench.call(1, "m", "1");
    let called = bench.called().await;
    assert!(bench.connection.answer_method(MethodAnswer {
        session,
        request: called[0].0.clone(),
        status: 200,
        payload: None,
    }));
    bench.hub.message(super::methods::TO_HUB, 0).await;
    drop(answers);
}

#[tokio::test(start_paused = true)]
async fn a_message_may_be_asked_for_on_a_connection_that_is_full() {
    let wants = Wants {
        c2d: Receive::OnDemand,
        ..Wants::default()
    };
    let (mut bench, session) = Bench::open_one(wants).await;
    bench.linked(wants.links()).await;
    let mut sessions = Vec::new();
    for index in 10..60 {
        assert!(bench.connection.open(open(index)));
        sessions.push(bench.opened(index).await);
    }
    let sends: Vec<_> = sessions.iter().map(|of| bench.storm(*of)).collect();
    for _ in 0..10 * limits::CONTROL_PER_CONNECTION {
        assert!(bench.connection.pull(attempt(1), session));
    }
    drop(sends);
    bench.deliver(1, Message::from_data("1")).await;
    bench.received().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_closes_however_much_is_asked_of_its_connection() {
    let (mut bench, session) = Bench::open_one(Wants::default()).await;
    assert!(bench.connection.open(open(2)));
    let other = bench.opened(2).await;
    let _sends = bench.storm(session);
    for _ in 0..20_000 {
        bench.connection.want(attempt(1), session, Wants::default());
        bench.connection.pull(attempt(1), session);
    }
    assert!(bench.connection.close(attempt(1), Some(session)));
    assert!(bench.connection.close(attempt(2), Some(other)));
    assert!(matches!(bench.news().await, Status::Closed(of) if of == attempt(1)));
    assert!(matches!(bench.news().await, Status::Closed(of) if of == attempt(2)));
}

/// Shuts the window of the session on `channel` while `shut` holds.
fn window(channel: u16, shut: &Arc<AtomicBool>) -> Decide {
    window_after(channel, 0, shut)
}

/// The same, but lets so many frames pass before.
fn window_after(channel: u16, frames: u32, shut: &Arc<AtomicBool>) -> Decide {
    let shut = Arc::clone(shut);
    Box::new(move |of, on, performative| {
        if of != Of::Hub || on != channel || !shut.load(Ordering::Relaxed) {
            return FrameAction::Passes;
        }
        match performative {
            Performative::Begin(begin) => {
                FrameAction::Becomes(Performative::Begin(Box::new(Begin {
                    incoming_window: frames,
                    ..*begin
                })))
            }
            // Numbers begin at 0 here.
            Performative::Flow(flow) => FrameAction::Becomes(Performative::Flow(Flow {
                incoming_window: frames.saturating_sub(flow.next_incoming_id.unwrap_or(0)),
                ..flow
            })),
            _ => FrameAction::Passes,
        }
    })
}

/// Device 1 with a window that is shut, and device 2.
async fn stalled() -> (Bench, DeviceSession, DeviceSession, Arc<AtomicBool>) {
    let shut = Arc::new(AtomicBool::new(true));
    // Channel 0 is that of `$cbs`.
    let mut bench = Bench::over(group(), window(1, &shut));
    bench.hub.with(|state| state.telemetry_credit = 1_000);
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    let stalled = bench.opened(1).await;
    assert!(bench.connection.open(open(2)));
    let other = bench.opened(2).await;
    (bench, stalled, other, shut)
}

/// Sends a message that does not go out in time, and one that does once the window is open again.
async fn late_and_in_time(bench: &Bench, session: DeviceSession, shut: &AtomicBool) {
    let send = bench.message(session, "late", Duration::from_secs(5));
    assert_eq!(bench.connection.send(send).await, Err(SendFailure::NotSent));
    let send = bench.message(session, "in time", Duration::from_secs(60));
    let waits = bench.begin_send(send).unwrap();
    bench.pass(Duration::from_secs(1)).await;
    shut.store(false, Ordering::Relaxed);
    bench.hub.act(|state, connection| {
        let (link, _) = state.link(EVENTS).unwrap();
        connection.grant(link, 100).unwrap();
    });
    assert_eq!(waits.await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_a_stalled_session_does_not_take_is_not_sent_and_never_goes_out() {
    let (bench, session, _, shut) = stalled().await;
    for _ in 0..2 {
        let send = bench.message(session, "late", Duration::from_secs(5));
        assert_eq!(bench.connection.send(send).await, Err(SendFailure::NotSent));
    }
    late_and_in_time(&bench, session, &shut).await;
    let seen = Seen::Message(EVENTS.to_owned(), Box::new(Message::from_data("in time")));
    assert_eq!(bench.hub.seen(&seen, 1).await.last(), Some(&seen));
    assert_eq!(bench.hub.with(|state| state.messages(EVENTS).count()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_session_takes_no_room_from_others() {
    let (bench, session, other, _) = stalled().await;
    let large = || Send {
        session,
        message: vec![0; 250_000].into(),
        deadline: bench.clock.now() + Duration::from_secs(60),
    };
    let sends: Vec<_> = (0..200).filter_map(|_| bench.begin_send(large())).collect();
    assert_eq!(sends.len(), 200);
    bench.pass(Duration::from_secs(1)).await;
    let send = Send {
        session: other,
        message: Message::from_data(vec![0; 250_000]).to_bytes(),
        ..large()
    };
    assert_eq!(bench.connection.send(send).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn of_a_message_that_is_half_written_at_its_deadline_nothing_is_known_and_nothing_stays() {
    let shut = Arc::new(AtomicBool::new(true));
    let mut bench = Bench::over(group(), window_after(1, 2, &shut));
    bench.hub.with(|state| state.telemetry_credit = 1_000);
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    let session = bench.opened(1).await;
    let body = Message::from_data(vec![7; 250_000]);
    let half = Send {
        session,
        message: body.to_bytes(),
        deadline: bench.clock.now() + Duration::from_secs(5),
    };
    // The hub has the beginning, and would take the rest.
    assert_eq!(
        bench.connection.send(half).await,
        Err(SendFailure::FateUnknown)
    );
    late_and_in_time(&bench, session, &shut).await;
    let came: Vec<_> = bench
        .hub
        .with(|state| state.messages(EVENTS).cloned().collect());
    assert_eq!(came, [body, Message::from_data("in time")]);
    let counts = bench.connection.counts().await;
    assert_eq!((counts.sends, counts.waiting), (0, 0));
    assert_eq!(bench.storm(session).len(), limits::SENDS_PER_DEVICE);
}

#[tokio::test(start_paused = true)]
async fn what_waits_when_the_connection_breaks_was_not_sent() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    let mut sends = bench.crowd(1..2).await;
    bench.pass(Duration::from_secs(1)).await;
    bench
        .hub
        .act(|_, connection| connection.close(None, Duration::ZERO));
    assert!(matches!(bench.news().await, Status::ConnectionEnded(..)));
    assert_eq!(sends.remove(0).await, Err(SendFailure::Stale));
}

#[tokio::test(start_paused = true)]
async fn a_method_answer_that_the_hub_does_not_take_ends_with_its_request() {
    let mut bench = Bench::new(group());
    bench
        .hub
        .with(|state| state.credits = vec![(super::methods::TO_HUB.to_owned(), 0)]);
    bench.ready().await;
    let wants = Wants {
        methods: true,
        ..Wants::default()
    };
    assert!(bench.connection.open(super::Open { wants, ..open(1) }));
    let session = bench.opened(1).await;
    bench.links_up().await;
    let all = u8::try_from(limits::METHODS_PER_DEVICE).unwrap();
    for number in 0..all {
        bench.call(number, "m", "1");
    }
    let mut called = Vec::new();
    while called.len() < usize::from(all) {
        called.extend(bench.called().await);
    }
    for (request, ..) in &called {
        bench.answer_call(session, request, 200);
    }
    bench
        .pass(Duration::from_millis(limits::METHOD_LIFE_MS + 1_000))
        .await;
    bench.call(99, "m", "1");
    assert_eq!(bench.called().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_could_not_go_out_in_time_never_does() {
    let shut = Arc::new(AtomicBool::new(false));
    let mut bench = Bench::over(group(), window(0, &shut));
    bench.ready().await;
    let flow = |state: &mut super::hub::State, connection: &mut Connection| {
        let (link, _) = state.link(">$cbs").unwrap();
        connection.grant(link, 100).unwrap();
    };
    shut.store(true, Ordering::Relaxed);
    bench.hub.act(flow);
    bench.pass(Duration::from_secs(1)).await;
    assert!(bench.connection.open(open(1)));
    let news = bench.news().await;
    assert!(matches!(news, Status::OpenFailed(..)), "{news:?}");
    shut.store(false, Ordering::Relaxed);
    bench.hub.act(flow);
    bench.stays_open(2).await;
    assert!(
        !bench
            .hub
            .with(|state| state.seen.contains(&super::token(1)))
    );
}
