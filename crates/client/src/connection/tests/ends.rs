//! Requests that the hub does not answer: every wait ends, and nothing leaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drawspan_amqp::performative::{Error, Performative, condition};
use drawspan_hub::failure::Ending;
use drawspan_hub::{FailureKind, Link, Receive, Wants};
use tokio::io::AsyncReadExt;

use super::wire::{Decide, FrameAction, Of};
use super::{Bench, attempt, group, open};
use crate::limits;
use crate::status::Status;

/// Frames that are lost while the switch is on.
fn losing(
    mut which: impl FnMut(Of, u16, &Performative) -> bool + Send + 'static,
) -> (Arc<AtomicBool>, Decide) {
    let on = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&on);
    let decide = move |of, channel, performative| match on.load(Ordering::Relaxed)
        && which(of, channel, &performative)
    {
        true => FrameAction::IsLost,
        false => FrameAction::Passes,
    };
    (switch, Box::new(decide))
}

/// A hub that heeds no end.
fn ends(of: Of, _: u16, performative: &Performative) -> bool {
    of == Of::Client && matches!(performative, Performative::End(_))
}

impl Bench {
    async fn closed(&mut self, index: u32) {
        let news = self.news().await;
        assert!(
            matches!(news, Status::Closed(of) if of == attempt(index)),
            "{news:?}"
        );
    }

