//! Copies of a store, and their use.

use std::fs;
use std::path::{Path, PathBuf};

use drawspan_hub::SubscriptionType;

use super::tables::{letter, subscription, subscriptions};
use super::{entry, id, names, open, settle, sql};
use crate::manage::{
    BackedUp, Backup, ManageError, Restore, Restored, backup, keyring_beside, restore,
};
use crate::{Store, StoredScope};

fn save(directory: &Path, to: &Path, with_keyring: bool) -> Result<BackedUp, ManageError> {
    let keyring = directory.join("keyring");
    let what = Backup {
        directory,
        to,
        keyring: with_keyring.then_some(&keyring),
        force: false,
    };
    backup(&what, &mut |_| {})
}

fn put_back(from: &Path, directory: &Path, force: bool) -> Result<Restored, ManageError> {
    let what = Restore {
        from,
        directory,
        keyring: &directory.join("keyring"),
        force,
    };
    restore(&what, &mut |_| {})
}

async fn put(store: &Store, device: &str) {
    let url = format!("https://x.test/{device}");
    let put = subscription(device, SubscriptionType::Methods, &url);
    store.subscriptions().put(put).await.unwrap();
}

/// A directory with a little of everything, and its backup.
async fn backed_up(with_keyring: bool) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let store = open(&state).unwrap();
    store.hub_cache().put(entry("a", "one.test"));
    store.desired_marks().put(id("a"), super::mark(7));
    store.dead_letters().put(letter("w1", "a", b"{}"));
    put(&store, "a").await;
    put(&store, "b").await;
    let to = folder.path().join("backup.db");
    let done = save(&state, &to, with_keyring).unwrap();
    assert_eq!((done.subscriptions, done.keys), (2, vec![1]));
    (folder, to)
}

