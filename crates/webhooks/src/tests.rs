//! Webhooks against receivers on real sockets.

mod receiver;
mod speed;
mod tls;

use std::time::{Duration, Instant};

use bytes::Bytes;
use drawspan_bridge::delivery::{DeliveryConfig, NoRoom};
use drawspan_bridge::events::{Content, DeliveryOutcome, Event, FinishedEvent, Outbox};
use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, DeviceId, SubscriptionType, UtcTime};
use drawspan_settings::{GuardMode, WebhookSecret};

use super::*;
use receiver::{Behaviour, Receiver};

/// Webhooks, and their owner.
struct Owner {
    outbox: Outbox<CallbackUrl, u32>,
    webhooks: Webhooks,
    started: Instant,
}

impl Owner {
    fn new(guard: GuardMode, secrets: Vec<WebhookSecret>) -> Self {
        let options = Options {
            secrets: Arc::new(Secrets::new(secrets)),
            guard: Arc::new(Guard::new(guard, Vec::new())),
            authorities: Vec::new(),
        };
        Self {
            outbox: outbox(Duration::from_secs(30)),
            webhooks: Webhooks::new(options).unwrap(),
            started: Instant::now(),
        }
    }

    /// With another time for the answers to methods.
    fn with_timeout(self, method_answer_timeout: Duration) -> Self {
        Self {
            outbox: outbox(method_answer_timeout),
            ..self
        }
    }

    fn run(&mut self) -> Option<Duration> {
        let now = self.started.elapsed();
        self.webhooks.reap();
        self.outbox.tick(now);
        while let Some(post) = self.outbox.begin(now) {
            self.webhooks.send(post);
        }
        self.outbox.due(now)
    }

    fn done(&mut self, done: Done) {
        let now = self.started.elapsed();
        self.outbox
            .answered(done.attempt, done.answer, done.body, now);
    }

    fn offer(&mut self, url: &str, ticket: u32, content: Content) {
        let now = self.started.elapsed();
        let event = Event {
            device: DeviceId::parse("d-1").unwrap(),
            callback: CallbackUrl::parse(url).unwrap(),
            webhook_id: format!("event_{ticket}"),
            received_at: UtcTime::from_unix_ms(0),
            received: now,
            content,
            correlation: ticket,
        };
        self.outbox.offer(event, now).unwrap();
    }

