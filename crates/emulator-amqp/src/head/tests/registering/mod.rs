//! Devices that register at DPS.

mod refusals;

use std::sync::Arc;

use bytes::Bytes;
use drawspan_amqp::engine::{ClientSasl, Credit, Event, LinkId, LinkOptions, Outgoing};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag, Error};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator_hub::test_hub::{SCOPE, registration_token};
use drawspan_hub::DeviceId;
use serde_json::Value as Json;

use super::{DPS, HUB, Pair, Shared, hub, shared};

const REGISTER: &str = "iotdps-register";
const STATUS: &str = "iotdps-get-operationstatus";

struct Device {
    pair: Pair,
    requests: LinkId,
    answers: LinkId,
    tags: u32,
}

/// What reaches a device.
#[derive(Debug)]
enum Heard {
    Outcome(u64, DeliveryState),
    Answer(Box<Message>),
}

fn plain(user: &str, token: &str) -> Option<ClientSasl> {
    Some(ClientSasl {
        mechanism: Symbol::from_static("PLAIN"),
        initial_response: Some(format!("\0{user}\0{token}").into()),
    })
}

fn address(id: &str) -> String {
    format!("{SCOPE}/registrations/{id}")
}

/// A connection of device `id` that has come as far as `open`.
fn opened(shared: &Arc<Shared>, hostname: &str, id: &str) -> Pair {
    let token = registration_token(id, 5, 600);
    Pair::open(shared, hostname, plain(&address(id), &token))
}

fn with_version(mut options: LinkOptions, api_version: &str) -> LinkOptions {
    let entry = (
        Value::Symbol(Symbol::from_static("com.microsoft:api-version")),
        Value::from(api_version),
    );
    options.properties = Some(Map(vec![entry]));
    options
}

/// The device `a`, ready to register.
fn device(shared: &Arc<Shared>) -> Device {
    attached(opened(shared, DPS, "a"), &address("a"), "2019-03-31")
}

fn attached(mut pair: Pair, address: &str, api_version: &str) -> Device {
    let session = pair.client.begin().unwrap();
    let options = LinkOptions::receiver("answers", address, Credit::Auto(100));
    let answers = with_version(options, api_version);
    let answers = pair.client.attach(session, answers).unwrap();
    let requests = with_version(LinkOptions::sender("requests", address), api_version);
    let requests = pair.client.attach(session, requests).unwrap();
    pair.run();
    for link in [answers, requests] {
        let is_it =
            |event: &Event| matches!(event, Event::Attached { link: of, .. } if *of == link);
        assert!(pair.events.iter().any(is_it), "{:?}", pair.events);
    }
    pair.events.clear();
    Device {
        pair,
        requests,
        answers,
        tags: 0,
    }
}

fn request(operation: &str, id: Option<&str>, correlation_id: Option<&str>, body: &str) -> Message {
    let mut properties = Map(vec![(
        Value::from("iotdps-operation-type"),
        Value::from(operation),
    )]);
    if let Some(id) = id {
        properties.push("iotdps-operation-id", id);
    }
    properties.push("iotdps-forceRegistration", true);
    Message {
        properties: correlation_id.map(|id| Properties {
            correlation_id: Some(MessageId::String(id.into())),
            ..Properties::default()
        }),
        application_properties: Some(properties),
        body: Body::Data(vec![Bytes::copy_from_slice(body.as_bytes())]),
        ..Message::default()
    }
}

impl Device {
    /// Sends without having the emulator take anything in; returns the context of the outcome.
    fn send_over(&mut self, link: LinkId, message: &Message, settled: bool) -> u64 {
        self.tags += 1;
        let outgoing = Outgoing {
            tag: DeliveryTag::from_u32(self.tags),
            message_format: 0,
            settled,
            context: self.tags.into(),
            payload: &message.to_bytes(),
        };
        self.pair.client.send(link, &outgoing).unwrap();
        self.tags.into()
    }

    fn send(&mut self, message: &Message) -> u64 {
        self.send_over(self.requests, message, false)
    }

