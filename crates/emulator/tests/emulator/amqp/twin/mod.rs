//! Twins: what devices hear over AMQP, and when.

mod news;
mod refusals;

use drawspan_amqp::engine::{Credit, LinkId, LinkOptions, SessionId};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::SenderSettleMode;
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator::Running;
use serde_json::{Value as Json, json};

use super::client::{Client, body_of, code_in, connect_as, device_token, owner, start};
use crate::support::ask;

const REPORTED: &str = "/properties/reported";
const DESIRED: &str = "/notifications/twin/properties/desired";

/// A device's pair of links, and a number for its requests.
pub(super) struct Twin {
    requests: LinkId,
    answers: LinkId,
    asked: u32,
}

/// What a device hears.
#[derive(Debug)]
pub(super) struct Heard {
    status: i32,
    version: Option<i64>,
    body: Json,
}

impl Twin {
    pub(super) async fn attach(client: &mut Client, session: SessionId, id: &str) -> Self {
        Self {
            requests: client.attach_on(session, requests(id)).await.unwrap(),
            answers: client.attach_on(session, answers(id)).await.unwrap(),
            asked: 0,
        }
    }

    /// Sends a request as Node and C do: settled, a space where there is no body.
    async fn send(
        &mut self,
        client: &mut Client,
        operation: &str,
        resource: &str,
        body: &str,
    ) -> MessageId {
        self.asked += 1;
        let id = MessageId::String(format!("{operation}-{}", self.asked));
        let message = request(Some(id.clone()), operation, resource, body);
        client
            .send(self.requests, 0, &message.to_bytes(), true)
            .await;
        id
    }

    async fn ask(
        &mut self,
        client: &mut Client,
        operation: &str,
        resource: &str,
        body: &str,
    ) -> Heard {
        let id = self.send(client, operation, resource, body).await;
        self.answer(client, &id).await
    }

    async fn answer(&self, client: &mut Client, to: &MessageId) -> Heard {
        let message = client.receive(self.answers).await;
        let id = message
            .properties
            .as_ref()
            .and_then(|p| p.correlation_id.clone());
        assert_eq!(id.as_ref(), Some(to), "{message:?}");
        heard(&message)
    }

    pub(super) async fn report(&mut self, client: &mut Client, patch: Json) -> Heard {
        self.ask(client, "PATCH", REPORTED, &patch.to_string())
            .await
    }

    /// Reports if the reported properties have this version.
    async fn report_version(&mut self, client: &mut Client, version: Value, patch: Json) -> Heard {
        self.asked += 1;
        let id = MessageId::String(format!("version-{}", self.asked));
        let mut message = request(Some(id.clone()), "PATCH", REPORTED, &patch.to_string());
        let annotations = message.message_annotations.as_mut().unwrap();
        let name = Value::Symbol(Symbol::from_static("version"));
        annotations.0.push((name, version));
        client
            .send(self.requests, 0, &message.to_bytes(), true)
            .await;
        self.answer(client, &id).await
    }

    /// The next news of desired properties.
    async fn news(&self, client: &mut Client) -> Json {
        let message = client.receive(self.answers).await;
        assert_eq!(message.properties, None, "no correlation id: {message:?}");
        assert_eq!(message.message_annotations, None);
        serde_json::from_str(&body_of(&message)).unwrap()
    }
}

fn requests(id: &str) -> LinkOptions {
    let mut options = LinkOptions::sender("TwinSenderLink", format!("/devices/{id}/twin"));
    options.snd_settle_mode = SenderSettleMode::Settled;
    options
}

fn answers(id: &str) -> LinkOptions {
    let address = format!("/devices/{id}/twin");
    LinkOptions::receiver(format!("TwinReceiverLink-{id}"), address, Credit::Auto(10))
}

fn request(id: Option<MessageId>, operation: &str, resource: &str, body: &str) -> Message {
    let annotation = |name, value| (Value::Symbol(Symbol::from_static(name)), Value::from(value));
    let mut annotations = vec![annotation("operation", operation)];
    if !resource.is_empty() {
        annotations.push(annotation("resource", resource));
    }
    Message {
        message_annotations: Some(Map(annotations)),
        properties: Some(Properties {
            correlation_id: id,
            ..Properties::default()
        }),
        ..Message::from_data(body.as_bytes().to_vec())
    }
}

