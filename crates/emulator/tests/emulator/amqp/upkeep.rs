//! What happens to links and connections from outside: other connections, the registry, time, the end.

use drawspan_amqp::engine::LinkOptions;
use drawspan_amqp::performative::DeliveryState;
use drawspan_emulator::Running;
use serde_json::Value;

use super::client::{
    Client, code_in, connect_as, data, device, device_token, hub, owner, reader, start, stored,
};
use crate::support::{ask, set_status};

async fn state(running: &Running, id: &str) -> Value {
    let answer = ask(running, "GET", &format!("/devices/{id}"), &[], "").await;
    answer.json()["connectionState"].clone()
}

/// Asks until the registry says so; the emulator takes note of a connection's end when it sees it.
async fn state_becomes(running: &Running, id: &str, expected: &str) {
    for _ in 0..500 {
        if state(running, id).await == expected {
            return;
        }
    }
    panic!("{id} does not become {expected}");
}

#[tokio::test]
async fn a_message_is_an_activity_of_its_device() {
    let running = start(&["a"]).await;
    let active = async || {
        let answer = ask(&running, "GET", "/devices/a", &[], "").await;
        answer.json()["lastActivityTime"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let mut client = connect_as(&running, &owner()).await;
    let link = client.telemetry("a").await;
    let connected = active().await;
    // Until the clock has gone on.
    for _ in 0..1_000 {
        if active().await > connected {
            return;
        }
        let sent = client.deliver(link, 0, &data("x").to_bytes()).await;
        assert_eq!(sent, DeliveryState::Accepted);
    }
    panic!("still {connected}");
}

#[tokio::test]
async fn a_newer_connection_takes_a_device_over() {
    let running = start(&["a", "b"]).await;
    assert_eq!(state(&running, "a").await, "Disconnected");
    let mut first = connect_as(&running, &owner()).await;
    let (a, b) = (first.telemetry("a").await, first.telemetry("b").await);
    assert_eq!(state(&running, "a").await, "Connected");

    let mut second = connect_as(&running, &device_token(&running, "a")).await;
    let newer = second.telemetry("a").await;
    let stolen = first.detached(a).await;
    assert_eq!(
        (stolen.condition.as_str(), code_in(&stolen)),
        ("amqp:link:stolen", 409_002)
    );
    assert_eq!(state(&running, "a").await, "Connected");
    for (client, link) in [(&mut first, b), (&mut second, newer)] {
        let sent = client.deliver(link, 0, &data("x").to_bytes()).await;
        assert_eq!(sent, DeliveryState::Accepted);
    }
    first.close().await;
    state_becomes(&running, "b", "Disconnected").await;
    assert_eq!(state(&running, "a").await, "Connected");
    second.detach(newer);
    second.settle_down().await;
    assert_eq!(state(&running, "a").await, "Disconnected");
}

#[tokio::test]
async fn a_device_has_one_link_on_its_own_connection_too() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let older = client.telemetry("a").await;
    let session = client.begin();
    let options = LinkOptions::sender("second", "/devices/a/messages/events");
    let newer = client.attach_on(session, options).await.unwrap();
    assert_eq!(
        client.detached(older).await.condition.as_str(),
        "amqp:link:stolen"
    );
    let sent = client.deliver(newer, 0, &data("x").to_bytes()).await;
    assert_eq!(sent, DeliveryState::Accepted);
    assert_eq!(state(&running, "a").await, "Connected");
}

#[tokio::test]
async fn a_connection_that_breaks_off_leaves_no_device_behind() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    client.telemetry("a").await;
    assert_eq!(state(&running, "a").await, "Connected");
    drop(client);
    state_becomes(&running, "a", "Disconnected").await;
}

#[tokio::test]
async fn a_device_that_is_deleted_loses_its_link() {
    let running = start(&["a", "b"]).await;
    let mut client = connect_as(&running, &owner()).await;
    let (a, b) = (client.telemetry("a").await, client.telemetry("b").await);
    assert_eq!(
        ask(&running, "DELETE", "/devices/a", &[], "").await.status,
        204
    );
    let error = client.detached(a).await;
    assert_eq!(
        (error.condition.as_str(), code_in(&error)),
        ("amqp:not-found", 404_001)
    );
    let sent = client.deliver(b, 0, &data("x").to_bytes()).await;
    assert_eq!(sent, DeliveryState::Accepted);
}

#[tokio::test]
async fn a_device_that_is_disabled_loses_its_link() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let link = client.telemetry("a").await;
    set_status(&running, "a", "disabled").await;
    let error = client.detached(link).await;
    assert_eq!(
        (error.condition.as_str(), code_in(&error)),
        ("amqp:unauthorized-access", 403_012)
    );
    let options = LinkOptions::sender("again", "/devices/a/messages/events");
    let error = client.attach(options).await.unwrap_err();
    assert_eq!(code_in(&error), 403_012);
    set_status(&running, "a", "enabled").await;
    client.telemetry("a").await;
}

#[tokio::test]
async fn a_device_of_the_same_name_is_not_the_same_device() {
    let running = start(&["a"]).await;
    let mut client = connect_as(&running, &device_token(&running, "a")).await;
    let link = client.telemetry("a").await;
    assert_eq!(
        ask(&running, "DELETE", "/devices/a", &[], "").await.status,
        204
    );
    let answer = ask(&running, "PUT", "/devices/a", &[], r#"{"deviceId":"a"}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    client.detached(link).await;
    let options = LinkOptions::sender("again", "/devices/a/messages/events");
    assert!(
        client.attach(options).await.is_err(),
        "the token was the old device's"
    );
    let registered = hub(&running).device(&device("a")).unwrap();
    assert_eq!(
        client.put_token(&device_token(&running, "a")).await.status,
        200
    );
    let link = client.telemetry("a").await;
    client.deliver(link, 0, &data("x").to_bytes()).await;
    let event = stored(&running, 1).await.remove(0);
    let annotations = event.message_annotations.unwrap();
    let generation = annotations
        .get("iothub-connection-auth-generation-id")
        .unwrap();
    assert_eq!(generation.as_str(), Some(&*registered.generation_id));
}

#[tokio::test]
async fn stopping_says_goodbye() {
    let running = start(&["a"]).await;
    let mut device = connect_as(&running, &device_token(&running, "a")).await;
    let link = device.telemetry("a").await;
    let sent = device.deliver(link, 0, &data("x").to_bytes()).await;
    assert_eq!(sent, DeliveryState::Accepted);
    let mut service = connect_as(&running, &owner()).await;
    service.attach(reader("r", None)).await.unwrap();
    let goodbye = async |client: &mut Client| {
        let error = client.closed().await;
        assert_eq!(error.condition.as_str(), "amqp:connection:forced");
    };
    tokio::join!(
        running.shutdown(),
        goodbye(&mut device),
        goodbye(&mut service)
    );
}
