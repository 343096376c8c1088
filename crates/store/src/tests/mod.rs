//! The store as its users see it.

mod backup;
mod bounds;
mod damage;
mod earlier;
mod keys;
mod kill;
mod losses;
mod measure;
mod rows;
mod tables;
mod unreadable;

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use drawspan_hub::{DeviceId, HostName};

use super::{CachedHub, DesiredMark, OpenError, Store, StoreError, default_keyring};
use crate::limits::HUB_CACHE_LIFE_S;

const NOW: u64 = 2_000_000_000;
/// Where the child process of the test below keeps its state.
const CHILD_DIRECTORY: &str = "DRAWSPAN_STORE_TEST_DIRECTORY";

/// With the key ring in the directory itself.
fn open(directory: impl AsRef<Path>) -> Result<Store, OpenError> {
    let directory = directory.as_ref();
    Store::open(directory, &default_keyring(directory))
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

/// A mark without a fingerprint.
const fn mark(version: i64) -> DesiredMark {
    DesiredMark {
        version,
        fingerprint: None,
        receiver: 1,
    }
}

fn entry(device: &str, hub: &str) -> CachedHub {
    CachedHub {
        device: id(device),
        hub: HostName::parse(hub).unwrap(),
        assigned: None,
        renewed_unix_s: NOW,
    }
}

fn names(store: &Store) -> Vec<String> {
    let entries = store.hub_cache().load_all().unwrap();
    entries
        .into_iter()
        .map(|entry| entry.device.to_string())
        .collect()
}

/// Waits until everything that was put is written.
async fn settle(store: &Store) {
    store.hub_cache().forget(id("nobody")).await.unwrap();
}

fn sql(directory: &Path, text: &str) {
    let connection = rusqlite::Connection::open(directory.join("drawspan.db")).unwrap();
    connection.execute_batch(text).unwrap();
}

/// The same as the store itself would: rows that it finds later are as they were written.
fn sql_as_ours(directory: &Path, text: &str) {
    let connection = crate::database::open(&directory.join("drawspan.db")).unwrap();
    drawspan_state::sums::keep(&connection, crate::database::SUMMED).unwrap();
    connection.execute_batch(text).unwrap();
}

#[test]
fn entries_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("made/on/demand");
    let store = open(&directory).unwrap();
    let renamed = CachedHub {
        assigned: Some(id("other")),
        ..entry("a%#?'", "one.test")
    };
    store.hub_cache().put(entry("a%#?'", "old.test"));
    store.hub_cache().put(renamed.clone());
    store.hub_cache().put(entry("b", "two.test"));
    drop(store);
    let store = open(&directory).unwrap();
    let found = store.hub_cache().load_all().unwrap();
    assert_eq!(found, [renamed, entry("b", "two.test")]);
    assert_eq!(store.hub_cache().lost(), 0);
}

#[tokio::test]
async fn forgotten_is_forgotten_when_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let cache = store.hub_cache();
    for device in ["a", "b"] {
        cache.put(entry(device, "one.test"));
    }
    cache.forget(id("a")).await.unwrap();
    assert_eq!(names(&store), ["b"]);
    cache.forget(id("never-there")).await.unwrap();
    drop(store);
    assert!(matches!(
        cache.forget(id("b")).await,
        Err(StoreError::Closed)
    ));
    cache.put(entry("c", "one.test"));
    assert_eq!(names(&open(folder.path()).unwrap()), ["b"]);
}

#[tokio::test]
async fn a_week_without_use_is_the_end_unless_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let cache = store.hub_cache();
    for device in ["old", "kept", "renewed"] {
        cache.put(entry(device, "one.test"));
    }
    let later = NOW + HUB_CACHE_LIFE_S;
    assert_eq!(cache.collect(later, HashSet::new()).await.unwrap(), 0);
    cache.renew(vec![id("renewed"), id("unknown")], later);
    // A clock that was set back renews nothing away.
    cache.renew(vec![id("renewed")], 1);
    let keep = HashSet::from([id("kept")]);
    assert_eq!(cache.collect(later + 1, keep).await.unwrap(), 1);
    assert_eq!(names(&store), ["kept", "renewed"]);
}

#[tokio::test]
async fn more_than_one_transaction_keeps_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let cache = store.hub_cache();
    for number in 0..5_000 {
        let hub = if number == 4_999 {
            "last.test"
        } else {
            "one.test"
        };
        cache.put(entry("a", hub));
        if number % 100 == 0 {
            cache.forget(id("a")).await.unwrap();
        }
    }
    settle(&store).await;
    let found = cache.load_all().unwrap();
    assert_eq!(found, [entry("a", "last.test")]);
}

