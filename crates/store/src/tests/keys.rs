//! Key rings: missing keys, and new keys with and without a running store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use drawspan_hub::SubscriptionType;

use super::tables::{letter, subscription, subscriptions};
use super::{id, open, sql};
use crate::key_rotation::ring_that_seals;
use crate::keyring::Keys;
use crate::manage::{KeyRow, ManageError, Progress, list_keys, prune_keys, rotate_keys};
use crate::{DeadLetterFilter, Store};

pub(super) fn keyring(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("keyring")
}

pub(super) fn quiet(_: Progress) {}

/// Number, current, rows of each key.
pub(super) fn keys(directory: &Path) -> Vec<(u32, bool, u64)> {
    let list = list_keys(directory, &directory.join("keyring")).unwrap();
    let row = |key: &KeyRow| (key.version, key.is_current, key.rows);
    list.keys.iter().map(row).collect()
}

async fn fill(store: &Store, count: usize) {
    let handle = store.subscriptions();
    let mut written = Vec::new();
    for number in 0..count {
        let url = format!("https://x.test/{number}");
        let device = format!("d-{number:06}");
        written.push(handle.put(subscription(&device, SubscriptionType::Methods, &url)));
        store
            .dead_letters()
            .put(letter(&format!("w-{number}"), &device, b"{\"a\":1}"));
    }
    for written in written {
        written.await.unwrap();
    }
}

/// Waits until a running store took up a change.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) async fn letters(store: &Store) -> usize {
    let filter = DeadLetterFilter {
        limit: 100_000,
        ..DeadLetterFilter::default()
    };
    store.dead_letters().list(filter).await.unwrap().len()
}

/// A directory with ten subscriptions and ten dead letters, closed.
pub(super) async fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()).unwrap(), 10).await;
    folder
}

#[tokio::test]
async fn a_key_ring_that_will_not_do_stops_the_start_and_changes_nothing() {
    let check = async |change: &dyn Fn(&Path), expected: &[&str]| {
        let folder = filled().await;
        let path = keyring(&folder);
        let good = fs::read_to_string(&path).unwrap();
        change(&path);
        let before = fs::read(&path).ok();
        let error = open(folder.path()).unwrap_err().to_string();
        for expected in expected.iter().chain(&["keyring", "nothing was changed"]) {
            assert!(error.contains(expected), "{error}: not {expected}");
        }
        assert_eq!(fs::read(&path).ok(), before);
        // What was said helps.
        fs::write(&path, good).unwrap();
        let store = open(folder.path()).unwrap();
        assert_eq!(
            (subscriptions(&store).len(), letters(&store).await),
            (10, 10)
        );
    };
    check(
        &|path| fs::remove_file(path).unwrap(),
        &["no key ring", "20 stored values", "key 1"],
    )
    .await;
    check(&|path| fs::write(path, "").unwrap(), &["cannot be used"]).await;
    let cut = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, &text[..text.len() - 3]).unwrap();
    };
    check(&cut, &["key 1 is damaged"]).await;
    let other = |path: &Path| {
        fs::remove_file(path).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        drop(Store::open(elsewhere.path(), path).unwrap());
    };
    check(&other, &["key 1 of the key ring", "is not the one"]).await;
    let renumbered = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(
            path,
            text.replace("key 1", "key 4")
                .replace("current 1", "current 4"),
        )
        .unwrap();
    };
    check(&renumbered, &["key 1 is missing"]).await;
}

#[tokio::test]
async fn a_key_ring_is_made_only_where_nothing_needs_one() {
    let folder = filled().await;
    sql(folder.path(), "DELETE FROM subscriptions");
    fs::remove_file(keyring(&folder)).unwrap();
    open(folder.path()).unwrap_err();
    assert!(!keyring(&folder).exists());
    sql(folder.path(), "DELETE FROM dead_letters");
    drop(open(folder.path()).unwrap());
    // The lost key's number is not used again.
    assert_eq!(keys(folder.path()), [(2, true, 0)]);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_reads_the_key_ring() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = filled().await;
    let mode = || fs::metadata(keyring(&folder)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    fs::set_permissions(keyring(&folder), fs::Permissions::from_mode(0o644)).unwrap();
    // With a warning.
    drop(open(folder.path()).unwrap());
    rotate_keys(folder.path(), &keyring(&folder), &mut quiet).unwrap();
    assert_eq!(mode(), 0o600);
}

#[tokio::test]
async fn a_store_that_nobody_uses_gets_a_new_key() {
    let folder = filled().await;
    let before = subscriptions(&open(folder.path()).unwrap());
    let mut seen = Vec::new();
    let rotated = rotate_keys(folder.path(), &keyring(&folder), &mut |it| seen.push(it)).unwrap();
    assert_eq!(
        (rotated.version, rotated.left, rotated.beside),
        (2, 0, false)
    );
    assert_eq!(seen.last(), Some(&Progress { done: 20, all: 20 }));
    assert_eq!(keys(folder.path()), [(1, false, 0), (2, true, 20)]);
    let pruned = prune_keys(folder.path(), &keyring(&folder), &mut quiet).unwrap();
    assert_eq!((pruned.removed, pruned.left), (vec![1], vec![2]));
    let store = open(folder.path()).unwrap();
    assert_eq!(subscriptions(&store), before);
    assert_eq!(letters(&store).await, 10);
}

#[tokio::test]
async fn what_an_ended_rotation_left_is_done_at_the_next_start() {
    let folder = filled().await;
    let ring = keyring(&folder);
    rotate_keys(folder.path(), &ring, &mut quiet).unwrap();
    // As if it had been ended before: some rows have the old key.
    let store = open(folder.path()).unwrap();
    let old = fs::read_to_string(&ring).unwrap();
    drop(store);
    fs::write(&ring, old.replace("current 2", "current 1")).unwrap();
    fill(&open(folder.path()).unwrap(), 5).await;
    fs::write(&ring, old).unwrap();
    let store = open(folder.path()).unwrap();
    until("every row has the new key", || {
        keys(folder.path())[0].2 == 0
    });
    assert_eq!(keys(folder.path()), [(1, false, 0), (2, true, 20)]);
    assert_eq!(subscriptions(&store).len(), 10);
}

#[tokio::test]
async fn a_row_that_cannot_be_decrypted_keeps_its_key_in_the_ring() {
    let folder = filled().await;
    let ring = keyring(&folder);
    sql(
        folder.path(),
        "UPDATE subscriptions SET flags = 0 WHERE name = 'd-000003'; UPDATE dead_letters SET event = x'00' WHERE webhook_id = 'w-4'",
    );
    let rotated = rotate_keys(folder.path(), &ring, &mut quiet).unwrap();
    assert_eq!(rotated.left, 2);
    let pruned = prune_keys(folder.path(), &ring, &mut quiet).unwrap();
    assert_eq!((pruned.removed, pruned.needed), (vec![], vec![(1, 2)]));
    assert_eq!(keys(folder.path()), [(1, false, 2), (2, true, 18)]);
}

#[test]
fn commands_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let check = |result: Result<(), ManageError>, expected: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: not {expected}");
    };
    let ring = keyring(&folder);
    let rotate = |ring: &Path| rotate_keys(folder.path(), ring, &mut quiet).map(drop);
    check(rotate(&ring), "drawspan serve --state");
    check(
        list_keys(folder.path(), &ring).map(drop),
        "drawspan serve --state",
    );
    assert!(!folder.path().join("drawspan.db").exists());
    drop(open(folder.path()).unwrap());
    let elsewhere = folder.path().join("elsewhere");
    check(rotate(&elsewhere), "--keyring");
    let other = tempfile::tempdir().unwrap();
    drop(open(other.path()).unwrap());
    check(
        rotate(&keyring(&other)),
        "is not the key ring of this state directory",
    );
    assert_eq!(keys(folder.path()), [(1, true, 0)]);
    assert_eq!(keys(other.path()), [(1, true, 0)]);
}

