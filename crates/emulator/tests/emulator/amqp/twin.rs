//! Twins: what devices hear over AMQP, and when.

use std::future::Future as _;

use drawspan_amqp::engine::{Credit, LinkId, LinkOptions, SessionId};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{DeliveryState, SenderSettleMode};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator::Running;
use serde_json::{Value as Json, json};

use super::client::{Client, body_of, code_in, connect_as, device_token, owner, start};
use crate::support::ask;

const REPORTED: &str = "/properties/reported";
const DESIRED: &str = "/notifications/twin/properties/desired";

/// A device's pair of links, and a number for its requests.
struct Twin {
    requests: LinkId,
    answers: LinkId,
    asked: u32,
}

/// What a device hears.
#[derive(Debug)]
struct Heard {
    status: i32,
    version: Option<i64>,
    body: Json,
}

impl Twin {
    async fn attach(client: &mut Client, session: SessionId, id: &str) -> Self {
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

    async fn report(&mut self, client: &mut Client, patch: Json) -> Heard {
        self.ask(client, "PATCH", REPORTED, &patch.to_string())
            .await
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
async fn only_who_asked_for_news_gets_them() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    desire(&running, "a", json!({ "n": 1 })).await;
    let read = twin.ask(&mut client, "GET", "", " ").await;
    assert_eq!(
        read.body["desired"],
        json!({ "n": 1, "$version": 2 }),
        "and no news before it"
    );

    let wanted = twin.ask(&mut client, "PUT", DESIRED, " ").await;
    assert_eq!(
        (wanted.status, wanted.version, wanted.body),
        (200, None, Json::Null)
    );
    let again = twin.ask(&mut client, "PUT", DESIRED, "").await;
    assert_eq!(again.status, 200, "C# asks again before each request");
    for n in 2..5 {
        desire(&running, "a", json!({ "n": n, "gone": null })).await;
    }
    for n in 2..5 {
        let news = twin.news(&mut client).await;
        assert_eq!(news, json!({ "n": n, "gone": null, "$version": n + 1 }));
    }
    let tags = ask(&running, "PATCH", "/twins/a", &[], r#"{"tags":{"t":1}}"#).await;
    assert_eq!(tags.status, 200);
    let put = ask(
        &running,
        "PUT",
        "/twins/a",
        &[],
        r#"{"properties":{"desired":{"m":1}}}"#,
    )
    .await;
    assert_eq!(put.status, 200);
    let news = twin.news(&mut client).await;
    assert_eq!(
        news,
        json!({ "m": 1, "n": null, "$version": 6 }),
        "tags are no news"
    );

    let unwanted = twin.ask(&mut client, "DELETE", DESIRED, " ").await;
    assert_eq!(unwanted.status, 200);
    desire(&running, "a", json!({ "n": 6 })).await;
    let read = twin.ask(&mut client, "GET", "", " ").await;
    assert_eq!(read.body["desired"]["n"], 6, "and no news before it");
}

#[tokio::test]
async fn a_new_pair_of_links_must_ask_for_news_again() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    twin.ask(&mut client, "PUT", DESIRED, " ").await;
    client.detach(twin.requests);
    client.detach(twin.answers);
    client.settle_down().await;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    desire(&running, "a", json!({ "n": 1 })).await;
    assert_eq!(
        twin.ask(&mut client, "GET", "", " ").await.body["desired"]["n"],
        1
    );
}

#[tokio::test]
async fn devices_of_one_connection_have_twins_of_their_own() {
    let running = start(&["a", "b", "c"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let (first, second) = (client.session, client.begin());
    // Links of two devices on one session need names of their own, which C gives them.
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

#[tokio::test]
async fn a_device_that_may_not_has_no_twin() {
    let running = start(&["a", "b"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let error = client.attach(answers("b")).await.unwrap_err();
    assert_eq!(error.condition.as_str(), "amqp:unauthorized-access");
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    twin.report(&mut client, json!({ "of": "the first" })).await;
    let body = r#"{"deviceId":"a","status":"disabled"}"#;
    ask(&running, "PUT", "/devices/a", &[("If-Match", "*")], body).await;
    for link in [twin.requests, twin.answers] {
        let error = client.detached(link).await;
        assert_eq!(
            (error.condition.as_str(), code_in(&error)),
            ("amqp:unauthorized-access", 403_012)
        );
    }
    assert_eq!(
        ask(&running, "DELETE", "/devices/a", &[], "").await.status,
        204
    );
    assert_eq!(
        ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"a"}"#)
            .await
            .status,
        200
    );
    let fresh = ask(&running, "GET", "/twins/a", &[], "").await.json();
    assert_eq!(
        fresh["properties"]["reported"].get("of"),
        None,
        "another device of that name"
    );
}

#[tokio::test]
async fn bad_requests_are_answered_with_json() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    for (operation, resource, body, status, code) in [
        ("PATCH", REPORTED, "{", 400, 400_006),
        ("PATCH", REPORTED, "", 400, 400_006),
        ("PATCH", REPORTED, "[1]", 400, 400_004),
        ("PATCH", REPORTED, r#"{"$version":1}"#, 400, 400_004),
        ("PATCH", REPORTED, r#"{"a.b":1}"#, 400, 400_004),
        ("PATCH", "/properties/desired", "{}", 400, 400_003),
        ("PATCH", "", "{}", 400, 400_003),
        ("PUT", REPORTED, "{}", 400, 400_003),
        ("GET", DESIRED, " ", 400, 400_003),
        ("POST", "", " ", 400, 400_003),
        ("", "", " ", 400, 400_003),
    ] {
        let heard = twin.ask(&mut client, operation, resource, body).await;
        let what = format!("{operation} {resource} {body}");
        assert_eq!((heard.status, heard.version), (status, None), "{what}");
        assert_eq!(heard.body["errorCode"], code, "{what}");
    }
    let large: String = (0..9)
        .map(|n| format!(r#""{n}":"{}","#, "x".repeat(4_000)))
        .collect();
    let heard = twin
        .ask(
            &mut client,
            "PATCH",
            REPORTED,
            &format!("{{{large}\"z\":1}}"),
        )
        .await;
    assert_eq!(
        (heard.status, &heard.body["errorCode"]),
        (400, &json!(400_004))
    );
    let read = twin.ask(&mut client, "GET", "", " ").await;
    assert_eq!(
        read.body["reported"],
        json!({ "$version": 1 }),
        "nothing else happened"
    );
}

#[tokio::test]
async fn requests_that_cannot_be_answered_are_rejected() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let mut options = requests("a");
    options.snd_settle_mode = SenderSettleMode::Mixed;
    let link = client.attach(options).await.unwrap();
    let patch = request(Some("x".into()), "PATCH", REPORTED, r#"{"a":1}"#).to_bytes();
    let rejected = |state: DeliveryState| match state {
        DeliveryState::Rejected(Some(error)) => error.condition.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    // Out of order: nowhere to answer.
    let state = client.deliver(link, 0, &patch).await;
    assert_eq!(rejected(state), "amqp:not-allowed");
    let other_session = client.begin();
    client.attach_on(other_session, answers("a")).await.unwrap();
    let state = client.deliver(link, 0, &patch).await;
    assert_eq!(
        rejected(state),
        "amqp:not-allowed",
        "a pair is on one session"
    );
    client.attach(answers("a")).await.unwrap();
    let nameless = request(None, "PATCH", REPORTED, r#"{"a":1}"#).to_bytes();
    let state = client.deliver(link, 0, &nameless).await;
    assert_eq!(rejected(state), "amqp:invalid-field");
    let state = client.deliver(link, 0, b"no message").await;
    assert_eq!(rejected(state), "amqp:decode-error");
    let seen = ask(&running, "GET", "/twins/a", &[], "").await.json();
    assert_eq!(
        seen["properties"]["reported"]["$version"], 1,
        "nothing happened"
    );
    assert_eq!(
        client.deliver(link, 0, &patch).await,
        DeliveryState::Accepted
    );
}

#[tokio::test]
async fn requests_that_are_too_large_are_refused_even_when_settled() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    client.heed_no_size();
    let session = client.session;
    let mut twin = Twin::attach(&mut client, session, "a").await;
    twin.send(&mut client, "PATCH", REPORTED, &" ".repeat(300 * 1024))
        .await;
    let error = client.detached(twin.requests).await;
    assert_eq!(error.condition.as_str(), "amqp:link:message-size-exceeded");
}

#[tokio::test]
async fn answers_wait_for_credit() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let mut options = answers("a");
    options.credit = Credit::Manual(0);
    let link = client.attach(options).await.unwrap();
    let mut twin = Twin {
        requests: client.attach(requests("a")).await.unwrap(),
        answers: link,
        asked: 0,
    };
    let put = twin.send(&mut client, "PUT", DESIRED, " ").await;
    let patch = twin
        .send(&mut client, "PATCH", REPORTED, r#"{"a":1}"#)
        .await;
    client.settle_down().await;
    desire(&running, "a", json!({ "n": 1 })).await;
    client.settle_down().await;
    assert_eq!(client.arrived(link).len(), 0);
    client.grant(link, 3);
    assert_eq!(twin.answer(&mut client, &put).await.status, 200);
    assert_eq!(twin.answer(&mut client, &patch).await.status, 204);
    assert_eq!(twin.news(&mut client).await["n"], 1);
}

#[tokio::test]
async fn a_device_that_takes_no_answers_must_start_again() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let mut options = answers("a");
    options.credit = Credit::Manual(0);
    let link = client.attach(options).await.unwrap();
    let mut twin = Twin {
        requests: client.attach(requests("a")).await.unwrap(),
        answers: link,
        asked: 0,
    };
    for _ in 0..=drawspan_emulator::limits::ANSWERS_MAX {
        twin.send(&mut client, "GET", "", " ").await;
    }
    let error = client.detached(link).await;
    assert_eq!(error.condition.as_str(), "amqp:link:detach-forced");
}

#[tokio::test]
async fn news_come_in_the_order_of_versions() {
    let folder = tempfile::tempdir().unwrap();
    for state in [None, Some(folder.path().to_path_buf())] {
        let running = super::client::start_with(&["a"], |config| config.state = state).await;
        let mut client = connect_as(&running, &device_token(&running, "a")).await;
        let session = client.session;
        let mut twin = Twin::attach(&mut client, session, "a").await;
        twin.ask(&mut client, "PUT", DESIRED, " ").await;
        let mut changes: Vec<_> = (0..20)
            .map(|n| Box::pin(desire(&running, "a", json!({ "n": n }))))
            .collect();
        // All at once, from as many connections.
        std::future::poll_fn(|context| {
            changes.retain_mut(|change| change.as_mut().poll(context).is_pending());
            match changes.is_empty() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
        let mut last = Json::Null;
        for version in 2..22 {
            last = twin.news(&mut client).await;
            assert_eq!(last["$version"], version);
        }
        let read = twin.ask(&mut client, "GET", "", " ").await;
        assert_eq!(read.body["desired"], last);
    }
}