    /// The connection ended for this reason.
    async fn connection_ended(&mut self) -> drawspan_hub::Failure {
        match self.news().await {
            Status::ConnectionEnded(_, _, failure) => failure,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_end_is_not_answered_is_closed_all_the_same() {
    let (lost, decide) = losing(ends);
    let mut bench = Bench::over(group(), decide);
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    let first = bench.opened(1).await;
    let started = bench.clock.now();
    assert!(bench.connection.close(attempt(1), Some(first)));
    bench.closed(1).await;
    let waited = bench.clock.now() - started;
    assert!(waited < Duration::from_millis(limits::END_TIMEOUT_MS + 1_000));
    // Its channel may still be used by the hub.
    assert!(bench.connection.open(open(1)));
    let second = bench.opened(1).await;
    assert_ne!(first.0.channel(), second.0.channel());
    lost.store(false, Ordering::Relaxed);
    assert!(bench.connection.close(attempt(1), Some(second)));
    bench.closed(1).await;
    bench.stays_open(2).await;
}

#[tokio::test(start_paused = true)]
async fn one_end_that_is_lost_costs_one_channel() {
    let mut first = true;
    let (_on, decide) = losing(move |of, channel, performative| {
        ends(of, channel, performative) && std::mem::take(&mut first)
    });
    let mut bench = Bench::over(group(), decide);
    bench.ready().await;
    for _ in 0..3 * limits::RETIRED_CHANNELS {
        assert!(bench.connection.open(open(1)));
        let session = bench.opened(1).await;
        assert!(bench.connection.close(attempt(1), Some(session)));
        bench.closed(1).await;
    }
    let counts = bench.connection.counts().await;
    assert_eq!((counts.devices, counts.sessions), (0, 2), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_answers_no_end_at_all_gets_another_connection() {
    let (_lost, decide) = losing(ends);
    let mut bench = Bench::over(group(), decide);
    bench.ready().await;
    for _ in 0..limits::RETIRED_CHANNELS {
        assert!(bench.connection.open(open(1)));
        let session = bench.opened(1).await;
        assert!(bench.connection.close(attempt(1), Some(session)));
        bench.closed(1).await;
    }
    let counts = bench.connection.counts().await;
    assert_eq!(counts.sessions, limits::RETIRED_CHANNELS + 1, "{counts:?}");
    assert!(bench.connection.open(open(1)));
    let session = bench.opened(1).await;
    assert!(bench.connection.close(attempt(1), Some(session)));
    bench.closed(1).await;
    let failure = bench.connection_ended().await;
    assert_eq!(failure.kind, FailureKind::ConnectionLost, "{failure}");
    assert!(failure.message.contains("sessions"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_hub_does_not_begin_fails_its_device() {
    // Of the first device the hub hears nothing.
    let (_lost, decide) = losing(|of, channel, _| of == Of::Client && channel == 1);
    let mut bench = Bench::over(group(), decide);
    bench.ready().await;
    assert!(bench.connection.open(open(1)));
    let news = bench.news().await;
    let Status::OpenFailed(of, failure) = news else {
        panic!("{news:?}");
    };
    assert_eq!((of, failure.kind), (attempt(1), FailureKind::Timeout));
    bench
        .pass(Duration::from_millis(limits::END_TIMEOUT_MS + 1_000))
        .await;
    assert!(bench.connection.open(open(1)));
    bench.opened(1).await;
    let counts = bench.connection.counts().await;
    assert_eq!((counts.devices, counts.ending), (1, 0), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_detach_that_is_not_answered_costs_the_device_its_session() {
    let (lost, decide) =
        losing(|_, _, performative| matches!(performative, Performative::Detach(_)));
    let mut bench = Bench::over(group(), decide);
    bench.ready().await;
    let methods = Wants {
        methods: true,
        ..Wants::default()
    };
    assert!(bench.connection.open(super::Open {
        wants: methods,
        ..open(1)
    }));
    let session = bench.opened(1).await;
    bench.linked(methods.links()).await;
    assert!(bench.connection.want(attempt(1), session, Wants::default()));
    assert_eq!(bench.lost().await.kind, FailureKind::Timeout);
    lost.store(false, Ordering::Relaxed);
    bench.stays_open(1).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_devices_that_came_and_went() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    let before = bench.connection.counts().await;
    let wants = Wants {
        methods: true,
        c2d: Receive::Flowing,
        desired: false,
    };
    for round in 0..50 {
        // Some are closed while they are being opened, some are refused, some stand.
        bench.hub.with(|state| {
            state.ignore.clear();
            state.refuse.clear();
            match round % 4 {
                0 => state.ignore.push("d1/messages/events".to_owned()),
                1 => state.refuse.push((
                    "d1/messages/events".to_owned(),
                    Error::new(condition::NOT_FOUND, "no"),
                )),
                2 => state.ignore.push("methods/devicebound".to_owned()),
                _ => {}
            }
        });
        assert!(bench.connection.open(super::Open { wants, ..open(1) }));
        match bench.news().await {
            Status::OpenFailed(..) => continue,
            Status::Opened(_, session) => {
                if round % 4 == 2 {
                    bench.refused(Link::Methods).await;
                }
                assert!(bench.connection.close(attempt(1), Some(session)));
            }
            other => panic!("{other:?}"),
        }
        bench.closed(1).await;
    }
    bench.pass(Duration::from_secs(60)).await;
    assert_eq!(bench.connection.counts().await, before);
}

#[tokio::test(start_paused = true)]
async fn what_ends_before_the_hub_has_opened_is_the_hubs_state() {
    // As TLS that closes, or a proxy in front of a hub that is gone.
    let (ours, theirs) = tokio::io::duplex(1_024);
    let (_, unused) = tokio::io::duplex(1);
    let mut bench = Bench::between(group(), ours, unused);
    drop(theirs);
    let failure = bench.connection_ended().await;
    assert_eq!(failure.kind, FailureKind::HubUnreachable, "{failure}");
    assert_eq!(failure.ending, Ending::Found);

    // Something that is no hub.
    let (ours, mut theirs) = tokio::io::duplex(1_024);
    let (_, unused) = tokio::io::duplex(1);
    let mut bench = Bench::between(group(), ours, unused);
    tokio::io::AsyncWriteExt::write_all(&mut theirs, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        .await
        .unwrap();
    let failure = bench.connection_ended().await;
    assert_eq!(failure.kind, FailureKind::HubUnreachable, "{failure}");

    // One that takes the connection and says nothing.
    let (ours, mut theirs) = tokio::io::duplex(1_024);
    let (_, unused) = tokio::io::duplex(1);
    let mut bench = Bench::between(group(), ours, unused);
    tokio::spawn(
        async move { while theirs.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {} },
    );
    let failure = bench.connection_ended().await;
    assert_eq!(failure.kind, FailureKind::HubUnreachable, "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_needs_any_more_says_nothing_of_its_hub() {
    let (ours, _theirs) = tokio::io::duplex(1_024);
    let (_, unused) = tokio::io::duplex(1);
    let mut bench = Bench::between(group(), ours, unused);
    let other = Bench::new(group());
    drop(std::mem::replace(&mut bench.connection, other.connection));
    let failure = bench.connection_ended().await;
    assert_eq!(failure.kind, FailureKind::ConnectionLost, "{failure}");
    assert_eq!(failure.ending, Ending::Own);
}

#[tokio::test(start_paused = true)]
async fn what_the_hub_says_when_it_closes_stays_what_it_is() {
    let mut bench = Bench::new(group());
    bench.ready().await;
    bench.hub.act(|_, connection| {
        let error = Error::new(condition::RESOURCE_LIMIT_EXCEEDED, "too many connections");
        connection.close(Some(error), Duration::ZERO);
    });
    let failure = bench.connection_ended().await;
    assert_ne!(failure.kind, FailureKind::HubUnreachable, "{failure}");
    assert!(
        failure.message.contains("too many connections"),
        "{failure}"
    );
    assert_eq!(failure.ending, Ending::Told);
    let condition = failure.condition.as_deref();
    assert_eq!(condition, Some("amqp:resource-limit-exceeded"));

    let mut bench = Bench::new(group());
    bench.ready().await;
    bench
        .hub
        .act(|_, connection| connection.close(None, Duration::ZERO));
    let failure = bench.connection_ended().await;
    assert_eq!(failure.kind, FailureKind::ConnectionLost, "{failure}");
    assert_eq!(failure.ending, Ending::Unexplained);
}
