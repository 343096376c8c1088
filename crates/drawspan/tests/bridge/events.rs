//! What devices receive goes to who subscribes to it, and what receivers say goes back.

use drawspan_gateway::{DeviceGateway as _, Prefix, Scope, SubscriptionStatus, Subscriptions as _};
use drawspan_hub::SubscriptionType::{C2dMessages, ConnectionStatus, DesiredProperties, Methods};
use drawspan_hub::{ConnectionStatus as Word, SubscriptionType, Telemetry};
use serde_json::json;

use crate::stand::{HANGS, Stand, id, own, soon, until};

fn path_of(kind: SubscriptionType) -> &'static str {
    match kind {
        DesiredProperties => "/desired",
        Methods => "/methods",
        C2dMessages => "/c2d",
        ConnectionStatus => "/status",
    }
}

#[tokio::test]
async fn every_kind_of_events_arrives() {
    let stand = Stand::start(&["d1"]).await;
    let bridge = stand.bridge(None);
    let scope = own("d1");
    for kind in [ConnectionStatus, Methods, C2dMessages, DesiredProperties] {
        let subscribe = stand.subscribe_to(scope.clone(), kind, path_of(kind));
        let (made, status) = bridge.subscribe(subscribe, soon()).await.unwrap();
        assert_eq!(made.scope, scope);
        assert_eq!(status.is_some(), kind.needs_connection());
    }
    for kind in [Methods, C2dMessages, DesiredProperties] {
        until(&bridge, &scope, kind, SubscriptionStatus::Running).await;
    }
    let receiver = &stand.receiver;
    let connected = receiver.wait("/status", 1).await;
    assert_eq!(connected[0].body["status"], "Connected");

    receiver.answer(
        "/methods",
        (200, r#"{"Status":201,"payload":{"done":true}}"#),
    );
    let called = stand.call("d1").await.unwrap();
    assert_eq!(called.status, 201);
    assert_eq!(called.payload.unwrap().get(), r#"{"done":true}"#);
    let asked = receiver.at("/methods");
    assert_eq!(asked[0].body["methodName"], "turn");
    assert_eq!(asked[0].body["requestData"], json!([1, 2]));

    receiver.answer("/methods", (404, "no"));
    assert_eq!(stand.call("d1").await.unwrap().status, 500);

    for body in [r#"{"n":1}"#, r#"{"n":2}"#] {
        stand.send("d1", body).await;
    }
    let messages = receiver.wait("/c2d", 2).await;
    assert_eq!(messages[0].body["messageBody"], json!({"n": 1}));
    assert_eq!(messages[1].body["messageBody"], json!({"n": 2}));
    assert_ne!(messages[0].webhook_id, messages[1].webhook_id);

    stand.desire("d1", json!({"color": "red"})).await;
    let changes = receiver.wait("/desired", 1).await;
    assert_eq!(changes[0].body["desiredProperties"]["color"], "red");
    assert!(changes[0].body.get("fullState").is_none());

    // Nothing wants it any more.
    for kind in [Methods, C2dMessages, DesiredProperties] {
        bridge
            .unsubscribe(scope.clone(), kind, soon())
            .await
            .unwrap();
    }
    let statuses = receiver.wait("/status", 2).await;
    assert_eq!(statuses[1].body["status"], "Disabled");
    assert_eq!(statuses[1].body["reason"], "Client_Close");
    assert!(stand.call("d1").await.is_err());
    assert_eq!(receiver.at("/methods").len(), 2);
}

#[tokio::test]
async fn methods_that_a_hanging_receiver_keeps_from_their_turn_are_answered() {
    let stand = Stand::start(&["d1"]).await;
    let bridge = stand.bridge(None);
    stand.receiver.answer("/methods", HANGS);
    let subscribe = stand.subscribe_to(own("d1"), Methods, "/methods");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    until(&bridge, &own("d1"), Methods, SubscriptionStatus::Running).await;
    let (first, second) = tokio::join!(stand.call("d1"), stand.call("d1"));
    assert_eq!((first.unwrap().status, second.unwrap().status), (500, 500));
    // The second one was never sent.
    assert_eq!(stand.receiver.at("/methods").len(), 1);
    stand.receiver.answer("/methods", (200, ""));
    assert_eq!(stand.call("d1").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_message_that_is_not_taken_comes_again_by_the_same_name() {
    let stand = Stand::start(&["d1"]).await;
    let bridge = stand.bridge(None);
    stand.receiver.answer("/c2d", (500, ""));
    let subscribe = stand.subscribe_to(own("d1"), C2dMessages, "/c2d");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    stand.send("d1", "1").await;
    let tried = stand.receiver.wait("/c2d", 2).await;
    assert_eq!(tried[0].webhook_id, tried[1].webhook_id);
    stand.receiver.answer("/c2d", (200, ""));
    stand.send("d1", "2").await;
    let path = |count| stand.receiver.wait("/c2d", count);
    let mut count = tried.len() + 1;
    while path(count).await.last().unwrap().body["messageBody"] != json!(2) {
        count += 1;
    }
    // A permanently refused one does not come again.
    stand.receiver.answer("/c2d", (400, ""));
    stand.send("d1", "3").await;
    stand.receiver.wait("/c2d", count + 1).await;
    stand.receiver.answer("/c2d", (200, ""));
    stand.send("d1", "4").await;
    let all = stand.receiver.wait("/c2d", count + 2).await;
    assert_eq!(all.last().unwrap().body["messageBody"], json!(4));
}

#[tokio::test]
async fn subscriptions_come_and_go_without_a_word_of_the_connection() {
    let stand = Stand::start(&["d1"]).await;
    let bridge = stand.bridge(None);
    let subscribe = stand.subscribe_to(own("d1"), ConnectionStatus, "/status");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    for kind in [Methods, C2dMessages, DesiredProperties] {
        let subscribe = stand.subscribe_to(own("d1"), kind, path_of(kind));
        bridge.subscribe(subscribe, soon()).await.unwrap();
        until(&bridge, &own("d1"), kind, SubscriptionStatus::Running).await;
    }
    for kind in [C2dMessages, DesiredProperties] {
        bridge.unsubscribe(own("d1"), kind, soon()).await.unwrap();
    }
    let subscribe = stand.subscribe_to(own("d1"), Methods, "/elsewhere");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    stand.call("d1").await.unwrap();
    assert_eq!(stand.receiver.at("/elsewhere").len(), 1);
    assert_eq!(stand.receiver.at("/status").len(), 1);
}

#[tokio::test]
async fn the_fleets_subscriptions_count_for_devices_without_their_own() {
    let stand = Stand::start(&["pump-1", "pump-2", "other"]).await;
    let bridge = stand.bridge(None);
    let fleet = Scope::Fleet(Prefix::parse("pump-").unwrap());
    let subscribe = stand.subscribe_to(fleet.clone(), Methods, "/fleet");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    let subscribe = stand.subscribe_to(own("pump-2"), Methods, "/own");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    for device in ["pump-1", "other"] {
        let message = Telemetry::json("{}");
        bridge.send(id(device), message, soon()).await.unwrap();
    }
    until(
        &bridge,
        &own("pump-2"),
        Methods,
        SubscriptionStatus::Running,
    )
    .await;
    // Links come a moment after the connection.
    while stand.call("pump-1").await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stand.call("pump-2").await.unwrap();
    assert!(stand.call("other").await.is_err());
    assert_eq!(stand.receiver.at("/own").len(), 1);
    assert!(!stand.receiver.at("/fleet").is_empty());

    bridge
        .unsubscribe(own("pump-2"), Methods, soon())
        .await
        .unwrap();
    while stand.call("pump-2").await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(stand.receiver.at("/own").len(), 1);
    assert_eq!(bridge.fleet_subscriptions().await.unwrap().len(), 1);
    let status = bridge.connection_status(id("pump-1")).await.unwrap();
    assert_eq!(status.unwrap().0, Word::Connected);
}

#[tokio::test]
async fn desired_properties_that_change_before_the_first_connection_are_sent_once() {
    let stand = Stand::start(&["d1"]).await;
    let bridge = stand.bridge(None);
    let fleet = Scope::Fleet(Prefix::parse("d").unwrap());
    let mut subscribe = stand.subscribe_to(fleet, DesiredProperties, "/desired");
    subscribe.keep_connected = false;
    bridge.subscribe(subscribe, soon()).await.unwrap();
    stand.desire("d1", json!({"interval": 60})).await;
    let message = Telemetry::json("{}");
    bridge.send(id("d1"), message, soon()).await.unwrap();
    let first = stand.receiver.wait("/desired", 1).await;
    assert_eq!(first[0].body["fullState"], true);
    assert_eq!(first[0].body["desiredProperties"]["interval"], 60);
    // From there on changes come as changes.
    stand.desire("d1", json!({"interval": 30})).await;
    let all = stand.receiver.wait("/desired", 2).await;
    assert!(all[1].body.get("fullState").is_none(), "{all:?}");
    assert_eq!(all[1].body["desiredProperties"]["interval"], 30);
}
