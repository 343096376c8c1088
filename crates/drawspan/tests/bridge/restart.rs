//! What survives a restart, and what was missed meanwhile.

use drawspan_gateway::{
    DeadLetterQuery, DeadLetters as _, DeviceGateway as _, ListQuery, Listing as _, Prefix, Scope,
    SubscriptionStatus, Subscriptions as _,
};
use drawspan_hub::SubscriptionType::{C2dMessages, DesiredProperties, Methods};
use drawspan_hub::Telemetry;
use drawspan_runtime::Gateway;
use drawspan_store::Store;
use serde_json::json;

use crate::stand::{HANGS, Stand, id, own, soon, until};

fn open(directory: &std::path::Path) -> Store {
    Store::open(directory, &directory.join("keyring")).unwrap()
}

#[tokio::test]
async fn subscriptions_survive_and_what_was_missed_is_caught_up_with() {
    let directory = tempfile::tempdir().unwrap();
    let stand = Stand::start(&["d1"]).await;
    stand.desire("d1", json!({"color": "red"})).await;
    {
        let store = open(directory.path());
        let bridge = stand.bridge(Some(&store));
        for (kind, path) in [(Methods, "/methods"), (DesiredProperties, "/desired")] {
            let subscribe = stand.subscribe_to(own("d1"), kind, path);
            bridge.subscribe(subscribe, soon()).await.unwrap();
            until(&bridge, &own("d1"), kind, SubscriptionStatus::Running).await;
        }
        // What was there before anybody subscribed comes first, as a whole.
        let changes = stand.receiver.wait("/desired", 1).await;
        assert_eq!(changes[0].body["desiredProperties"]["color"], "red");
        assert_eq!(changes[0].body["fullState"], true);
        stand.desire("d1", json!({"color": "green"})).await;
        let changes = stand.receiver.wait("/desired", 2).await;
        assert_eq!(changes[1].body["desiredProperties"]["color"], "green");
        assert!(changes[1].body.get("fullState").is_none(), "{changes:?}");
        // Its version is stored soon.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    stand.desire("d1", json!({"size": 7})).await;
    let store = open(directory.path());
    let bridge = stand.bridge(Some(&store));
    until(&bridge, &own("d1"), Methods, SubscriptionStatus::Running).await;
    stand.call("d1").await.unwrap();
    let caught = stand.receiver.wait("/desired", 3).await;
    assert_eq!(caught.len(), 3);
    let body = &caught[2].body;
    assert_eq!(body["fullState"], true);
    assert_eq!(body["desiredProperties"]["color"], "green");
    assert_eq!(body["desiredProperties"]["size"], 7);

    // Nothing is left of a device that is removed.
    bridge.forget(id("d1"), soon()).await.unwrap();
    assert!(
        bridge
            .subscription(own("d1"), Methods)
            .await
            .unwrap()
            .is_none()
    );
    let rows = store.subscriptions().load_all().unwrap();
    assert!(rows.is_empty(), "{rows:?}");
}

/// By a hub's policy, which needs no DPS to know a device's hub.
#[tokio::test]
async fn devices_that_a_fleet_subscription_keeps_connected_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let stand = Stand::start(&["g1", "g2"]).await;
    {
        let store = open(directory.path());
        let bridge = stand.bridge(Some(&store));
        let fleet = Scope::Fleet(Prefix::parse("g").unwrap());
        let subscribe = stand.subscribe_to(fleet, DesiredProperties, "/desired");
        bridge.subscribe(subscribe, soon()).await.unwrap();
        for device in ["g1", "g2"] {
            let sent = bridge.send(id(device), Telemetry::json("{}"), soon()).await;
            assert_eq!(sent, Ok(()));
        }
        // It is stored soon.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        bridge.forget(id("g2"), soon()).await.unwrap();
    }
    let before = stand.receiver.at("/desired").len();
    stand.desire("g1", json!({"color": "red"})).await;
    let store = open(directory.path());
    let bridge = stand.bridge(Some(&store));
    let changes = stand.receiver.wait("/desired", before + 1).await;
    let body = &changes[before].body;
    assert_eq!(body["deviceId"], "g1");
    assert_eq!(body["desiredProperties"]["color"], "red");
    let query = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    let known = bridge.list(query).await.unwrap();
    let known: Vec<_> = known.devices.iter().map(|it| it.device.clone()).collect();
    assert_eq!(known, [id("g1")]);
}

