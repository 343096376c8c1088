//! Rows that were tampered with, and files of the first format.

use drawspan_hub::SubscriptionType;

use super::tables::{letter, subscription, subscriptions};
use super::{NOW, entry, id, names, open, sql};
use crate::limits::HUB_CACHE_LIFE_S;
use crate::{DeadLetterFilter, Store, StoreError};
use std::collections::HashSet;

const EVERYTHING: DeadLetterFilter = DeadLetterFilter {
    device: None,
    prefix: String::new(),
    kind: None,
    after: None,
    limit: 100,
};

/// Two devices with two subscriptions each.
async fn some_subscriptions(store: &Store) {
    let handle = store.subscriptions();
    for device in ["a", "b"] {
        for kind in [SubscriptionType::Methods, SubscriptionType::C2dMessages] {
            let url = format!("https://{device}.test/{kind}");
            handle.put(subscription(device, kind, &url)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn rows_that_were_changed_stop_the_start() {
    let check = async |change: &str| {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        some_subscriptions(&store).await;
        sql(folder.path(), change);
        let error = store.subscriptions().load_all().unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Sealed { .. }), "{text}");
        assert!(text.contains("the subscription of "), "{text}");
        assert!(text.contains("drawspan restore"), "{text}");
        assert!(!text.contains("test/"), "{text}");
    };
    // The URLs of two devices, and of two kinds, exchanged.
    let exchange = |one: &str, other: &str| {
        format!(
            "CREATE TEMP TABLE kept AS SELECT * FROM subscriptions;
             UPDATE subscriptions SET callback = (SELECT callback FROM kept WHERE {other}) WHERE {one};
             UPDATE subscriptions SET callback = (SELECT callback FROM kept WHERE {one}) WHERE {other};"
        )
    };
    check(&exchange(
        "name = 'a' AND kind = 1",
        "name = 'b' AND kind = 1",
    ))
    .await;
    check(&exchange(
        "name = 'a' AND kind = 1",
        "name = 'a' AND kind = 2",
    ))
    .await;
    // Each column by itself.
    for change in [
        "scope = 1",
        "name = 'c'",
        "kind = 0",
        "kind = 9",
        "created_unix_ms = created_unix_ms + 1",
        "flags = flags | 2",
        "callback = substr(callback, 1, length(callback) - 1)",
        "callback = x''",
        "callback = zeroblob(100)",
        "key_version = 2",
    ] {
        check(&format!(
            "UPDATE subscriptions SET {change} WHERE name = 'a' AND kind = 1"
        ))
        .await;
    }
}

#[tokio::test]
async fn dead_letters_that_were_changed_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let letters = store.dead_letters();
    for name in ["w1", "w2", "w3", "w4"] {
        letters.put(letter(name, "a", b"{}"));
    }
    assert!(!letters.remove(99).await.unwrap());
    sql(
        folder.path(),
        "UPDATE dead_letters SET event = (SELECT event FROM dead_letters WHERE webhook_id = 'w2') WHERE webhook_id = 'w1';
         UPDATE dead_letters SET device = 'b' WHERE webhook_id = 'w3'",
    );
    let found = letters.list(EVERYTHING).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|it| it.letter.webhook_id.as_str())
        .collect();
    assert_eq!(found, ["w2", "w4"]);
    let error = letters.get(1).await.unwrap_err();
    assert!(error.to_string().contains("dead letter 1"), "{error}");
    // They can be removed all the same, and go when they are the oldest.
    assert!(letters.remove(1).await.unwrap());
}

/// What a store of the first format had.
pub(super) const FORMAT_1: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE hub_cache (device TEXT PRIMARY KEY, hub TEXT NOT NULL, assigned TEXT, renewed_unix_s INTEGER NOT NULL) WITHOUT ROWID;
    PRAGMA application_id = 1148351344; PRAGMA user_version = 1;
    INSERT INTO hub_cache VALUES ('a', 'one.test', NULL, 2000000000), ('b', 'two.test', 'other', 2000000001);";

#[tokio::test]
async fn a_store_of_the_first_format_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    sql(folder.path(), FORMAT_1);
    let listed = crate::manage::list_keys(folder.path(), &folder.path().join("keyring"));
    let error = listed.unwrap_err().to_string();
    assert!(error.contains("of an earlier version"), "{error}");
    let store = open(folder.path()).unwrap();
    assert_eq!(names(&store), ["a", "b"]);
    some_subscriptions(&store).await;
    assert_eq!(subscriptions(&store).len(), 4);
    drop(store);
    let store = open(folder.path()).unwrap();
    let hubs = store.hub_cache().load_all().unwrap();
    assert_eq!(hubs[0], entry("a", "one.test"));
    assert_eq!(hubs[1].assigned, Some(id("other")));
    assert_eq!(subscriptions(&store).len(), 4);
}

#[tokio::test]
async fn hubs_of_subscribed_devices_are_not_collected() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let (cache, versions) = (store.hub_cache(), store.desired_marks());
    for device in ["own", "kept-1", "status-1", "none", "kep"] {
        cache.put(entry(device, "one.test"));
        versions.put(id(device), super::mark(1));
    }
    let handle = store.subscriptions();
    let fleet = |prefix: &str, keep_connected| crate::StoredSubscription {
        scope: crate::StoredScope::Fleet(prefix.into()),
        keep_connected,
        ..subscription("", SubscriptionType::ConnectionStatus, "https://x.test/")
    };
    let own = subscription("own", SubscriptionType::ConnectionStatus, "https://x.test/");
    handle.put(own).await.unwrap();
    handle.put(fleet("kept-", true)).await.unwrap();
    handle.put(fleet("status-", false)).await.unwrap();
    let later = NOW + HUB_CACHE_LIFE_S + 1;
    assert_eq!(cache.collect(later, HashSet::new()).await.unwrap(), 3);
    assert_eq!(names(&store), ["kept-1", "own"]);
    let left = versions.load_all().unwrap();
    assert_eq!(
        left,
        [(id("kept-1"), super::mark(1)), (id("own"), super::mark(1))]
    );
}