#[test]
fn two_processes_do_not_share_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::InUse { .. }), "{text}");
    assert!(
        text.contains(&format!("(pid {})", std::process::id())),
        "{text}"
    );
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn files_of_others_are_left_alone() {
    let check = |make: &dyn Fn(&Path), expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let file = folder.path().join("drawspan.db");
        let before = fs::read(&file).unwrap();
        let error = open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read(&file).unwrap(), before, "{expected}");
    };
    check(
        &|directory| {
            fs::write(
                directory.join("drawspan.db"),
                "not a database at all".repeat(50),
            )
            .unwrap();
        },
        "is not a store of Drawspan",
    );
    check(
        &|directory| sql(directory, "CREATE TABLE someone_elses (x)"),
        "is not a store of Drawspan",
    );
    check(
        &|directory| {
            drop(open(directory).unwrap());
            sql(
                directory,
                "PRAGMA user_version = 5; PRAGMA wal_checkpoint(TRUNCATE)",
            );
        },
        "has format 5, this version reads up to 4",
    );
}

#[test]
fn a_directory_that_is_a_file_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(file.path()).unwrap_err().to_string();
    assert!(error.starts_with("cannot create "), "{error}");
}

#[tokio::test]
async fn rows_that_make_no_sense_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    store.hub_cache().put(entry("good", "one.test"));
    settle(&store).await;
    for row in [
        "'a b','one.test',NULL,1",
        "'a','one_test',NULL,1",
        "'b','one.test','',1",
        "'c','one.test',NULL,-1",
        "'d','one.test',NULL,'x'",
    ] {
        sql(
            folder.path(),
            &format!("INSERT INTO hub_cache VALUES ({row})"),
        );
    }
    assert_eq!(names(&store), ["good"]);
}

#[tokio::test]
async fn a_write_that_fails_is_told_and_the_next_one_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let cache = store.hub_cache();
    sql(folder.path(), "ALTER TABLE hub_cache RENAME TO put_aside");
    cache.put(entry("lost", "one.test"));
    let error = cache.forget(id("a")).await.unwrap_err();
    assert!(error.to_string().contains("hub_cache"), "{error}");
    assert_eq!(cache.lost(), 1);
    sql(folder.path(), "ALTER TABLE put_aside RENAME TO hub_cache");
    cache.put(entry("kept", "one.test"));
    settle(&store).await;
    assert_eq!(names(&store), ["kept"]);
}

#[test]
fn full_disks_have_their_words() {
    let check = |code, expected: &str| {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        assert!(StoreError::from(error).to_string().contains(expected));
    };
    check(rusqlite::ffi::SQLITE_FULL, "the disk is full");
    check(rusqlite::ffi::SQLITE_READONLY, "may not be written");
    check(rusqlite::ffi::SQLITE_CORRUPT, "--accept-empty-store");
}

#[cfg(unix)]
#[test]
fn nobody_else_reads_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let mode = fs::metadata(folder.path().join("drawspan.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Not a separate test: the process that [`what_was_said_survives_a_kill`] kills in the middle of its work.
#[test]
#[ignore = "runs as a child of another test"]
fn child_that_is_killed() {
    let Some(directory) = std::env::var_os(CHILD_DIRECTORY) else {
        return;
    };
    let store = open(Path::new(&directory)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let cache = store.hub_cache();
        for number in 0_u64.. {
            cache.put(entry(&format!("d-{number}"), "one.test"));
            // What was handed over before is written when this is.
            cache.forget(id("nobody")).await.unwrap();
            let mut out = std::io::stdout();
            writeln!(out, "said {number}").unwrap();
            out.flush().unwrap();
        }
    });
}

#[test]
fn what_was_said_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("tests::child_that_is_killed")
        .env(CHILD_DIRECTORY, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The harness may have begun the line.
    let said = |line: String| line.split_once("said ")?.1.parse::<u64>().ok();
    let last = lines
        .filter_map(|line| said(line.unwrap()))
        .find(|number| *number >= 50)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let found: HashSet<String> = names(&open(folder.path()).unwrap()).into_iter().collect();
    for number in 0..=last {
        assert!(found.contains(&format!("d-{number}")), "{number}");
    }
}