fn heard(message: &Message) -> Heard {
    let annotations = message.message_annotations.as_ref().unwrap();
    let Some(Value::Int(status)) = annotations.get("status") else {
        panic!("status is no int: {message:?}");
    };
    let version = annotations.get("version").map(|version| match version {
        Value::Long(version) => *version,
        other => panic!("version is no long: {other:?}"),
    });
    let body = match &message.body {
        Body::Empty => Json::Null,
        _ => serde_json::from_str(&body_of(message)).unwrap(),
    };
    Heard {
        status: *status,
        version,
        body,
    }
}

async fn desire(running: &Running, id: &str, desired: Json) {
    let body = json!({ "properties": { "desired": desired } }).to_string();
    let answer = ask(running, "PATCH", &format!("/twins/{id}"), &[], &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn a_device_reads_and_reports() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    let read = twin.ask(&mut client, "GET", "", " ").await;
    let empty = json!({ "$version": 1 });
    assert_eq!((read.status, read.version), (200, None));
    assert_eq!(read.body, json!({ "desired": empty, "reported": empty }));

    let done = twin
        .report(&mut client, json!({ "a": 1, "b": { "c": 2, "d": 3 } }))
        .await;
    assert_eq!(
        (done.status, done.version, done.body),
        (204, Some(2), Json::Null)
    );
    let done = twin
        .report(&mut client, json!({ "a": null, "b": { "c": null } }))
        .await;
    assert_eq!((done.status, done.version), (204, Some(3)));
    let read = twin.ask(&mut client, "GET", "", "").await;
    assert_eq!(
        read.body["reported"],
        json!({ "b": { "d": 3 }, "$version": 3 })
    );
    assert_eq!(
        client.arrived(twin.answers).len(),
        0,
        "no news of one's own doing"
    );

    let seen = ask(&running, "GET", "/twins/a", &[], "").await.json();
    assert_eq!(seen["properties"]["reported"]["b"], json!({ "d": 3 }));
    assert_eq!(seen["connectionState"], "Connected");
}

#[tokio::test]
async fn many_requests_at_once_are_answered_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let running = super::client::start_with(&["a"], |config| {
        config.state = Some(folder.path().into());
    })
    .await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    let mut sent = Vec::new();
    for number in 0..500 {
        let patch = json!({ "n": number }).to_string();
        sent.push(twin.send(&mut client, "PATCH", REPORTED, &patch).await);
        sent.push(twin.send(&mut client, "GET", "", " ").await);
    }
    for (number, ids) in sent.chunks(2).enumerate() {
        let done = twin.answer(&mut client, &ids[0]).await;
        assert_eq!((done.status, done.version), (204, Some(number as i64 + 2)));
        let read = twin.answer(&mut client, &ids[1]).await;
        assert_eq!(read.body["reported"]["n"], number);
    }
}

#[tokio::test]
async fn devices_of_one_connection_have_twins_of_their_own() {
    let running = start(&["a", "b", "c"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let (first, second) = (client.session, client.begin());
    // Links of two devices on one session need unique names, which C gives them.
    let mut a = Twin::attach(&mut client, second, "a").await;
    let mut b = Twin::attach(&mut client, first, "b").await;
    a.ask(&mut client, "PUT", DESIRED, " ").await;
    b.report(&mut client, json!({ "of": "b" })).await;
    a.report(&mut client, json!({ "of": "a" })).await;
    desire(&running, "b", json!({ "for": "b" })).await;
    desire(&running, "c", json!({ "for": "c" })).await;
    desire(&running, "a", json!({ "for": "a" })).await;
    assert_eq!(a.news(&mut client).await["for"], "a");
    let read = b.ask(&mut client, "GET", "", " ").await;
    assert_eq!(
        read.body["desired"]["for"], "b",
        "and no news: b did not ask for them"
    );
    assert_eq!(read.body["reported"]["of"], "b");
    client.detach(b.answers);
    let read = a.ask(&mut client, "GET", "", " ").await;
    assert_eq!(read.body["reported"]["of"], "a", "a is none the worse");
}

#[tokio::test]
async fn another_connection_takes_both_links() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let twin = Twin::attach(&mut client, session, "a").await;
    let mut other = connect_as(&running, &device_token(&running, "a")).await;
    let session = other.session;
    let mut newer = Twin::attach(&mut other, session, "a").await;
    for link in [twin.requests, twin.answers] {
        let error = client.detached(link).await;
        assert_eq!(
            (error.condition.as_str(), code_in(&error)),
            ("amqp:link:stolen", 409_002)
        );
    }
    newer.ask(&mut other, "PUT", DESIRED, " ").await;
    desire(&running, "a", json!({ "n": 1 })).await;
    assert_eq!(newer.news(&mut other).await["n"], 1);
}
