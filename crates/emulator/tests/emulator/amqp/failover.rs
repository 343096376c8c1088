//! A hub that fails over, and devices that are moved to another one.

use std::time::Duration;

use drawspan_amqp::engine::{Closed, Credit, LinkOptions};
use drawspan_emulator::{Clock, Running};
use drawspan_hub::{DeviceId, ErrorCode, HostName};
use serde_json::json;

use super::client::{
    Client, code_in, connect_as, connect_with, data, device, device_token, hub, owner, start_with,
};
use crate::support::{HUB, ask, ask_raw, assert_refused, policy_of};

const SECOND: &str = "second.test";

/// A hub with device `a`, and its clock.
async fn start() -> (Running, Clock) {
    let clock = Clock::system();
    let running = start_with(&["a"], |config| config.clock = clock.clone()).await;
    (running, clock)
}

async fn send_to_a(service: &mut Client) {
    let commands = LinkOptions::sender("c2d", "/messages/devicebound");
    let commands = service.attach(commands).await.unwrap();
    let mut message = data("lost");
    message.properties.get_or_insert_default().to = Some("/devices/a/messages/devicebound".into());
    service.deliver(commands, 0, &message.to_bytes()).await;
}

#[tokio::test]
async fn a_hub_that_fails_over_ends_connections_and_loses_messages() {
    let (running, clock) = start().await;
    let mut device_a = connect_as(&running, &device_token(&running, "a")).await;
    device_a.telemetry("a").await;
    let mut service = connect_as(&running, &owner()).await;
    send_to_a(&mut service).await;
    let tags = json!({ "tags": { "room": 1 } }).to_string();
    ask(&running, "PATCH", "/twins/a", &[], &tags).await;

    let the_hub = running.hubs().find(HUB).unwrap();
    let lost = the_hub.fail_over(Duration::from_secs(600)).await.unwrap();
    assert_eq!((lost.messages, lost.feedback), (1, 0));
    for client in [&mut device_a, &mut service] {
        let error = client.closed().await;
        assert_eq!(error.condition.as_str(), "amqp:connection:forced");
        assert_eq!(code_in(&error), 404_012);
    }
    // Nobody comes in, by any protocol, and a second failover is refused.
    // Open and close come together.
    let refused = match connect_with(&running, None).await {
        Ok(mut client) => client.closed().await,
        Err(Closed::ByPeer(Some(error))) => error,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(code_in(&refused), 404_012);
    let answer = ask(&running, "GET", "/twins/a", &[], "").await;
    assert_refused(&answer, ErrorCode::HUB_FAILING_OVER);
    let again = the_hub.fail_over(Duration::from_secs(600)).await;
    assert!(again.is_err());
    // Another hub of the same emulator knows nothing of it.
    let token = policy_of(SECOND, &crate::support::key(1), "iothubowner");
    let headers = [("Authorization", &*token)];
    let target = "/devices?api-version=2021-04-12";
    let other = ask_raw(&running, SECOND, "GET", target, &headers, "").await;
    assert_eq!(other.status, 200, "{other:?}");

    clock.advance(Duration::from_secs(600)).unwrap();
    while the_hub.is_failing_over() {
        tokio::task::yield_now().await;
    }
    let twin = ask(&running, "GET", "/twins/a", &[], "").await;
    assert_eq!(twin.json()["tags"]["room"], 1, "twins stay");
    assert_eq!(hub(&running).message_count(&device("a")), 0);
    let mut device_a = connect_as(&running, &device_token(&running, "a")).await;
    device_a.telemetry("a").await;
}

#[tokio::test]
async fn a_device_is_moved_with_its_twin_and_its_connection_ends() {
    let (running, _) = start().await;
    let mut at_first = connect_as(&running, &device_token(&running, "a")).await;
    let messages = LinkOptions::receiver("m", "/devices/a/messages/devicebound", Credit::Auto(1));
    let messages = at_first.attach(messages).await.unwrap();
    let update = json!({ "tags": { "room": 1 }, "properties": { "desired": { "on": true } } });
    ask(&running, "PATCH", "/twins/a", &[], &update.to_string()).await;

    let to = HostName::parse(SECOND).unwrap();
    let a = DeviceId::parse("a").unwrap();
    let first = running.hubs().find(HUB).unwrap();
    let second = running.hubs().find(SECOND).unwrap();
    // It was made at both hubs, as --device does.
    let moved = running.dps().move_device(&a, &to).await.unwrap();
    assert_eq!((moved.from.as_str(), moved.to.as_str()), (HUB, SECOND));
    assert!(!moved.is_registered);
    let error = at_first.detached(messages).await;
    assert_eq!(error.condition.as_str(), "amqp:not-found");
    assert!(first.device(&a).is_none());
    let entry = second.entry(&a).unwrap();
    let twin = entry.twin().for_device();
    assert_eq!(twin["desired"]["on"], true);

    let there = running.dps().move_device(&a, &to).await.unwrap_err();
    assert!(there.to_string().contains("already"), "{there}");
    let nowhere = HostName::parse("nowhere.test").unwrap();
    let error = running.dps().move_device(&a, &nowhere).await.unwrap_err();
    assert!(error.to_string().contains("no hub"), "{error}");
}