    /// What the device hears, `count` things of it, once the service is done.
    async fn hear(&mut self, count: usize) -> Vec<Heard> {
        let mut heard = Vec::new();
        for _ in 0..1_000 {
            self.pair.run();
            for event in self.pair.events.drain(..) {
                match event {
                    Event::Outcome { context, state, .. } => {
                        heard.push(Heard::Outcome(context, state.unwrap()));
                    }
                    Event::Delivery { link, payload, .. } if link == self.answers => {
                        heard.push(Heard::Answer(Box::new(Message::decode(&payload).unwrap())));
                    }
                    Event::Credit { .. } | Event::Room { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            if heard.len() >= count {
                break;
            }
            tokio::task::yield_now().await;
            let end = &mut self.pair.end;
            end.head.look(&mut end.connection, end.now);
        }
        assert_eq!(heard.len(), count, "{heard:?}");
        heard
    }

    /// The answer to a request, which must have been accepted before.
    async fn ask(&mut self, message: &Message) -> Message {
        let context = self.send(message);
        let mut heard = self.hear(2).await.into_iter();
        match (heard.next(), heard.next()) {
            (Some(Heard::Outcome(of, DeliveryState::Accepted)), Some(Heard::Answer(answer))) => {
                assert_eq!(of, context);
                *answer
            }
            other => panic!("{other:?}"),
        }
    }

    /// Why a request is refused.
    async fn refused(&mut self, message: &Message) -> Error {
        self.send(message);
        match self.hear(1).await.pop() {
            Some(Heard::Outcome(_, DeliveryState::Rejected(Some(error)))) => error,
            other => panic!("{other:?}"),
        }
    }
}

/// All that a device sends that registers and asks after it.
pub(super) async fn sent(shared: &Arc<Shared>) -> Vec<u8> {
    let mut device = device(shared);
    device.ask(&request(REGISTER, None, Some("1"), "{}")).await;
    let status = request(STATUS, Some("4.x"), Some("2"), "");
    device.refused(&status).await;
    device.pair.sent
}

fn json(message: &Message) -> Json {
    let Body::Data(parts) = &message.body else {
        panic!("{message:?}");
    };
    serde_json::from_slice(&parts.concat()).unwrap()
}

fn correlation(message: &Message) -> Option<String> {
    match message.properties.clone()?.correlation_id? {
        MessageId::String(id) => Some(id),
        other => panic!("{other:?}"),
    }
}

fn code(error: &Error) -> u64 {
    let body: Json = serde_json::from_str(error.description.as_deref().unwrap()).unwrap();
    assert!(
        body["trackingId"].is_string() && body["message"].is_string(),
        "{body}"
    );
    body["errorCode"].as_u64().unwrap()
}

/// How long to wait, which both spellings say.
fn wait_s(map: &Map) -> i32 {
    let [one, other] = ["Retry-After", "retry-after"].map(|name| map.get(name).cloned());
    assert_eq!(one, other);
    match one {
        Some(Value::Int(wait)) => wait,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_device_registers_and_asks_for_its_hub() {
    let hub = hub(&[]);
    let shared = shared(&hub);
    let full = [DPS, HUB].map(|host| format!("amqps://{host}:5671/{SCOPE}/registrations/a"));
    for (hostname, address) in [
        (DPS, address("a")),
        (HUB, address("A")),
        (DPS, full[0].clone()),
        (HUB, full[1].clone()),
    ] {
        let mut device = attached(opened(&shared, hostname, "a"), &address, "2021-06-01");
        let body = r#"{"registrationId":"a","payload":{"modelId":"dtmi:a;1"}}"#;
        let answer = device
            .ask(&request(REGISTER, None, Some("one"), body))
            .await;
        assert_eq!(correlation(&answer).as_deref(), Some("one"));
        assert_eq!(wait_s(answer.application_properties.as_ref().unwrap()), 3);
        let answer = json(&answer);
        assert_eq!(answer["status"], "assigning");
        let operation = answer["operationId"].as_str().unwrap();
        let answer = device
            .ask(&request(STATUS, Some(operation), Some("two"), ""))
            .await;
        assert_eq!(correlation(&answer).as_deref(), Some("two"));
        let answer = json(&answer);
        assert_eq!(answer["status"], "assigned");
        let state = &answer["registrationState"];
        assert_eq!(state["assignedHub"], HUB);
        assert_eq!(state["deviceId"], "a");
        assert_eq!(state.get("connectionProfile"), None);
    }
    assert!(hub.enabled_device(&DeviceId::parse("a").unwrap()).is_ok());
}

#[tokio::test]
async fn a_client_without_correlation_ids_gets_its_answers_in_order() {
    let mut device = device(&shared(&hub(&[])));
    let first = json(&device.ask(&request(REGISTER, None, None, "")).await);
    let operation = first["operationId"].as_str().unwrap();
    // Two at once, of which the second could be answered at once.
    device.send(&request(REGISTER, None, None, r#"{"registrationId":"A"}"#));
    device.send(&request(STATUS, Some(operation), None, "{}"));
    let heard = device.hear(3).await;
    // The first operation was replaced before its status was asked for.
    match &heard[..] {
        [
            Heard::Outcome(2, DeliveryState::Accepted),
            Heard::Answer(answer),
            Heard::Outcome(3, DeliveryState::Rejected(Some(error))),
        ] => {
            assert_eq!((correlation(answer), code(error)), (None, 404_201));
            let answer = json(answer);
            assert_eq!(answer["status"], "assigning");
            assert_ne!(answer["operationId"], operation);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn two_registrations_at_once_are_both_answered() {
    let mut device = device(&shared(&hub(&[])));
    for id in ["one", "two"] {
        device.send(&request(REGISTER, None, Some(id), "{}"));
    }
    let heard = device.hear(4).await;
    let answers = heard.iter().filter_map(|heard| match heard {
        Heard::Answer(answer) => correlation(answer),
        Heard::Outcome(..) => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), ["one", "two"]);
}

#[tokio::test]
async fn newer_api_versions_are_told_the_connection_profile() {
    let shared = shared(&hub(&[]));
    let mut device = attached(
        opened(&shared, DPS, "a"),
        &address("a"),
        "2026-11-02-preview",
    );
    let first = json(&device.ask(&request(REGISTER, None, None, "{}")).await);
    let operation = first["operationId"].as_str().unwrap();
    let answer = json(
        &device
            .ask(&request(STATUS, Some(operation), None, ""))
            .await,
    );
    assert_eq!(answer["registrationState"]["connectionProfile"], "classic");
}

#[tokio::test]
async fn a_registration_outlives_the_link_that_asked_for_it() {
    let hub = hub(&[]);
    let mut device = device(&shared(&hub));
    device.send(&request(REGISTER, None, None, "{}"));
    device.pair.run();
    for link in [device.requests, device.answers] {
        device.pair.client.detach(link, true, None).unwrap();
    }
    device.pair.run();
    let id = DeviceId::parse("a").unwrap();
    for _ in 0..1_000 {
        if hub.enabled_device(&id).is_ok() {
            break;
        }
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
    let end = &mut device.pair.end;
    end.head.look(&mut end.connection, end.now);
    device.pair.run();
    assert!(hub.enabled_device(&id).is_ok());
    assert_eq!(device.pair.end.closed, None);
}
