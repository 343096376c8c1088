//! Messages for devices that can only ask for them.

use std::time::Duration;

use drawspan_gateway::{DeviceError, Downlink as _, Subscriptions as _};
use drawspan_hub::{Outcome, SubscriptionType};
use tokio::time::Instant;

use crate::stand::{Stand, id, own, soon};

#[tokio::test]
async fn messages_are_held_until_it_is_said_what_became_of_them() {
    let stand = Stand::start(&["d1"]).await;
    let bridge = stand.bridge(None);
    let at_once = || Instant::now();
    let none = bridge.receive(id("d1"), at_once(), soon()).await.unwrap();
    assert_eq!(none, None);
    let none = bridge.receive(id("d1"), at_once(), soon()).await.unwrap();
    assert_eq!(none, None);

    for body in ["first", "second"] {
        stand.send("d1", body).await;
    }
    let held = bridge.receive(id("d1"), soon(), soon()).await.unwrap();
    let held = held.unwrap();
    assert_eq!(held.message.body, "first");
    let again = bridge.receive(id("d1"), soon(), soon()).await.unwrap();
    assert_eq!(again.unwrap(), held);

    let settle = |token: &str, outcome| {
        let token = token.to_owned();
        bridge.settle(id("d1"), token, outcome, soon())
    };
    let wrong = settle("0000", Outcome::Complete).await;
    assert_eq!(wrong, Err(DeviceError::LockLost));
    let token = &held.lock_token;
    assert_eq!(settle(token, Outcome::Abandon).await, Ok(()));
    let twice = settle(token, Outcome::Complete).await;
    assert_eq!(twice, Err(DeviceError::LockLost));

    // The emulator puts it to the front again.
    for body in ["first", "second"] {
        let held = bridge
            .receive(id("d1"), soon(), soon())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(held.message.body, body);
        assert_ne!(held.lock_token, *token);
        assert_eq!(settle(&held.lock_token, Outcome::Complete).await, Ok(()));
    }
    let waits = Instant::now() + Duration::from_millis(1_500);
    let none = bridge.receive(id("d1"), waits, soon()).await.unwrap();
    assert_eq!(none, None);
}

#[tokio::test]
async fn who_waits_gets_what_comes_and_who_subscribes_gets_it_instead() {
    let stand = Stand::start(&["d1"]).await;
    let bridge = stand.bridge(None);
    let (held, ()) = tokio::join!(bridge.receive(id("d1"), soon(), soon()), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        stand.send("d1", "1").await;
    });
    let held = held.unwrap().unwrap();
    let settled = bridge.settle(id("d1"), held.lock_token, Outcome::Complete, soon());
    assert_eq!(settled.await, Ok(()));

    let kind = SubscriptionType::C2dMessages;
    let waiting = bridge.receive(id("d1"), soon(), soon());
    let (waited, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let subscribe = stand.subscribe_to(own("d1"), kind, "/c2d");
        bridge.subscribe(subscribe, soon()).await.unwrap();
    });
    assert_eq!(waited, Err(DeviceError::Subscribed));
    stand.send("d1", "2").await;
    stand.receiver.wait("/c2d", 1).await;
    // A message that was received before may still be settled, and is not delivered again.
    bridge.unsubscribe(own("d1"), kind, soon()).await.unwrap();
    stand.send("d1", "3").await;
    let held = bridge.receive(id("d1"), soon(), soon()).await;
    let token = held.unwrap().unwrap().lock_token;
    let subscribe = stand.subscribe_to(own("d1"), kind, "/c2d");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    let settled = bridge.settle(id("d1"), token, Outcome::Complete, soon());
    assert_eq!(settled.await, Ok(()));
    stand.send("d1", "4").await;
    let events = stand.receiver.wait("/c2d", 2).await;
    let bodies: Vec<_> = events
        .iter()
        .map(|event| &event.body["messageBody"])
        .collect();
    assert_eq!(bodies, [2, 4]);
    let refused = bridge.receive(id("d1"), soon(), soon()).await;
    assert_eq!(refused, Err(DeviceError::Subscribed));
}
