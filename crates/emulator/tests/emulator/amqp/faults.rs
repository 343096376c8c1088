//! Faults that the emulator was asked for.

use drawspan_amqp::engine::LinkOptions;
use drawspan_amqp::performative::DeliveryState;
use serde_json::Value;

use super::client::{Client, connect, connect_as, data, device_token, owner, start_with, stored};

/// Statuses of so many renewals of a token.
async fn renewals(client: &mut Client, token: &str, number: usize) -> Vec<i32> {
    let mut statuses = Vec::new();
    for _ in 0..number {
        let answer = client.put_token(token).await;
        if answer.status != 200 {
            let json: Value = serde_json::from_str(&answer.description).unwrap();
            assert_eq!(json["errorCode"].as_u64(), Some(500_001));
        }
        statuses.push(answer.status);
    }
    statuses
}

#[tokio::test]
async fn a_share_of_renewals_fails_and_links_stay() {
    let running = start_with(&["a", "b"], |config| {
        config.faults = vec!["renewals=50%".parse().unwrap()];
    })
    .await;
    let mut client = connect(&running).await;
    let (a, b) = (device_token(&running, "a"), device_token(&running, "b"));
    // A device that has no links does not renew.
    assert_eq!(renewals(&mut client, &a, 4).await, [200; 4]);
    let link = client.telemetry("a").await;
    assert_eq!(renewals(&mut client, &a, 4).await, [200, 500, 200, 500]);
    assert_eq!(renewals(&mut client, &b, 4).await, [200; 4]);
    let state = client.deliver(link, 0, &data("x").to_bytes()).await;
    assert_eq!(state, DeliveryState::Accepted);
    // A policy's token is renewed regardless of links.
    assert_eq!(
        renewals(&mut client, &owner(), 5).await,
        [200, 200, 500, 200, 500]
    );
}

#[tokio::test]
async fn a_stalled_device_cannot_send_and_others_can() {
    let running = start_with(&["a", "stalled"], |config| {
        config.faults = vec!["stall=stalled".parse().unwrap()];
    })
    .await;
    let mut client = connect_as(&running, &owner()).await;
    // The session is the device's own: $cbs and the other device are on the first.
    let session = client.begin();
    let address = "/devices/stalled/messages/events";
    let stalled = client
        .attach_on(session, LinkOptions::sender("stalled", address))
        .await
        .unwrap();
    let other = client.telemetry("a").await;
    client
        .send(stalled, 0, &data("never").to_bytes(), true)
        .await;
    assert!(!client.connection.has_room(stalled));
    let state = client.deliver(other, 0, &data("x").to_bytes()).await;
    assert_eq!(state, DeliveryState::Accepted);
    // And no more than that one.
    assert_eq!(stored(&running, 1).await.len(), 1);
}
