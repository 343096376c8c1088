//! Who has a message, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drawspan_emulator::Observer;
use drawspan_hub_model::event::{Event, HubEvent};

use super::super::client::{code_in, start, start_with};
use super::*;

#[tokio::test]
async fn an_abandoned_message_comes_again_and_ends_as_a_dead_letter() {
    let running = start_with(&["a"], |config| {
        config.cloud_to_device.max_delivery_count = 3;
    })
    .await;
    let mut service = service_of(&running).await;
    send(
        &mut service,
        &[message("a", "1", "none"), message("a", "2", "none")],
    )
    .await;
    let (mut device, link) = device_of(&running, "a", 1).await;
    for count in 0..3 {
        let got = got(&mut device, link).await;
        assert_eq!((got.body().as_str(), got.count()), ("1", count));
        let state = agree(&mut device, &got, DeliveryState::Released).await;
        assert_eq!(state, DeliveryState::Released);
        device.grant(link, 1);
    }
    let next = got(&mut device, link).await;
    assert_eq!((next.body().as_str(), next.count()), ("2", 0));
    let modified = DeliveryState::Modified {
        delivery_failed: true,
        undeliverable_here: false,
        message_annotations: None,
    };
    assert_eq!(agree(&mut device, &next, modified.clone()).await, modified);
    device.grant(link, 1);
    let next = got(&mut device, link).await;
    assert_eq!((next.body().as_str(), next.count()), ("2", 1));
    assert_eq!(agree(&mut device, &next, rejected()).await, rejected());
    assert_eq!(count(&running, "a").await, 0);
}

/// Counts locks that were lost.
#[derive(Debug, Default)]
struct LostLocks(AtomicUsize);

impl Observer for LostLocks {
    fn observe(&self, event: &Event) {
        if let HubEvent::C2dLockLost { device } = &event.what {
            assert_eq!(device.as_str(), "a");
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn a_lock_runs_out_and_its_holder_is_told() {
    let lost = Arc::new(LostLocks::default());
    let running = start_with(&["a"], |config| {
        config.cloud_to_device.lock_ms = 200;
        config.observers = vec![Arc::<LostLocks>::clone(&lost) as Arc<dyn Observer>];
    })
    .await;
    let mut service = service_of(&running).await;
    send(&mut service, &[message("a", "1", "none")]).await;
    let (mut device, link) = device_of(&running, "a", 1_000).await;
    let late = got(&mut device, link).await;
    let mut latest = got(&mut device, link).await;
    assert_eq!((latest.body().as_str(), latest.count()), ("1", 0));
    assert_ne!(latest.tag, late.tag);
    let DeliveryState::Rejected(Some(error)) =
        agree(&mut device, &late, DeliveryState::Accepted).await
    else {
        panic!("it is not told");
    };
    assert_eq!(error.condition.as_str(), "com.microsoft:message-lock-lost");
    assert_eq!(code_in(&error), 412_002);
    assert_eq!(lost.0.load(Ordering::SeqCst), 1);
    // A slow machine may be too late more often.
    while agree(&mut device, &latest, DeliveryState::Accepted).await != DeliveryState::Accepted {
        latest = got(&mut device, link).await;
    }
    assert_eq!(latest.count(), 0, "an end of the lock is not counted");
    assert_eq!(count(&running, "a").await, 0);
}

#[tokio::test]
async fn a_lock_outlives_its_link() {
    let running = start(&["a"]).await;
    let mut service = service_of(&running).await;
    send(&mut service, &[message("a", "1", "none")]).await;
    let (mut device, link) = device_of(&running, "a", 1).await;
    assert_eq!(got(&mut device, link).await.body(), "1");
    device.close().await;
    let (mut device, link) = device_of(&running, "a", 0).await;
    nothing_for(&mut device, link).await;
    assert_eq!(count(&running, "a").await, 1);
}

#[tokio::test]
async fn a_message_comes_again_on_the_next_link_when_its_lock_is_over() {
    let running = start_with(&["a"], |config| config.cloud_to_device.lock_ms = 200).await;
    let mut service = service_of(&running).await;
    send(&mut service, &[message("a", "1", "none")]).await;
    let (mut device, link) = device_of(&running, "a", 1).await;
    let first = got(&mut device, link).await;
    drop(device);
    let (mut device, link) = device_of(&running, "a", 1).await;
    let again = got(&mut device, link).await;
    assert_eq!((again.sequence(), again.count()), (first.sequence(), 0));
}

#[tokio::test]
async fn a_newer_connection_gets_what_the_older_one_has_not() {
    let running = start(&["a"]).await;
    let mut service = service_of(&running).await;
    let (mut older, old_link) = device_of(&running, "a", 10).await;
    send(&mut service, &[message("a", "1", "none")]).await;
    assert_eq!(got(&mut older, old_link).await.body(), "1");
    let (mut newer, link) = device_of(&running, "a", 10).await;
    let stolen = older.detached(old_link).await;
    assert_eq!(stolen.condition.as_str(), "amqp:link:stolen");
    send(&mut service, &[message("a", "2", "none")]).await;
    assert_eq!(got(&mut newer, link).await.body(), "2");
    newer.settle_down().await;
    assert!(
        newer.arrived(link).is_empty(),
        "the older one's lock goes on"
    );
    older.settle_down().await;
    assert!(older.arrived(old_link).is_empty());
}

#[tokio::test]
async fn telemetry_and_messages_share_a_connection() {
    let running = start(&["a"]).await;
    let mut service = service_of(&running).await;
    let (mut device, link) = device_of(&running, "a", 10).await;
    let telemetry = device.telemetry("a").await;
    send(&mut service, &[message("a", "1", "none")]).await;
    let got = got(&mut device, link).await;
    let sent = message("a", "telemetry", "none").to_bytes();
    assert_eq!(
        device.deliver(telemetry, 0, &sent).await,
        DeliveryState::Accepted
    );
    let state = agree(&mut device, &got, DeliveryState::Accepted).await;
    assert_eq!(state, DeliveryState::Accepted);
}

#[tokio::test]
async fn a_purge_takes_messages_out_of_a_devices_hands() {
    let running = start(&["a"]).await;
    let mut service = service_of(&running).await;
    send(
        &mut service,
        &[message("a", "1", "none"), message("a", "2", "none")],
    )
    .await;
    let (mut device, link) = device_of(&running, "a", 1).await;
    let held = got(&mut device, link).await;
    let purged = ask(&running, "DELETE", "/devices/a/commands", &[], "").await;
    assert_eq!(purged.json()["totalMessagesPurged"], 2);
    let DeliveryState::Rejected(Some(error)) =
        agree(&mut device, &held, DeliveryState::Accepted).await
    else {
        panic!("it is not told");
    };
    assert_eq!(error.condition.as_str(), "com.microsoft:message-lock-lost");
    assert_eq!(count(&running, "a").await, 0);
}
