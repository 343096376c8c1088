//! Rows that no key decrypts: listed, and removed only on request.

use std::fs;
use std::path::Path;

use drawspan_hub::SubscriptionType;

use super::keys::{filled, keyring, keys, letters, quiet};
use super::tables::{subscription, subscriptions};
use super::{entry, id, names, open, settle, sql};
use crate::manage::{
    ManageError, Unreadable, list_unreadable, prune_keys, remove_unreadable, rotate_keys,
};
use crate::{OpenError, Store, StoredScope};

fn list(directory: &Path) -> Unreadable {
    list_unreadable(directory, &directory.join("keyring")).unwrap()
}

/// Removes what cannot be read, which must be what is listed; returns the number of a new key.
fn remove(directory: &Path) -> (Unreadable, Option<u32>) {
    let listed = list(directory);
    let removed = remove_unreadable(directory, &directory.join("keyring")).unwrap();
    assert_eq!(removed.rows, listed);
    assert_eq!(list(directory), Unreadable::default());
    (listed, removed.new_key)
}

async fn put(store: &Store, device: &str) {
    let put = subscription(device, SubscriptionType::Methods, "https://x.test/");
    store.subscriptions().put(put).await.unwrap();
}

/// Another directory's key ring in place of this one's.
fn exchange(path: &Path) {
    fs::remove_file(path).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    drop(Store::open(elsewhere.path(), path).unwrap());
}

#[tokio::test]
async fn where_everything_opens_nothing_is_removed() {
    let folder = filled().await;
    let before = fs::read(keyring(&folder)).unwrap();
    let (found, new_key) = remove(folder.path());
    assert!(found.is_empty());
    assert_eq!(new_key, None);
    assert_eq!(fs::read(keyring(&folder)).unwrap(), before);
    let store = open(folder.path()).unwrap();
    assert_eq!(
        (subscriptions(&store).len(), letters(&store).await),
        (10, 10)
    );
}

#[tokio::test]
async fn without_the_key_everything_goes_that_needs_it_and_the_bridge_starts() {
    let check = async |lose: &dyn Fn(&Path), why: &str, new_key: Option<u32>| {
        let folder = filled().await;
        let store = open(folder.path()).unwrap();
        store.hub_cache().put(entry("d-000001", "one.test"));
        store.desired_marks().put(id("d-000001"), super::mark(7));
        settle(&store).await;
        drop(store);
        lose(&keyring(&folder));
        open(folder.path()).unwrap_err();
        let (found, made) = remove(folder.path());
        assert_eq!((found.subscriptions.len(), found.dead_letters), (10, 10));
        let first = &found.subscriptions[0];
        assert_eq!(first.scope, StoredScope::Device("d-000000".into()));
        assert_eq!(first.kind, Some(SubscriptionType::Methods));
        assert_eq!(first.why, why);
        assert_eq!(made, new_key);
        // All else is there, and the store is one like any other.
        let store = open(folder.path()).unwrap();
        assert_eq!(subscriptions(&store), Vec::<String>::new());
        assert_eq!(names(&store), ["d-000001"]);
        let versions = store.desired_marks().load_all().unwrap();
        assert_eq!(versions, [(id("d-000001"), super::mark(7))]);
        put(&store, "again").await;
        drop(store);
        let rotated = rotate_keys(folder.path(), &keyring(&folder), &mut quiet).unwrap();
        // The lost key's number is not used again.
        assert_eq!((rotated.version, rotated.left), (3, 0));
        let pruned = prune_keys(folder.path(), &keyring(&folder), &mut quiet).unwrap();
        assert_eq!(pruned.left, [3]);
        assert_eq!(subscriptions(&open(folder.path()).unwrap()).len(), 1);
    };
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    check(&gone, "the key ring has no key 1", None).await;
    let sealed = "it was not sealed by key 1 for this row";
    check(&exchange, sealed, Some(2)).await;
}

#[tokio::test]
async fn rows_of_keys_that_are_there_stay() {
    let folder = filled().await;
    let ring = keyring(&folder);
    let old = fs::read_to_string(&ring).unwrap();
    let keep = "CREATE TABLE kept AS SELECT * FROM subscriptions WHERE name < 'd-000005'";
    sql(folder.path(), keep);
    rotate_keys(folder.path(), &ring, &mut quiet).unwrap();
    let put_back = "INSERT OR REPLACE INTO subscriptions SELECT * FROM kept; DROP TABLE kept";
    sql(folder.path(), put_back);
    // The ring is as it was before the new key was made.
    fs::write(&ring, old).unwrap();
    open(folder.path()).unwrap_err();
    let (found, new_key) = remove(folder.path());
    let names: Vec<_> = found.subscriptions.iter().map(|it| &it.scope).collect();
    let lost = (5..10).map(|number| StoredScope::Device(format!("d-{number:06}")));
    assert_eq!(names, lost.collect::<Vec<_>>().iter().collect::<Vec<_>>());
    assert_eq!((found.dead_letters, new_key), (10, Some(3)));
    let store = open(folder.path()).unwrap();
    assert_eq!(subscriptions(&store).len(), 5);
    drop(store);
    rotate_keys(folder.path(), &ring, &mut quiet).unwrap();
    assert_eq!(keys(folder.path()).last(), Some(&(4, true, 5)));
}

