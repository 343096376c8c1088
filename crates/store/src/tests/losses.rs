//! Stores that have lost data, and the reports of files that disappear while the store is open.

use std::fs;
use std::path::Path;

use drawspan_hub::SubscriptionType;

use super::open;
use super::tables::{letter, subscription, subscriptions};
use crate::manage::{Backup, list_keys, rotate_keys};
use crate::{Health, OpenError, Store, StoreError, StoreFault, StoreFile, default_keyring};

async fn used(directory: &Path) {
    let store = open(directory).unwrap();
    let put = subscription("a", SubscriptionType::Methods, "https://x.test/");
    store.subscriptions().put(put).await.unwrap();
}

#[tokio::test]
async fn an_empty_store_beside_traces_of_an_earlier_one_is_refused() {
    let check = async |damage: &dyn Fn(&Path), expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path();
        used(directory).await;
        damage(directory);
        let before = fs::read(directory.join("drawspan.db")).ok();
        let error = open(directory).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}: not {expected}");
        assert!(error.contains("--accept-empty-store"), "{error}");
        let after = fs::read(directory.join("drawspan.db")).ok();
        assert!(before == after, "{expected}: the file was changed");
        let keyring = default_keyring(directory);
        drop(Store::open_accepting_loss(directory, &keyring).unwrap());
        // Once is enough.
        assert_eq!(
            subscriptions(&open(directory).unwrap()),
            Vec::<String>::new()
        );
    };
    let remove = |directory: &Path, file: &str| fs::remove_file(directory.join(file)).unwrap();
    let empty = |directory: &Path| fs::write(directory.join("drawspan.db"), "").unwrap();
    check(&|it| remove(it, "drawspan.db"), "drawspan.mark says").await;
    check(&empty, "drawspan.mark says").await;
    let without_mark = |it: &Path| {
        remove(it, "drawspan.mark");
        empty(it);
    };
    check(&without_mark, "its key ring was used").await;
    let with_log = |it: &Path| {
        without_mark(it);
        fs::write(it.join("drawspan.db-wal"), "changes").unwrap();
    };
    check(&with_log, "a log of its changes").await;
    let cut = |it: &Path| fs::write(it.join("drawspan.db"), "SQLite").unwrap();
    check(&cut, "its beginning is damaged").await;
}

#[tokio::test]
async fn a_log_that_is_gone_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let (live, killed) = (folder.path().join("live"), folder.path().join("killed"));
    let store = open(&live).unwrap();
    let put = subscription("a", SubscriptionType::Methods, "https://x.test/");
    store.subscriptions().put(put).await.unwrap();
    fs::create_dir(&killed).unwrap();
    for file in ["drawspan.db", "drawspan.mark", "keyring"] {
        fs::copy(live.join(file), killed.join(file)).unwrap();
    }
    drop(store);
    let error = open(&killed).unwrap_err();
    assert!(matches!(error, OpenError::Lost { .. }), "{error}");
    assert!(error.to_string().contains("changes are missing"), "{error}");
    // Commands do not take it for whole either.
    let ring = default_keyring(&killed);
    let backup = Backup {
        directory: &killed,
        to: &folder.path().join("backup"),
        keyring: None,
        force: false,
    };
    let refused = crate::manage::backup(&backup, &mut |_| {}).unwrap_err();
    assert!(
        refused.to_string().contains("changes are missing"),
        "{refused}"
    );
    let refused = rotate_keys(&killed, &ring, &mut |_| {}).unwrap_err();
    assert!(
        refused.to_string().contains("changes are missing"),
        "{refused}"
    );
    let store = Store::open_accepting_loss(&killed, &ring).unwrap();
    assert_eq!(subscriptions(&store), Vec::<String>::new());
    drop(store);
    drop(open(&killed).unwrap());
}

#[test]
fn commands_leave_the_log_beside_an_empty_store_alone() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    drop(open(directory).unwrap());
    let log = directory.join("drawspan.db-wal");
    fs::write(directory.join("drawspan.db"), "").unwrap();
    fs::write(&log, "changes").unwrap();
    let error = list_keys(directory, &default_keyring(directory)).unwrap_err();
    assert!(
        error.to_string().contains("a log of its changes"),
        "{error}"
    );
    assert_eq!(fs::read(&log).unwrap(), b"changes");
}

#[test]
fn a_first_start_that_was_ended_is_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    drop(open(directory).unwrap());
    let mark = directory.join("drawspan.mark");
    fs::remove_file(directory.join("drawspan.db")).unwrap();
    drop(drawspan_state::Mark::begin(&mark, 7, [0, 0]).unwrap());
    drop(open(directory).unwrap());
}

