//! Sending at a rate, without waiting for earlier sends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_client::SendFailure;
use drawspan_client::service::{Call, Message, ServiceClient, ServiceConfig};
use drawspan_hub::{DeviceId, Failure};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::receiver::{Book, method_payload};
use super::report::Reasons;
use super::tracker::{Kind, SenderOutcome};
use crate::behavior::is_chosen;
use crate::limits::LOAD_DOWNLINKS_UNDER_WAY;
use crate::options::{Downlink, Load};
use crate::rate::Pace;

/// The method.
const METHOD: &str = "load";

/// The senders.
pub(super) struct Sending {
    book: Arc<Book>,
    reasons: Arc<Reasons>,
    /// For devices of the first and of the second receiver, so that neither waits for the other here.
    clients: [Client; 2],
    prefix: String,
    devices: u64,
    bad_share: u8,
    measured_from: Instant,
    timeout: Duration,
    method_timeout_s: u32,
    pad: String,
}

struct Client {
    service: ServiceClient,
    messages: Arc<Semaphore>,
    calls: Arc<Semaphore>,
}

impl Sending {
    pub(super) fn new(
        load: &Load,
        downlink: &Downlink,
        service: &ServiceConfig,
        book: Arc<Book>,
        reasons: Arc<Reasons>,
    ) -> Self {
        let client = || Client {
            service: ServiceClient::new(service.clone()),
            messages: Arc::new(Semaphore::new(LOAD_DOWNLINKS_UNDER_WAY)),
            calls: Arc::new(Semaphore::new(LOAD_DOWNLINKS_UNDER_WAY)),
        };
        Self {
            book,
            reasons,
            clients: [client(), client()],
            prefix: load.device_prefix.clone(),
            devices: u64::from(load.devices),
            bad_share: downlink.bad_share,
            measured_from: Instant::now() + downlink.warm_up,
            timeout: load.timeout,
            method_timeout_s: downlink.method_timeout_s,
            pad: "x".repeat(
                load.body_bytes
                    .saturating_sub(r#"{"id":,"pad":""}"#.len() + 16),
            ),
        }
    }

    /// Sends one kind until `pace` ends; gives what is under way then.
    pub(super) async fn run(self: Arc<Self>, kind: Kind, pace: Pace) -> JoinSet<()> {
        let mut under_way = JoinSet::new();
        while let Some(number) = pace.next().await {
            self.send(kind, number, &mut under_way);
            while under_way.try_join_next().is_some() {}
        }
        under_way
    }

    fn send(self: &Arc<Self>, kind: Kind, turn: u64, under_way: &mut JoinSet<()>) {
        // Methods begin in the middle, so that a device does not get both at once each time.
        let turn = match kind {
            Kind::C2d => turn,
            Kind::Method => turn + self.devices / 2,
        };
        let device = turn % self.devices;
        let bad = is_chosen(device, self.bad_share);
        let Ok(id) = DeviceId::parse(&format!("{}{}", self.prefix, device + 1)) else {
            return;
        };
        let [good_client, bad_client] = &self.clients;
        let client = if bad { bad_client } else { good_client };
        let places = match kind {
            Kind::C2d => &client.messages,
            Kind::Method => &client.calls,
        };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            self.reasons
                .count(kind, bad, "not sent: too many under way");
            return;
        };
        let measured = Instant::now() >= self.measured_from;
        let number = self
            .book
            .track(kind)
            .send(self.book.now_us(), measured, bad);
        let sending = Arc::clone(self);
        match kind {
            Kind::C2d => {
                let deadline = Instant::now() + self.timeout;
                // Called here, for the order.
                let sent = client.service.send(&self.message(id, number), deadline);
                under_way.spawn(async move {
                    let sent = sent.await;
                    sending.on_sent(number, bad, sent);
                    drop(place);
                });
            }
            Kind::Method => {
                under_way.spawn(async move {
                    sending.call(id, number, bad).await;
                    drop(place);
                });
            }
        }
    }

    fn message(&self, device: DeviceId, number: u64) -> Message {
        let id = self.book.id(number);
        let body = format!(r#"{{"id":{id},"pad":"{}"}}"#, self.pad);
        Message {
            message_id: Some(id.to_string()),
            content_type: Some("application/json".to_owned()),
            properties: vec![("load".to_owned(), "1".to_owned())],
            ..Message::new(device, Bytes::from(body))
        }
    }

    fn on_sent(&self, number: u64, bad: bool, sent: Result<(), SendFailure>) {
        let fate = match &sent {
            Ok(()) => SenderOutcome::Ok,
            Err(SendFailure::FateUnknown) => SenderOutcome::Unknown,
            Err(_) => SenderOutcome::Failed,
        };
        if let Err(failure) = sent {
            let reason = match &failure {
                SendFailure::Refused(failure) => reason(failure),
                other => other.to_string(),
            };
            self.reasons.count(Kind::C2d, bad, &reason);
        }
        self.book.track(Kind::C2d).end(number, fate, None);
    }

    async fn call(&self, device: DeviceId, number: u64, bad: bool) {
        let payload = method_payload(self.book.id(number));
        let [good_client, bad_client] = &self.clients;
        let client = if bad { bad_client } else { good_client };
        let called = client
            .service
            .call(&Call {
                device,
                method: METHOD.to_owned(),
                payload: RawValue::from_string(payload.clone()).ok(),
                response_timeout_s: self.method_timeout_s,
                connect_timeout_s: 0,
            })
            .await;
        let now = self.book.now_us();
        let fate = match called {
            Ok(answer) if answer.status == 200 => {
                match answer.payload.is_some_and(|answer| answer.get() == payload) {
                    true => SenderOutcome::Ok,
                    false => SenderOutcome::Wrong,
                }
            }
            Ok(answer) => {
                let reason = format!("the device answered {}", answer.status);
                self.reasons.count(Kind::Method, bad, &reason);
                SenderOutcome::Failed
            }
            Err(failure) => {
                self.reasons.count(Kind::Method, bad, &reason(&failure));
                SenderOutcome::Failed
            }
        };
        let answered = (fate == SenderOutcome::Ok).then_some(now);
        self.book.track(Kind::Method).end(number, fate, answered);
    }
}

/// Code and kind: texts differ from one to the next.
fn reason(failure: &Failure) -> String {
    match failure.code {
        Some(code) => format!("{code} {:?}", failure.kind),
        None => format!("{:?}: {}", failure.kind, failure.message),
    }
}