#[tokio::test]
async fn rows_that_were_changed_go_whatever_was_put_in() {
    let check = async |change: &str, expected: (&str, Option<SubscriptionType>)| {
        let folder = filled().await;
        let set = format!("UPDATE subscriptions SET {change} WHERE name = 'd-000003'");
        sql(folder.path(), &set);
        if let Ok(store) = open(folder.path()) {
            let error = store.subscriptions().load_all().unwrap_err().to_string();
            assert!(error.contains("cannot be decrypted"), "{change}: {error}");
        }
        let (found, new_key) = remove(folder.path());
        assert_eq!((found.dead_letters, new_key), (0, None), "{change}");
        let [found] = found.subscriptions.as_slice() else {
            panic!("{change}: {found:?}");
        };
        let (StoredScope::Device(name) | StoredScope::Fleet(name)) = &found.scope;
        assert_eq!((name.as_str(), found.kind), expected, "{change}");
        let store = open(folder.path()).unwrap();
        assert_eq!(subscriptions(&store).len(), 9, "{change}");
    };
    let methods = Some(SubscriptionType::Methods);
    for change in [
        "scope = 1",
        "scope = 300",
        "scope = 1.5",
        "key_version = 'x'",
        "key_version = 7",
        "callback = x''",
        "callback = 'text'",
        "created_unix_ms = created_unix_ms + 1",
        "created_unix_ms = 'x'",
        "flags = -1",
    ] {
        check(change, ("d-000003", methods)).await;
    }
    check("name = 'other'", ("other", methods)).await;
    check("name = x'6162'", ("ab", methods)).await;
    check("name = CAST(x'61ff' AS TEXT)", ("a\u{fffd}", methods)).await;
    check("kind = 9", ("d-000003", None)).await;
    check("kind = 'x'", ("d-000003", None)).await;
}

#[tokio::test]
async fn dead_letters_that_were_changed_go_by_themselves() {
    let folder = filled().await;
    sql(
        folder.path(),
        "UPDATE dead_letters SET event = x'00' WHERE webhook_id = 'w-4';
         UPDATE dead_letters SET device = 'a b' WHERE webhook_id = 'w-5';
         UPDATE dead_letters SET attempts = 'x' WHERE webhook_id = 'w-6'",
    );
    let (found, new_key) = remove(folder.path());
    assert_eq!((found.dead_letters, new_key), (3, None));
    let store = open(folder.path()).unwrap();
    assert_eq!(
        (subscriptions(&store).len(), letters(&store).await),
        (10, 7)
    );
}

#[tokio::test]
async fn beside_a_bridge_it_is_only_told() {
    let folder = filled().await;
    sql(folder.path(), "UPDATE subscriptions SET flags = 0");
    let store = open(folder.path()).unwrap();
    assert_eq!(list(folder.path()).subscriptions.len(), 10);
    let error = remove_unreadable(folder.path(), &keyring(&folder)).unwrap_err();
    let in_use = matches!(error, ManageError::Open(OpenError::InUse { .. }));
    assert!(in_use, "{error}");
    drop(store);
    assert_eq!(list(folder.path()).subscriptions.len(), 10);
}

#[tokio::test]
async fn what_is_damaged_or_not_there_is_not_taken_for_lost() {
    let check = |directory: &Path, expected: &str| {
        let ring = directory.join("keyring");
        let removed = remove_unreadable(directory, &ring).map(drop);
        let error = removed.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: not {expected}");
    };
    let folder = filled().await;
    check(&folder.path().join("none"), "is that the state directory?");
    let good = fs::read_to_string(keyring(&folder)).unwrap();
    fs::write(keyring(&folder), &good[..good.len() - 3]).unwrap();
    check(folder.path(), "key 1 is damaged");
    fs::write(keyring(&folder), good).unwrap();
    // A page of the file.
    let path = folder.path().join("drawspan.db");
    let mut bytes = fs::read(&path).unwrap();
    for page in 3..8 {
        bytes[page * 4_096..][8..4_000].fill(0x5a);
    }
    fs::write(&path, bytes).unwrap();
    check(folder.path(), "the file is damaged");
    // Values that cannot be identified are not touched either.
    fs::write(&path, "nothing of ours".repeat(500)).unwrap();
    check(folder.path(), "is not a store of Drawspan");
}