#[tokio::test]
async fn who_subscribes_hears_of_it_though_another_unsubscribes_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let stand = Stand::start(&["d1"]).await;
    let store = open(directory.path());
    let bridge = stand.bridge(Some(&store));
    let subscribe = |path| stand.subscribe_to(own("d1"), Methods, path);
    let (first, second, gone) = tokio::join!(
        bridge.subscribe(subscribe("/first"), soon()),
        bridge.subscribe(subscribe("/second"), soon()),
        bridge.unsubscribe(own("d1"), Methods, soon()),
    );
    for (made, path) in [(first, "/first"), (second, "/second")] {
        let (made, status) = made.unwrap();
        assert!(made.callback.as_str().ends_with(path));
        assert!(status.is_some());
    }
    assert_eq!(gone, Ok(()));
    let left = bridge.subscription(own("d1"), Methods).await.unwrap();
    assert!(left.is_none());
    assert!(store.subscriptions().load_all().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_taken_is_kept_listed_and_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let stand = Stand::start(&["d1"]).await;
    let store = open(directory.path());
    let bridge = stand.bridge(Some(&store));
    stand.receiver.answer("/c2d", (400, ""));
    let subscribe = stand.subscribe_to(own("d1"), C2dMessages, "/c2d");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    stand.send("d1", "1").await;
    let tried = stand.receiver.wait("/c2d", 1).await;
    let query = || DeadLetterQuery {
        limit: 10,
        ..DeadLetterQuery::default()
    };
    let letters = loop {
        let letters = bridge.dead_letters(query()).await.unwrap();
        if !letters.is_empty() {
            break letters;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(letters[0].webhook_id, tried[0].webhook_id);
    let event: serde_json::Value = serde_json::from_slice(&letters[0].event).unwrap();
    assert_eq!(event, tried[0].body);

    // Asked for again while it is under way, it is one event.
    stand.receiver.answer("/c2d", HANGS);
    bridge.replay(letters[0].id, soon()).await.unwrap();
    let tried = stand.receiver.wait("/c2d", 2).await;
    assert_eq!(tried[1].webhook_id, tried[0].webhook_id);
    assert_eq!(tried[1].body, tried[0].body);
    bridge.replay(letters[0].id, soon()).await.unwrap();
    stand.receiver.answer("/c2d", (403, ""));
    while !bridge.dead_letters(query()).await.unwrap()[0]
        .reason
        .contains("403")
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    // Since it was not taken it may be asked for once more.
    stand.receiver.answer("/c2d", (200, ""));
    bridge.replay(letters[0].id, soon()).await.unwrap();
    while !bridge.dead_letters(query()).await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // Events come in their order: nothing else waited.
    stand.send("d1", "2").await;
    let all = stand.receiver.wait("/c2d", 4).await;
    assert_eq!(all[3].body["messageBody"], 2);
}

#[tokio::test]
async fn devices_are_listed_in_order_a_page_at_a_time() {
    let names: Vec<_> = (0..25).map(|number| format!("d{number:02}")).collect();
    let devices: Vec<_> = names.iter().map(String::as_str).collect();
    let stand = Stand::start(&devices).await;
    let bridge = stand.bridge(None);
    for (number, device) in devices.iter().enumerate() {
        let kind = match number % 2 {
            0 => Methods,
            _ => C2dMessages,
        };
        let subscribe = stand.subscribe_to(own(device), kind, "/events");
        bridge.subscribe(subscribe, soon()).await.unwrap();
    }
    let list = async |subscription| {
        let mut query = ListQuery {
            limit: 10,
            subscription,
            ..ListQuery::default()
        };
        let mut all = Vec::new();
        loop {
            let page = bridge.list(query.clone()).await.unwrap();
            assert!(page.devices.len() <= 10);
            all.extend(page.devices.iter().map(|it| it.device.as_str().to_owned()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return all,
            }
        }
    };
    assert_eq!(list(None).await, names);
    let even: Vec<_> = names.iter().step_by(2).cloned().collect();
    assert_eq!(list(Some(Methods)).await, even);
}

#[tokio::test]
async fn a_receiver_that_failed_gets_all_of_it_once_it_is_well() {
    let directory = tempfile::tempdir().unwrap();
    let stand = Stand::start(&["d1"]).await;
    let store = open(directory.path());
    {
        let bridge = stand.bridge(Some(&store));
        stand.receiver.answer("/desired", (500, ""));
        let subscribe = stand.subscribe_to(own("d1"), DesiredProperties, "/desired");
        bridge.subscribe(subscribe, soon()).await.unwrap();
        let kind = DesiredProperties;
        until(&bridge, &own("d1"), kind, SubscriptionStatus::Running).await;
        stand.desire("d1", json!({"color": "red"})).await;
        stand.receiver.wait("/desired", 1).await;
        while bridge
            .dead_letters(DeadLetterQuery {
                limit: 1,
                ..DeadLetterQuery::default()
            })
            .await
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    stand.receiver.answer("/desired", (200, ""));
    drop(store);
    let store = open(directory.path());
    let _bridge = stand.bridge(Some(&store));
    let caught = stand.receiver.wait("/desired", 2).await;
    assert_eq!(caught[1].body["fullState"], true);
    assert_eq!(caught[1].body["desiredProperties"]["color"], "red");
}

#[tokio::test]
async fn a_missed_change_comes_after_a_dead_letter_that_was_on_its_way() {
    let directory = tempfile::tempdir().unwrap();
    let stand = Stand::start(&["d1"]).await;
    let connect = async |bridge: &Gateway| {
        let message = Telemetry::json("{}");
        bridge.send(id("d1"), message, soon()).await.unwrap();
        let running = SubscriptionStatus::Running;
        until(bridge, &own("d1"), DesiredProperties, running).await;
    };
    let query = DeadLetterQuery {
        limit: 1,
        ..DeadLetterQuery::default()
    };
    let store = open(directory.path());
    let letter = {
        let bridge = stand.bridge(Some(&store));
        stand.receiver.answer("/desired", (400, ""));
        let mut subscribe = stand.subscribe_to(own("d1"), DesiredProperties, "/desired");
        subscribe.keep_connected = false;
        bridge.subscribe(subscribe, soon()).await.unwrap();
        connect(&bridge).await;
        stand.desire("d1", json!({"color": "red"})).await;
        loop {
            let letters = bridge.dead_letters(query.clone()).await.unwrap();
            if let Some(letter) = letters.first() {
                break letter.id;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    drop(store);
    stand.desire("d1", json!({"color": "green"})).await;
    let store = open(directory.path());
    let bridge = stand.bridge(Some(&store));
    // While the letter is under way, what was missed waits for its end; or it is there first, as the device connects by itself.
    stand.receiver.answer("/desired", HANGS);
    let before = stand.receiver.at("/desired").len();
    bridge.replay(letter, soon()).await.unwrap();
    stand.receiver.wait("/desired", before + 1).await;
    connect(&bridge).await;
    stand.receiver.answer("/desired", (200, ""));
    let all = stand.receiver.wait("/desired", before + 2).await;
    let mut caught = all[before..].iter().map(|received| &received.body);
    let caught = caught.find(|body| body["fullState"] == true);
    let caught = caught.unwrap_or_else(|| panic!("{all:?}"));
    assert_eq!(caught["desiredProperties"]["color"], "green");
}
