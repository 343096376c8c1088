//! DPS compares ids without case: two spellings are one device, also for who may reach it.

use drawspan_client::{KeyPair, Keys};
use drawspan_gateway::{
    DeviceError, DeviceGateway as _, ListQuery, Listing as _, Prefix, Scope, Standing,
    SubscriptionStatus, Subscriptions as _,
};
use drawspan_hub::SubscriptionType::{ConnectionStatus, Methods};
use drawspan_hub::{HostName, SymmetricKey, Telemetry};
use drawspan_runtime::Gateway;
use drawspan_store::{CachedHub, Store};
use secrecy::SecretString;

use crate::stand::{HUB, Stand, id, own, soon, until};

async fn send(bridge: &Gateway, device: &str) {
    let sent = bridge.send(id(device), Telemetry::json("{}"), soon()).await;
    assert_eq!(sent, Ok(()), "{device}");
}

fn prefix(text: &str) -> Prefix {
    Prefix::parse(text).unwrap()
}

/// What is listed, for a key that is for the devices of a prefix.
async fn listed(bridge: &Gateway, begin: &str, within: &str) -> Vec<String> {
    let query = ListQuery {
        prefix: prefix(begin),
        within: prefix(within),
        status: None,
        subscription: None,
        after: None,
        limit: 100,
    };
    let page = bridge.list(query).await.unwrap();
    page.devices
        .iter()
        .map(|it| it.device.to_string())
        .collect()
}

#[tokio::test]
async fn every_spelling_is_the_one_device() {
    let stand = Stand::start(&[]).await;
    let (bridge, _) = stand.bridge_by_dps(None);
    let subscribe = stand.subscribe_to(own("Dev-1"), ConnectionStatus, "/status");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    // Before DPS has said anything.
    tokio::join!(
        send(&bridge, "Dev-1"),
        send(&bridge, "dev-1"),
        send(&bridge, "DEV-1")
    );
    let subscribe = stand.subscribe_to(own("DEV-1"), Methods, "/methods");
    let (made, _) = bridge.subscribe(subscribe, soon()).await.unwrap();
    assert_eq!(made.scope, own("Dev-1"));
    until(&bridge, &own("dev-1"), Methods, SubscriptionStatus::Running).await;
    for spelling in ["Dev-1", "dev-1", "DEV-1"] {
        send(&bridge, spelling).await;
    }
    stand.call("Dev-1").await.unwrap();
    let asked = stand.receiver.wait("/methods", 1).await;
    assert_eq!(asked[0].body["deviceId"], "Dev-1");
    assert_eq!(listed(&bridge, "", "").await, ["Dev-1"]);
    assert_eq!(stand.emulator.dps().observations().registrations, 1);
    // Requests for it share one id.
    assert_eq!(bridge.identity(&id("DEV-1")), id("dev-1"));
    // No connection was taken over.
    let statuses = stand.receiver.at("/status");
    assert_eq!(statuses.len(), 1, "{statuses:?}");

    bridge.forget(id("dEV-1"), soon()).await.unwrap();
    assert!(listed(&bridge, "", "").await.len() <= 1);
    let left = bridge.subscription(own("Dev-1"), Methods).await.unwrap();
    assert!(left.is_none());
}

#[tokio::test]
async fn what_was_stored_by_two_spellings_is_one_devices() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(directory.path(), &directory.path().join("keyring")).unwrap();
    let stand = Stand::start(&[]).await;
    {
        let store = open();
        let (bridge, _) = stand.bridge_by_dps(None);
        send(&bridge, "dev-1").await;
        for (device, assigned) in [("Dev-1", Some("dev-1")), ("dev-1", None)] {
            store.hub_cache().put(CachedHub {
                device: id(device),
                hub: HostName::parse(HUB).unwrap(),
                assigned: assigned.map(id),
                renewed_unix_s: 4_000_000_000,
            });
        }
        for (device, at, path) in [("dev-1", 1_000, "/old"), ("Dev-1", 2_000, "/new")] {
            let callback = format!("http://{}{path}", stand.receiver_address);
            let written = store
                .subscriptions()
                .put(drawspan_store::StoredSubscription {
                    scope: drawspan_store::StoredScope::Device(device.to_owned()),
                    kind: Methods,
                    callback_url: SecretString::from(callback),
                    created_at: drawspan_hub::UtcTime::from_unix_ms(at),
                    keep_connected: true,
                    imported: false,
                    limited: false,
                });
            written.await.unwrap();
        }
    }
    let store = open();
    let (bridge, _) = stand.bridge_by_dps(Some(&store));
    until(&bridge, &own("dev-1"), Methods, SubscriptionStatus::Running).await;
    stand.call("dev-1").await.unwrap();
    // The newer one counts.
    assert_eq!(stand.receiver.at("/new").len(), 1);
    assert_eq!(stand.receiver.at("/old").len(), 0);
    assert_eq!(listed(&bridge, "", "").await, ["dev-1"]);
    // Written in the order of what was asked: this comes after what the start has moved.
    let subscribe = stand.subscribe_to(own("DEV-1"), ConnectionStatus, "/status");
    bridge.subscribe(subscribe, soon()).await.unwrap();
    let rows = store.subscriptions().load_all().unwrap();
    assert_eq!(rows.len(), 2, "{rows:?}");
    let of_device = drawspan_store::StoredScope::Device("dev-1".to_owned());
    assert!(rows.iter().all(|row| row.scope == of_device), "{rows:?}");
}