/// A bridge writes continuously while keys are rotated and pruned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_exchanged_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    fill(&store, 200).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let handles = (store.subscriptions(), store.dead_letters());
    let load = tokio::spawn(async move {
        let mut stopped = std::pin::pin!(stopped);
        let mut number = 0_u32;
        loop {
            let device = format!("d-{:06}", number % 250);
            let url = format!("https://x.test/{number}");
            let put = subscription(&device, SubscriptionType::Methods, &url);
            handles
                .1
                .put(letter(&format!("w-{}", number % 250), &device, b"{}"));
            handles.0.put(put).await.unwrap();
            number += 1;
            if number > 250 && stopped.as_mut().try_recv().is_ok() {
                return number;
            }
        }
    });
    let directory = folder.path().to_path_buf();
    let rotations = tokio::task::spawn_blocking(move || {
        for version in 2..=3 {
            let ring = directory.join("keyring");
            let rotated = rotate_keys(&directory, &ring, &mut quiet).unwrap();
            assert_eq!((rotated.version, rotated.beside), (version, true));
            assert_eq!(rotated.left, 0);
            let pruned = prune_keys(&directory, &ring, &mut quiet).unwrap();
            assert_eq!(pruned.left, [version]);
        }
    });
    rotations.await.unwrap();
    stop.send(()).unwrap();
    let puts = load.await.unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    let found = store.subscriptions().load_all().unwrap();
    assert_eq!(found.len(), 250);
    // Each as it was put last.
    let last = store
        .subscriptions()
        .load_device(&id(&format!("d-{:06}", (puts - 1) % 250)));
    let url = secrecy::ExposeSecret::expose_secret(&last.unwrap()[0].callback_url).to_owned();
    assert_eq!(url, format!("https://x.test/{}", puts - 1));
    assert_eq!(letters(&store).await, 250);
    assert_eq!(store.dead_letters().lost(), 0);
}

/// The key is gone before the store that runs has looked: it looks before it seals.
#[tokio::test]
async fn a_key_that_was_removed_seals_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let ring = keyring(&folder);
    rotate_keys(folder.path(), &ring, &mut quiet).unwrap();
    let pruned = prune_keys(folder.path(), &ring, &mut quiet).unwrap();
    assert_eq!(pruned.removed, [1]);
    fill(&store, 3).await;
    assert_eq!(keys(folder.path()), [(2, true, 6)]);
}

#[tokio::test]
async fn a_key_ring_that_cannot_be_read_seals_with_the_old_key_while_it_is_there() {
    let folder = filled().await;
    let ring = keyring(&folder);
    let path = folder.path().join("drawspan.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let held = Keys::open(&ring, &[]).unwrap();
    let current = || {
        let ring = ring_that_seals(&connection, &held, &mut None);
        ring.map(|ring| ring.current())
    };
    assert_eq!(current().unwrap(), 1);
    rotate_keys(folder.path(), &ring, &mut quiet).unwrap();
    let text = fs::read_to_string(&ring).unwrap();
    fs::write(&ring, "damaged").unwrap();
    assert_eq!(current().unwrap(), 1);
    fs::write(&ring, &text).unwrap();
    prune_keys(folder.path(), &ring, &mut quiet).unwrap();
    fs::write(&ring, "damaged").unwrap();
    let error = current().unwrap_err().to_string();
    assert!(error.contains("key ring"), "{error}");
    fs::write(&ring, &text).unwrap();
    assert_eq!(current().unwrap(), 2);
}
