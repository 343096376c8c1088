//! Processes that are ended in the middle of their work.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use drawspan_hub::SubscriptionType;

use super::open;
use super::tables::{letter, subscription};
use crate::manage::{list_keys, prune_keys, rotate_keys};
use crate::{DeadLetterFilter, Store, StoredScope};

/// Where a child keeps its state, and what its devices are called.
const DIRECTORY: &str = "DRAWSPAN_STORE_TEST_DIRECTORY";
const ROUND: &str = "DRAWSPAN_STORE_TEST_ROUND";

fn start(child: &str, directory: &Path, round: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg(format!("tests::kill::{child}"))
        .env(DIRECTORY, directory)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends a child once it said this number or a later one; returns the last that it said.
fn end_after(mut child: Child, number: u32) -> u32 {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The harness may have begun the line.
    let mut said = lines.map_while(Result::ok).filter_map(|line| {
        let number = line.split_once("said ")?.1;
        number.trim().parse::<u32>().ok()
    });
    let last = said.find(|said| *said >= number).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said before it ended counts, too.
    said.last().unwrap_or(last)
}

fn say(number: u32) {
    let mut out = std::io::stdout();
    writeln!(out, "said {number}").unwrap();
    out.flush().unwrap();
}

fn told() -> Option<(PathBuf, u32)> {
    let directory = std::env::var_os(DIRECTORY)?;
    let round = std::env::var(ROUND).ok()?.parse().ok()?;
    Some((directory.into(), round))
}

fn device(round: u32, number: u32) -> String {
    format!("r{round}-{number}")
}

/// Not a separate test: writes, while its keys are rotated and pruned continuously.
#[test]
#[ignore = "runs as a child of another test"]
fn child_that_writes_while_keys_change() {
    let Some((directory, round)) = told() else {
        return;
    };
    let store = open(&directory).unwrap();
    std::thread::spawn(move || {
        let ring = directory.join("keyring");
        loop {
            rotate_keys(&directory, &ring, &mut |_| {}).unwrap();
            prune_keys(&directory, &ring, &mut |_| {}).unwrap();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for number in 0.. {
            let name = device(round, number);
            let handle = store.subscriptions();
            let kind = SubscriptionType::Methods;
            let url = format!("https://x.test/{name}");
            store.dead_letters().put(letter(&name, &name, b"{}"));
            handle.put(subscription(&name, kind, &url)).await.unwrap();
            if number % 3 == 0 {
                handle
                    .remove(StoredScope::Device(name), kind)
                    .await
                    .unwrap();
            }
            say(number);
        }
    });
}

/// Not a separate test: rotates keys of a store that is not in use.
#[test]
#[ignore = "runs as a child of another test"]
fn child_that_exchanges_keys() {
    let Some((directory, _)) = told() else {
        return;
    };
    let ring = directory.join("keyring");
    for number in 0.. {
        rotate_keys(&directory, &ring, &mut |_| {}).unwrap();
        prune_keys(&directory, &ring, &mut |_| {}).unwrap();
        say(number);
    }
}

fn found(store: &Store) -> HashSet<String> {
    let all = store.subscriptions().load_all().unwrap();
    let names = all.into_iter().map(|found| match found.scope {
        StoredScope::Device(name) | StoredScope::Fleet(name) => name,
    });
    names.collect()
}

#[tokio::test]
async fn no_subscription_is_lost_or_comes_back_while_keys_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    for round in 0..8 {
        let child = start("child_that_writes_while_keys_change", folder.path(), round);
        said.push(end_after(child, 5 + 7 * round));
        let store = open(folder.path()).unwrap();
        let found = found(&store);
        for (round, last) in (0..).zip(&said) {
            for number in 0..=*last {
                let is_there = found.contains(&device(round, number));
                assert_eq!(is_there, number % 3 != 0, "round {round}, {number}");
            }
        }
        let filter = DeadLetterFilter {
            limit: 100_000,
            ..DeadLetterFilter::default()
        };
        // All can be decrypted; what was acknowledged after one holds for it, too.
        let letters = store.dead_letters().list(filter).await.unwrap();
        let expected: u32 = said.iter().map(|last| last + 1).sum();
        assert!(
            letters.len() as u32 >= expected,
            "{} of {expected}",
            letters.len()
        );
    }
}

#[tokio::test]
async fn an_exchange_of_keys_can_be_ended_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let handle = store.subscriptions();
    let written: Vec<_> = (0..300)
        .map(|number| {
            let name = device(0, number);
            handle.put(subscription(
                &name,
                SubscriptionType::Methods,
                "https://x.test/",
            ))
        })
        .collect();
    for written in written {
        written.await.unwrap();
    }
    drop(store);
    for round in 0..8 {
        end_after(
            start("child_that_exchanges_keys", folder.path(), round),
            round % 3,
        );
        let ring = folder.path().join("keyring");
        let list = list_keys(folder.path(), &ring).unwrap();
        assert!(list.missing().is_empty(), "{list:?}");
        assert_eq!(found(&open(folder.path()).unwrap()).len(), 300);
    }
}