#[tokio::test]
async fn who_may_reach_a_device_is_judged_by_the_id_that_dps_has_for_it() {
    let stand = Stand::start(&[]).await;
    let (first, _) = stand.bridge_by_dps(None);
    send(&first, "line-1-a").await;
    let standing = async |bridge: &Gateway, device: &str, within: &str, ask: bool| {
        let found = bridge.standing(id(device), prefix(within), ask, soon());
        found.await.unwrap()
    };
    let outside = || Standing::Outside(id("line-1-a"));
    // Connected, and remembered.
    assert_eq!(
        standing(&first, "Line-1-A", "Line-1-", false).await,
        outside()
    );
    assert_eq!(
        standing(&first, "line-1-a", "line-1-", false).await,
        Standing::Within
    );

    // A bridge that does not know the device yet.
    let (second, _) = stand.bridge_by_dps(None);
    assert_eq!(
        standing(&second, "Line-1-A", "Line-1-", false).await,
        Standing::Within
    );
    assert_eq!(
        standing(&second, "Line-1-A", "Line-1-", true).await,
        outside()
    );
    assert_eq!(
        standing(&second, "Line-1-A", "Line-1-", false).await,
        outside()
    );
    // It is called as at DPS, for those who may reach it.
    assert_eq!(listed(&second, "", "").await, ["line-1-a"]);
    send(&second, "line-1-a").await;

    // By somebody who may reach all, under a name that is not that of DPS.
    let (third, _) = stand.bridge_by_dps(None);
    send(&third, "Line-1-A").await;
    assert_eq!(listed(&third, "", "").await, ["Line-1-A"]);
    assert!(listed(&third, "Line-1-", "Line-1-").await.is_empty());
    assert_eq!(
        standing(&third, "Line-1-A", "Line-1-", true).await,
        outside()
    );
    assert_eq!(
        standing(&third, "line-1-a", "line-1-", true).await,
        Standing::Within
    );
    // Subscriptions of the fleet are made for those alone that their maker may reach.
    for (begin, path) in [("Line-1-", "/theirs"), ("line-1-", "/ours")] {
        let mut subscribe = stand.subscribe_to(Scope::Fleet(prefix(begin)), Methods, path);
        subscribe.limited = true;
        third.subscribe(subscribe, soon()).await.unwrap();
    }
    while stand.call("line-1-a").await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(stand.receiver.at("/ours").len(), 1);
    assert!(stand.receiver.at("/theirs").is_empty());
}

#[tokio::test]
async fn a_second_key_that_is_added_while_it_runs_registers_devices() {
    let stand = Stand::start(&[]).await;
    let wrong = SymmetricKey::from_base64("MDEyMzQ1Njc4OWFiY2RlZg==").unwrap();
    let keys = KeyPair::single(wrong);
    let (bridge, credentials) = stand.bridge_by_dps_with(keys.clone(), None);
    let refused = bridge.register(id("d1"), None, soon()).await;
    assert!(
        matches!(refused, Err(DeviceError::Refused(_))),
        "{refused:?}"
    );
    let pair = KeyPair {
        secondary: Some(stand.group_key()),
        ..keys
    };
    credentials.replace(Keys::Group(pair)).unwrap();
    assert_eq!(bridge.register(id("d2"), None, soon()).await, Ok(()));
}
