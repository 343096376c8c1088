//! The control API, as an AMQP client sees what it does.

use std::time::Duration;

use drawspan_amqp::engine::{Event, LinkOptions};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{DeliveryState, Error, condition};
use drawspan_amqp::value::{Map, Value as Amqp};
use drawspan_emulator::Running;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Client, code_in, connect_as, data, device_token, start};
use crate::support::{Answer, ask};

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn fault(running: &Running, fault: Value) -> Answer {
    ask(
        running,
        "POST",
        "/emulator/faults",
        &[JSON],
        &fault.to_string(),
    )
    .await
}

/// Causes a fault, which must be possible.
async fn cause(running: &Running, wanted: Value) -> Value {
    let answer = fault(running, wanted).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn get(running: &Running, target: &str) -> Value {
    let answer = ask(running, "GET", target, &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Asks until `wanted` is true.
async fn eventually(running: &Running, target: &str, wanted: impl Fn(&Value) -> bool) {
    for _ in 0..500 {
        if wanted(&get(running, target).await) {
            return;
        }
    }
    panic!("{target} is still {}", get(running, target).await);
}

/// A client of device `a`, with its link for telemetry.
async fn device(running: &Running) -> (Client, drawspan_amqp::engine::LinkId) {
    let mut client = connect_as(running, &device_token(running, "a")).await;
    let link = client.telemetry("a").await;
    (client, link)
}

fn rejected(state: DeliveryState) -> Error {
    match state {
        DeliveryState::Rejected(Some(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn messages_are_refused_until_the_fault_is_lifted() {
    let running = start(&["a", "b"]).await;
    let (mut client, link) = device(&running).await;
    let body = data("x").to_bytes();
    let refuse = json!({ "kind": "refuse", "operation": "d2c", "device": "a", "code": 429001 });
    assert_eq!(cause(&running, refuse).await["number"], 1);
    let error = rejected(client.deliver(link, 0, &body).await);
    assert_eq!(code_in(&error), 429_001);
    let throttled = "com.microsoft:device-container-throttled";
    assert_eq!(error.condition.as_str(), throttled);
    let mut other = connect_as(&running, &device_token(&running, "b")).await;
    let its = other.telemetry("b").await;
    assert_eq!(other.deliver(its, 0, &body).await, DeliveryState::Accepted);
    let active = get(&running, "/emulator/faults").await;
    assert_eq!(active["faults"][0]["hits"], 1, "{active}");
    let lifted = ask(&running, "DELETE", "/emulator/faults?number=1", &[], "").await;
    assert_eq!(lifted.json()["faults"][0]["number"], 1, "{lifted:?}");
    assert_eq!(
        client.deliver(link, 0, &body).await,
        DeliveryState::Accepted
    );
}

#[tokio::test]
async fn connects_are_refused_as_during_an_upgrade() {
    let running = start(&["a"]).await;
    cause(
        &running,
        json!({ "kind": "refuse", "operation": "connects" }),
    )
    .await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let options = || LinkOptions::sender("t", "/devices/a/messages/events");
    let error = client.attach(options()).await.unwrap_err();
    assert_eq!(code_in(&error), 400_030);
    ask(&running, "DELETE", "/emulator/faults", &[], "").await;
    client.attach(options()).await.unwrap();
    // Who is connected already is not asked again.
    cause(
        &running,
        json!({ "kind": "refuse", "operation": "connects" }),
    )
    .await;
    let more = LinkOptions::sender("u", "/devices/a/twin");
    client.attach(more).await.unwrap();
}

#[tokio::test]
async fn what_is_cut_says_so() {
    let running = start(&["a"]).await;
    let (mut client, link) = device(&running).await;
    let receives = LinkOptions::receiver(
        "r",
        "/devices/a/messages/devicebound",
        drawspan_amqp::engine::Credit::Manual(0),
    );
    let receives = client.attach(receives).await.unwrap();
    let part = json!({ "kind": "detach", "device": "a", "part": "telemetry" });
    assert_eq!(cause(&running, part).await["reached"], 1);
    let error = client.detached(link).await;
    assert_eq!(error.condition, condition::DETACH_FORCED);
    assert_eq!(code_in(&error), 400_029);
    client.settle_down().await;
    assert!(client.connection.session_of(receives).is_some());

    cause(&running, json!({ "kind": "steal", "device": "a" })).await;
    let error = client.detached(receives).await;
    assert_eq!(code_in(&error), 409_002);

    client.telemetry("a").await;
    let session = json!({ "kind": "drop", "device": "a", "how": "session" });
    cause(&running, session).await;
    let ended = |event: &Event| matches!(event, Event::SessionEnded { .. }).then_some(());
    client.next(ended).await;

    let (mut client, _) = device(&running).await;
    let connection = json!({ "kind": "drop", "device": "a", "how": "connection" });
    cause(&running, connection).await;
    let error = client.closed().await;
    assert_eq!(error.condition, condition::CONNECTION_FORCED);
    assert_eq!(code_in(&error), 400_029);

    let _client = device(&running).await;
    cause(&running, json!({ "kind": "drop" })).await;
    let gone = |list: &Value| list["connections"].as_array().unwrap().is_empty();
    eventually(&running, "/emulator/connections", gone).await;
    let answer = fault(&running, json!({ "kind": "steal", "device": "a" })).await;
    assert_eq!(answer.status, 409, "{answer:?}");
}

#[tokio::test]
async fn a_device_is_stalled_and_goes_on() {
    let running = start(&["a"]).await;
    let (mut client, link) = device(&running).await;
    cause(&running, json!({ "kind": "stall", "device": "a" })).await;
    client.settle_down().await;
    assert!(!client.connection.has_room(link));
    ask(&running, "DELETE", "/emulator/faults", &[], "").await;
    let body = data("x").to_bytes();
    assert_eq!(
        client.deliver(link, 0, &body).await,
        DeliveryState::Accepted
    );
}

#[tokio::test]
async fn a_slow_hub_answers_later() {
    let running = start(&["a"]).await;
    let (mut client, link) = device(&running).await;
    let slow = json!({ "kind": "slow", "operation": "d2c", "delayMs": 200 });
    cause(&running, slow).await;
    let begun = Instant::now();
    let body = data("x").to_bytes();
    assert_eq!(
        client.deliver(link, 0, &body).await,
        DeliveryState::Accepted
    );
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let slow = json!({ "kind": "slow", "operation": "service", "delayMs": 200 });
    cause(&running, slow).await;
    let begun = Instant::now();
    get(&running, "/devices/a").await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let wrong = json!({ "kind": "slow", "operation": "connects", "delayMs": 1 });
    assert_eq!(fault(&running, wrong).await.status, 400);
}

#[tokio::test]
async fn services_are_refused_by_their_codes() {
    let running = start(&["a"]).await;
    let refuse = json!({ "kind": "refuse", "operation": "service", "code": 500001 });
    cause(&running, refuse).await;
    let answer = ask(&running, "GET", "/devices/a", &[], "").await;
    assert_eq!(answer.header("iothub-errorcode"), Some("ServerError"));
    // The control API itself is not.
    get(&running, "/emulator/faults").await;
}

/// A message that asks for a fault, as Node's suite writes it.
fn asking_for(kind: &str) -> Vec<u8> {
    let mut own = Map::new();
    own.push("AzIoTHub_FaultOperationType", kind);
    own.push("AzIoTHub_FaultOperationCloseReason", " boom ");
    own.push("AzIoTHub_FaultOperationDelayInSecs", Amqp::Int(0));
    own.push("AzIoTHub_FaultOperationDurationInSecs", Amqp::Int(600));
    let message = Message {
        application_properties: Some(own),
        ..data("")
    };
    message.to_bytes().to_vec()
}

#[tokio::test]
async fn devices_ask_for_faults_by_properties() {
    let running = start(&["a"]).await;
    let body = data("x").to_bytes();
    for (kind, expected) in [
        (
            "InvokeThrottling",
            "com.microsoft:device-container-throttled",
        ),
        ("InvokeMaxMessageQuota", "amqp:resource-limit-exceeded"),
        ("InvokeAuthError", "amqp:unauthorized-access"),
    ] {
        let (mut client, link) = device(&running).await;
        let state = client.deliver(link, 0, &asking_for(kind)).await;
        assert_eq!(state, DeliveryState::Accepted, "{kind}");
        let active = |list: &Value| !list["faults"].as_array().unwrap().is_empty();
        eventually(&running, "/emulator/faults", active).await;
        let error = rejected(client.deliver(link, 0, &body).await);
        assert_eq!(error.condition.as_str(), expected, "{kind}");
        ask(&running, "DELETE", "/emulator/faults", &[], "").await;
        assert_eq!(
            client.deliver(link, 0, &body).await,
            DeliveryState::Accepted
        );
    }
    let (mut first, link) = device(&running).await;
    first
        .send(link, 0, &asking_for("KillAmqpD2CLink"), false)
        .await;
    assert_eq!(code_in(&first.detached(link).await), 400_029);
    for kind in ["KillTcp", "KillAmqpConnection", "ShutDownAmqp"] {
        let (mut client, link) = device(&running).await;
        client.send(link, 0, &asking_for(kind), false).await;
        let closed = |event: &Event| matches!(event, Event::Closed(_)).then_some(());
        client.next(closed).await;
    }
    drop(first);
    let gone = |list: &Value| list["connections"].as_array().unwrap().is_empty();
    eventually(&running, "/emulator/connections", gone).await;
}

#[tokio::test]
async fn what_is_connected_is_seen() {
    let running = start(&["a"]).await;
    let (mut client, link) = device(&running).await;
    let list = get(&running, "/emulator/connections?device=a").await;
    let line = &list["connections"][0];
    assert_eq!(line["protocol"], "amqps", "{list}");
    assert_eq!(line["clients"][0]["client"], "a", "{list}");
    assert_eq!(line["hub"], "contoso.test");
    let links = get(&running, "/emulator/links?device=a").await;
    assert_eq!(links["links"][0]["link"], "Telemetry", "{links}");
    assert!(links["links"][0]["credit"].as_u64().unwrap() > 0, "{links}");
    let tokens = get(&running, "/emulator/tokens").await;
    assert_eq!(tokens["tokens"][0]["client"], "a", "{tokens}");
    assert!(!tokens.to_string().contains("sig"), "{tokens}");
    let frames = get(&running, "/emulator/frames/a").await;
    assert_eq!(frames["frames"].as_array().unwrap().len(), 0);
    let body = data("secret").to_bytes();
    assert_eq!(
        client.deliver(link, 0, &body).await,
        DeliveryState::Accepted
    );
    let frames = get(&running, "/emulator/frames/a").await.to_string();
    assert!(frames.contains("transfer handle="), "{frames}");
    assert!(frames.contains("disposition role=receiver"), "{frames}");
    assert!(!frames.contains("secret"), "{frames}");
    let counters = get(&running, "/emulator/counters").await;
    assert_eq!(counters["counters"]["deviceConnected"], 1, "{counters}");
    assert_eq!(counters["counters"]["telemetryAccepted"], 1, "{counters}");
}