fn files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_goes_back_into_another_directory() {
    let (folder, from) = backed_up(true).await;
    assert_eq!(
        files(folder.path()),
        ["backup.db", "backup.db.keyring", "state"]
    );
    let other = folder.path().join("other");
    let done = put_back(&from, &other, false).unwrap();
    let counts = (done.subscriptions, done.dead_letters, done.hubs);
    assert_eq!((counts, done.with_keys), ((2, 1, 1), true));
    assert_eq!(done.kept, Vec::<PathBuf>::new());
    let expected = ["drawspan.db", "drawspan.lock", "drawspan.mark", "keyring"];
    assert_eq!(files(&other), expected);
    let store = open(&other).unwrap();
    assert_eq!(
        subscriptions(&store),
        subscriptions(&open(folder.path().join("state")).unwrap())
    );
    assert_eq!(names(&store), ["a"]);
    assert_eq!(
        store.desired_marks().load_all().unwrap(),
        [(id("a"), super::mark(7))]
    );
    assert!(store.dead_letters().get(1).await.unwrap().is_some());
    // It is a store like any other.
    put(&store, "c").await;
    #[cfg(unix)]
    for file in [
        from.clone(),
        keyring_beside(&from),
        other.join("keyring"),
        other.join("drawspan.db"),
    ] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn what_cannot_be_restored_changes_nothing() {
    let (folder, from) = backed_up(false).await;
    let state = folder.path().join("state");
    let check = |from: &Path, directory: &Path, force: bool, expected: &str| {
        let before = (
            files(directory),
            fs::read(directory.join("drawspan.db")).ok(),
        );
        let error = put_back(from, directory, force).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: not {expected}");
        // That is what is being done.
        assert!(!error.contains("drawspan restore"), "{error}");
        let after = (
            files(directory),
            fs::read(directory.join("drawspan.db")).ok(),
        );
        assert!(before == after, "{expected}: {:?}, {:?}", before.0, after.0);
    };
    check(&from, &state, false, "--force");
    let store = open(&state).unwrap();
    check(&from, &state, true, "is in use by another process");
    drop(store);
    // Its keys are elsewhere.
    let other = folder.path().join("other");
    drop(open(&other).unwrap());
    check(&from, &other, true, "key 1 of the key ring");
    fs::remove_file(other.join("keyring")).unwrap();
    check(&from, &other, true, "there is no key ring");
    check(&state, &state, true, "it is a directory");
    check(
        &folder.path().join("none.db"),
        &state,
        true,
        "cannot be restored",
    );
    let bad = folder.path().join("bad.db");
    fs::write(&bad, "no database at all".repeat(100)).unwrap();
    check(&bad, &state, true, "is not a store of Drawspan");
    fs::write(&bad, "").unwrap();
    check(&bad, &state, true, "it is empty");
    // One page of it is another.
    let mut bytes = fs::read(&from).unwrap();
    let middle = 4_096 * 2;
    bytes[middle..middle + 2_000].fill(0x5a);
    fs::write(&bad, bytes).unwrap();
    check(&bad, &state, true, "bad.db cannot be restored");
    // All but its end.
    let bytes = fs::read(&from).unwrap();
    for left in [bytes.len() / 2, 4_096, 2_000] {
        fs::write(&bad, &bytes[..left]).unwrap();
        check(&bad, &state, true, "it is damaged, or not all of it");
    }
    assert_eq!(subscriptions(&open(&state).unwrap()).len(), 2);
    // A row of it was changed.
    fs::copy(&from, &bad).unwrap();
    let connection = rusqlite::Connection::open(&bad).unwrap();
    connection
        .execute("UPDATE subscriptions SET name = 'x' WHERE name = 'b'", [])
        .unwrap();
    drop(connection);
    check(&bad, &state, true, "the subscription of device \"x\"");
}

#[tokio::test]
async fn what_is_replaced_is_kept() {
    let (folder, from) = backed_up(true).await;
    let state = folder.path().join("state");
    let store = open(&state).unwrap();
    put(&store, "later").await;
    drop(store);
    let done = put_back(&from, &state, true).unwrap();
    assert_eq!(done.kept, [state.join("drawspan.db.before-restore")]);
    assert!(!done.with_keys);
    assert_eq!(subscriptions(&open(&state).unwrap()).len(), 2);
    // And back again; another name is found for what is kept.
    let done = put_back(&done.kept[0], &state, true).unwrap();
    assert_eq!(done.kept, [state.join("drawspan.db.before-restore-2")]);
    assert_eq!(subscriptions(&open(&state).unwrap()).len(), 3);

    // Another directory's key has the same number: its key ring gives way, and is kept.
    let other = folder.path().join("other");
    drop(open(&other).unwrap());
    let own = fs::read(other.join("keyring")).unwrap();
    let done = put_back(&from, &other, true).unwrap();
    assert_eq!(done.kept[0], other.join("keyring.before-restore"));
    assert_eq!(fs::read(&done.kept[0]).unwrap(), own);
    assert_eq!(subscriptions(&open(&other).unwrap()).len(), 2);
}

#[tokio::test]
async fn a_log_of_the_old_store_is_not_taken_for_the_new_ones() {
    let (folder, from) = backed_up(false).await;
    let state = folder.path().join("state");
    // As a process leaves it that was ended: what was written last is in the log alone.
    let store = open(&state).unwrap();
    put(&store, "in-the-log").await;
    let wal = fs::read(state.join("drawspan.db-wal")).unwrap();
    drop(store);
    for damaged in [false, true] {
        fs::write(state.join("drawspan.db-wal"), &wal).unwrap();
        if damaged {
            fs::write(state.join("drawspan.db"), "damaged").unwrap();
        }
        put_back(&from, &state, true).unwrap();
        assert!(!state.join("drawspan.db-wal").exists());
        let found = subscriptions(&open(&state).unwrap());
        assert_eq!(found.len(), 2, "{found:?}");
    }
}

#[tokio::test]
async fn a_backup_of_the_first_format_and_one_with_an_older_key() {
    let (folder, from) = backed_up(false).await;
    let state = folder.path().join("state");
    let ring = state.join("keyring");
    crate::manage::rotate_keys(&state, &ring, &mut |_| {}).unwrap();
    put_back(&from, &state, true).unwrap();
    assert_eq!(subscriptions(&open(&state).unwrap()).len(), 2);
    // A number is not used twice, though the restored file knows of one key only.
    let rotated = crate::manage::rotate_keys(&state, &ring, &mut |_| {}).unwrap();
    assert_eq!(rotated.version, 3);

    let old = folder.path().join("old");
    fs::create_dir(&old).unwrap();
    sql(&old, super::rows::FORMAT_1);
    let done = put_back(&old.join("drawspan.db"), &folder.path().join("new"), false).unwrap();
    assert_eq!((done.subscriptions, done.hubs), (0, 2));
    assert_eq!(names(&open(folder.path().join("new")).unwrap()), ["a", "b"]);
}

#[tokio::test]
async fn files_in_the_way_are_left_alone() {
    let (folder, from) = backed_up(true).await;
    let state = folder.path().join("state");
    let error = save(&state, &from, false).unwrap_err().to_string();
    assert!(error.contains("backup.db is there already"), "{error}");
    fs::remove_file(&from).unwrap();
    let error = save(&state, &from, true).unwrap_err().to_string();
    assert!(
        error.contains("backup.db.keyring is there already"),
        "{error}"
    );
    let nowhere = folder.path().join("none");
    let error = save(&nowhere, &nowhere.join("x"), false).unwrap_err();
    assert!(matches!(error, ManageError::NoStore { .. }), "{error}");
}

/// Each backup is of one moment: what was written in pairs is there in pairs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_while_others_write_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let store = open(&state).unwrap();
    // Many pages, so that it takes some steps.
    for number in 0..30_000 {
        store
            .hub_cache()
            .put(entry(&format!("d-{number}-{}", "x".repeat(90)), "one.test"));
        if number % 10_000 == 0 {
            settle(&store).await;
        }
    }
    settle(&store).await;
    let handle = store.subscriptions();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let load = tokio::spawn(async move {
        let mut number = 0_u32;
        while stopped.try_recv().is_err() {
            for kind in [SubscriptionType::Methods, SubscriptionType::C2dMessages] {
                let put = subscription(&format!("p-{number}"), kind, "https://x.test/");
                handle.put(put).await.unwrap();
            }
            number += 1;
        }
        number
    });
    let directory = state.clone();
    let copies = tokio::task::spawn_blocking(move || {
        let mut steps = 0;
        for number in 0..3 {
            let to = directory.join(format!("copy-{number}.db"));
            let what = Backup {
                directory: &directory,
                to: &to,
                keyring: None,
                force: false,
            };
            backup(&what, &mut |_| steps += 1).unwrap();
        }
        steps
    });
    assert!(copies.await.unwrap() > 6);
    stop.send(()).unwrap();
    let written = load.await.unwrap();
    drop(store);
    let mut before = 0;
    for number in 0..3 {
        let copy = state.join(format!("copy-{number}.db"));
        let done = put_back(&copy, &state, true).unwrap();
        assert_eq!(done.hubs, 30_000);
        let found = open(&state).unwrap().subscriptions().load_all().unwrap();
        let has = |wanted: u32, kind| {
            let scope = StoredScope::Device(format!("p-{wanted}"));
            found.iter().any(|it| it.scope == scope && it.kind == kind)
        };
        // Everything up to one moment, and nothing after it.
        let count = found.len() as u32;
        assert!(before <= count && count <= 2 * written);
        assert!((0..count / 2).all(|it| has(it, SubscriptionType::C2dMessages)));
        assert_eq!(has(count / 2, SubscriptionType::Methods), count % 2 == 1);
        before = count;
    }
}