    /// The next finished event; fails when it takes too long.
    async fn next_finished(&mut self) -> FinishedEvent<CallbackUrl, u32> {
        let wait = async {
            loop {
                let due = self.run();
                if let Some(finished) = self.outbox.next_finished() {
                    return finished;
                }
                let due = due.map_or(Duration::from_secs(60), |due| {
                    due.saturating_sub(self.started.elapsed())
                });
                let mailbox = self.webhooks.mailbox();
                if let Ok(taken) = tokio::time::timeout(due, mailbox.take()).await {
                    for done in taken {
                        self.done(done);
                    }
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap()
    }
}

fn outbox(method_answer_timeout: Duration) -> Outbox<CallbackUrl, u32> {
    Outbox::new(DeliveryConfig::new(5, 1), method_answer_timeout)
}

fn status() -> Content {
    Content::Status {
        status: ConnectionStatus::Connected,
        reason: ConnectionStatusReason::ConnectionOk,
        skipped: 0,
    }
}

fn method() -> Content {
    Content::Method {
        name: "reboot".to_owned(),
        payload: Bytes::from_static(b"{}"),
    }
}

#[tokio::test]
async fn an_event_is_posted_signed_and_its_answer_comes_back() {
    let receiver = Receiver::start(Behaviour::Answer(200, "{\"status\":201}")).await;
    let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let mut owner = Owner::new(GuardMode::Off, vec![secret]);
    owner.offer(&receiver.url("/hook?code=1"), 7, method());
    let finished = owner.next_finished().await;
    assert_eq!((finished.event.correlation, finished.attempts), (7, 1));
    let answer = Bytes::from_static(b"{\"status\":201}");
    assert_eq!(finished.outcome, DeliveryOutcome::Taken { answer });
    let request = receiver.requests().remove(0);
    assert_eq!(request.line, "POST /hook?code=1 HTTP/1.1");
    let header = |name| request.header(name);
    assert_eq!(header("content-type"), "application/json");
    let agent = concat!("drawspan/", env!("CARGO_PKG_VERSION"));
    assert_eq!(header("user-agent"), agent);
    assert_eq!(header("webhook-id"), "event_7");
    assert!(header("webhook-timestamp").parse::<u64>().unwrap() > 1_700_000_000);
    assert!(header("webhook-signature").starts_with("v1,"));
    assert_eq!(header("host"), receiver.authority());
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["eventType"], "DirectMethodInvocation");
    assert_eq!(body["requestData"], serde_json::json!({}));
}

#[tokio::test]
async fn without_a_key_an_event_has_its_id_and_time() {
    let receiver = Receiver::start(Behaviour::Answer(204, "")).await;
    let mut owner = Owner::new(GuardMode::Off, Vec::new());
    owner.offer(&receiver.url("/"), 1, status());
    let answer = Bytes::new();
    assert_eq!(
        owner.next_finished().await.outcome,
        DeliveryOutcome::Taken { answer }
    );
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("webhook-id"), "event_1");
    assert!(!request.header("webhook-timestamp").is_empty());
    assert_eq!(request.header("webhook-signature"), "");
}

#[tokio::test]
async fn connections_are_used_again_and_order_is_kept() {
    let receiver = Receiver::start(Behaviour::Answer(200, "ok")).await;
    let mut owner = Owner::new(GuardMode::Off, Vec::new());
    for ticket in 0..10 {
        owner.offer(&receiver.url("/"), ticket, status());
    }
    for ticket in 0..10 {
        assert_eq!(owner.next_finished().await.event.correlation, ticket);
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn redirects_and_other_refusals_are_told_and_not_followed() {
    for status in [302, 307, 400, 404, 410] {
        let receiver = Receiver::start(Behaviour::Answer(status, "")).await;
        let mut owner = Owner::new(GuardMode::Off, Vec::new());
        owner.offer(&receiver.url("/"), 1, method());
        let finished = owner.next_finished().await;
        assert_eq!(finished.outcome, DeliveryOutcome::Refused { status });
        assert_eq!(receiver.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_fails_is_tried_again_with_the_same_id() {
    let receiver = Receiver::start(Behaviour::FailFirst(2, "Retry-After: 1\r\n")).await;
    let mut owner = Owner::new(GuardMode::Off, Vec::new());
    owner.offer(&receiver.url("/"), 1, status());
    let finished = owner.next_finished().await;
    assert!(matches!(finished.outcome, DeliveryOutcome::Taken { .. }));
    assert_eq!(finished.attempts, 3);
    let ids: Vec<String> = receiver
        .requests()
        .iter()
        .map(|request| request.header("webhook-id"))
        .collect();
    assert_eq!(ids, ["event_1"; 3]);
}

#[tokio::test]
async fn long_answers_are_cut_off() {
    let receiver = Receiver::start(Behaviour::Endless).await;
    let mut owner = Owner::new(GuardMode::Off, Vec::new());
    owner.offer(&receiver.url("/"), 1, method());
    let DeliveryOutcome::Taken { answer } = owner.next_finished().await.outcome else {
        panic!("not taken");
    };
    assert_eq!(
        answer.len(),
        drawspan_bridge::limits::MAX_CALLBACK_ANSWER_BYTES
    );
}

#[tokio::test]
async fn the_guard_looks_at_each_connection() {
    let receiver = Receiver::start(Behaviour::Answer(200, "")).await;
    let owner = Owner::new(GuardMode::Strict, Vec::new());
    let url = receiver.url("/secret").replace("127.0.0.1", "localhost");
    let mut owner = owner.with_timeout(Duration::from_millis(500));
    owner.offer(&url, 1, method());
    let DeliveryOutcome::Failed { reason } = owner.next_finished().await.outcome else {
        panic!("not failed");
    };
    assert!(reason.contains("loopback"), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_costs_the_attempts_time_and_its_task_ends_with_its_owner() {
    let receiver = Receiver::start(Behaviour::Hang).await;
    let owner = Owner::new(GuardMode::Off, Vec::new());
    let mut owner = owner.with_timeout(Duration::from_millis(200));
    owner.offer(&receiver.url("/"), 1, method());
    let DeliveryOutcome::Failed { reason } = owner.next_finished().await.outcome else {
        panic!("not failed");
    };
    assert!(reason.contains("in time"), "{reason}");
    owner.offer(&receiver.url("/"), 2, status());
    owner.run();
    assert_eq!(owner.webhooks.requests.len(), 1);
    let mailbox = owner.webhooks.mailbox();
    drop(owner);
    let taken = tokio::time::timeout(Duration::from_secs(10), mailbox.take());
    assert_eq!(taken.await.unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_at_the_other_end_is_said_so() {
    let receiver = Receiver::start(Behaviour::Answer(200, "")).await;
    let url = receiver.url("/secret");
    drop(receiver);
    let owner = Owner::new(GuardMode::Off, Vec::new());
    let mut owner = owner.with_timeout(Duration::from_secs(1));
    owner.offer(&url, 1, method());
    let DeliveryOutcome::Failed { reason } = owner.next_finished().await.outcome else {
        panic!("not failed");
    };
    assert!(
        reason.contains("refused") && !reason.contains("secret"),
        "{reason}"
    );
}

#[tokio::test]
async fn changes_beyond_the_room_are_counted() {
    let mut owner = Owner::new(GuardMode::Off, Vec::new());
    let receiver = Receiver::start(Behaviour::Answer(200, "")).await;
    for ticket in 0..20 {
        owner.offer(&receiver.url("/"), ticket, status());
    }
    let mut told = Vec::new();
    for _ in 0..16 {
        let finished = owner.next_finished().await;
        let Content::Status { skipped, .. } = finished.event.content else {
            panic!("another event");
        };
        told.push((finished.event.correlation, skipped));
    }
    let mut expected: Vec<(u32, u32)> = (0..15).map(|ticket| (ticket, 0)).collect();
    expected.push((19, 4));
    assert_eq!(told, expected);
    let d = DeviceId::parse("d-1").unwrap();
    assert!(owner.outbox.is_idle(&d, SubscriptionType::ConnectionStatus));
}

#[tokio::test]
async fn messages_too_many_come_back() {
    let mut owner = Owner::new(GuardMode::Off, Vec::new());
    let mut offered = 0;
    let refused = loop {
        let event = Event {
            device: DeviceId::parse("d-1").unwrap(),
            callback: CallbackUrl::parse("http://127.0.0.1:1/").unwrap(),
            webhook_id: String::new(),
            received_at: UtcTime::from_unix_ms(0),
            received: Duration::ZERO,
            content: Content::C2d(Box::default()),
            correlation: offered,
        };
        match owner.outbox.offer(event, Duration::ZERO) {
            Ok(()) => offered += 1,
            Err(no_room) => break no_room,
        }
    };
    assert_eq!((offered, refused), (16, NoRoom::Lane));
    let d = DeviceId::parse("d-1").unwrap();
    owner.outbox.withdraw(&d, SubscriptionType::C2dMessages);
    for ticket in 0..16 {
        let finished = owner.outbox.next_finished().unwrap();
        assert_eq!(
            (finished.event.correlation, finished.outcome),
            (ticket, DeliveryOutcome::Untried)
        );
    }
}