/// Waits for the keeper to look.
async fn until(store: &Store, expected: Health) {
    let health = store.health();
    let waiting = async {
        while health.now() != expected {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let limit = std::time::Duration::from_secs(30);
    let waited = tokio::time::timeout(limit, waiting).await;
    assert!(
        waited.is_ok(),
        "{:?} is not {expected:?}",
        store.health().now()
    );
}

#[tokio::test]
async fn files_that_go_under_way_are_missed_and_nothing_more_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(store.health().now(), Health::Ok);
    let aside = folder.path().join("drawspan.aside");
    fs::rename(folder.path().join("drawspan.db"), &aside).unwrap();
    let missing = |file| Health::Missing { file };
    until(&store, missing(StoreFile::Database)).await;
    let put = || subscription("a", SubscriptionType::Methods, "https://x.test/");
    let refused = store.subscriptions().put(put()).await;
    assert!(matches!(refused, Err(StoreError::Missing)), "{refused:?}");
    fs::rename(&aside, folder.path().join("drawspan.db")).unwrap();
    until(&store, Health::Ok).await;
    store.subscriptions().put(put()).await.unwrap();
    let keyring = default_keyring(folder.path());
    fs::rename(&keyring, &aside).unwrap();
    until(&store, missing(StoreFile::KeyRing)).await;
    fs::rename(&aside, &keyring).unwrap();
    fs::remove_file(folder.path().join("drawspan.lock")).unwrap();
    until(&store, missing(StoreFile::Lock)).await;
    // No other process gets in all the same.
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
}

/// Cuts a file of a store that was just written to. False if the log was folded into the database meanwhile: then nothing was lost.
#[cfg(unix)]
async fn cut_is_noticed(file: &str, bytes: u64) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let put = |device| subscription(device, SubscriptionType::Methods, "https://x.test/");
    store.subscriptions().put(put("a")).await.unwrap();
    let path = folder.path().join(file);
    let cut = fs::File::options().write(true).open(path).unwrap();
    cut.set_len(bytes).unwrap();
    let refused = store.subscriptions().put(put("b")).await;
    if refused.is_ok() {
        return false;
    }
    assert!(
        matches!(refused, Err(StoreError::Damaged)),
        "{file} {bytes}: {refused:?}"
    );
    let damaged = Health::Failing {
        reason: StoreFault::Damaged,
    };
    assert_eq!(store.health().now(), damaged, "{file} {bytes}");
    // Nothing is written over what is left, also not at the end.
    let names = ["drawspan.db", "drawspan.db-wal"];
    let read = || names.map(|name| fs::read(folder.path().join(name)).unwrap());
    let left = read();
    drop(store);
    assert!(left == read(), "{file} {bytes}");
    let error = open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("--accept-empty-store"), "{error}");
    true
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_cut_in_place_is_noticed_before_anything_more_is_acknowledged() {
    for bytes in [0, 4096] {
        assert!(cut_is_noticed("drawspan.db", bytes).await, "{bytes}");
    }
    for bytes in [0, 500] {
        let mut noticed = false;
        for _ in 0..20 {
            noticed = noticed || cut_is_noticed("drawspan.db-wal", bytes).await;
        }
        assert!(noticed, "{bytes}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let path = folder.path().join("drawspan.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other
        .execute_batch("ALTER TABLE dead_letters RENAME TO put_aside")
        .unwrap();
    let letter = letter("w", "a", b"{}");
    let refused = store.dead_letters().put_for_good(letter.clone()).await;
    assert!(refused.is_err());
    assert_eq!(
        store.dead_letters().lost(),
        0,
        "whoever waits is told, and keeps it"
    );
    let failing = Health::Failing {
        reason: StoreFault::Other,
    };
    assert_eq!(store.health().now(), failing);
    other
        .execute_batch("ALTER TABLE put_aside RENAME TO dead_letters")
        .unwrap();
    until(&store, Health::Ok).await;
    store.dead_letters().put_for_good(letter).await.unwrap();
    drop(other);
    drop(store);
    assert!(
        open(folder.path())
            .unwrap()
            .dead_letters()
            .get(1)
            .await
            .unwrap()
            .is_some()
    );
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_or_enters_a_state_directory() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("state");
    drop(open(&directory).unwrap());
    // As a version before left it.
    let open_to_all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&directory, open_to_all.clone()).unwrap();
    fs::set_permissions(directory.join("drawspan.lock"), open_to_all).unwrap();
    let _store = open(&directory).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
