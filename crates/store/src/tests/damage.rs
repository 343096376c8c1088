//! Files of a state directory that were changed, truncated or deleted: in every case the store is refused with advice, opens with
//! everything that was acknowledged, or reports what is missing. No loss is silent.

use std::fs;
use std::path::{Path, PathBuf};

use drawspan_hub::SubscriptionType;

use super::tables::{letter, subscription};
use super::{entry, id, open};
use crate::{DeadLetterFilter, Health, Store, StoreError, StoredAnswer};

/// In the suite, and when somebody asks for all.
const FEW: u32 = 48;
const MANY: u32 = 400;

/// Where a start is refused, one of these says what to do.
const WAYS_OUT: [&str; 4] = [
    "--accept-empty-store",
    "put it back",
    "put back",
    "`drawspan restore",
];

const FILES: [&str; 6] = [
    "drawspan.db",
    "drawspan.db-wal",
    "drawspan.db-shm",
    "drawspan.mark",
    "drawspan.lock",
    "keyring",
];

/// What became of a directory.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
enum Verdict {
    Refused,
    Whole,
    Reported,
}

/// Everything that was acknowledged.
#[derive(Debug, PartialEq)]
struct Content {
    subscriptions: Vec<String>,
    hubs: Vec<crate::CachedHub>,
    letters: Vec<crate::StoredDeadLetter>,
    versions: Vec<(drawspan_hub::DeviceId, crate::DesiredMark)>,
    answers: Vec<Option<StoredAnswer>>,
}

impl Content {
    async fn read(store: &Store) -> Result<Self, StoreError> {
        let mut subscriptions: Vec<String> = store
            .subscriptions()
            .load_all()?
            .iter()
            .map(super::tables::line)
            .collect();
        subscriptions.sort();
        let filter = DeadLetterFilter {
            limit: 1_000,
            ..DeadLetterFilter::default()
        };
        let mut versions = store.desired_marks().load_all()?;
        versions.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut answers = Vec::new();
        for number in 0..8 {
            answers.push(store.idempotency().get([number; 32]).await?);
        }
        Ok(Self {
            subscriptions,
            hubs: store.hub_cache().load_all()?,
            letters: store.dead_letters().list(filter).await?,
            versions,
            answers,
        })
    }
}

async fn fill(store: &Store, at_unix_s: u64) {
    for number in 0..8_u8 {
        let name = format!("device-{number}");
        store.hub_cache().put(entry(&name, "one.test"));
        store.desired_marks().put(
            id(&name),
            crate::DesiredMark {
                version: i64::from(number),
                fingerprint: (number % 2 == 0).then_some(i64::from(number)),
                receiver: 1,
            },
        );
        let event = format!(
            "{{\"n\":{number},\"pad\":\"{}\"}}",
            "x".repeat(300 * usize::from(number))
        );
        let letter = letter(&name, &name, event.as_bytes());
        store.dead_letters().put_for_good(letter).await.unwrap();
        let url = format!("https://receiver.test/{number}");
        let put = subscription(&name, SubscriptionType::Methods, &url);
        store.subscriptions().put(put).await.unwrap();
        let answer = StoredAnswer {
            fingerprint: [number; 32],
            status: 200,
            at_unix_s,
        };
        store.idempotency().put([number; 32], answer).await.unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in FILES {
        if from.join(file).exists() {
            fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }
}

/// Directories as they are found: closed, killed with everything in the log, and killed with some of it in the database.
async fn found(folder: &Path) -> (Vec<PathBuf>, Content) {
    let (live, closed) = (folder.join("live"), folder.join("closed"));
    let (early, late) = (folder.join("early"), folder.join("late"));
    let now = crate::clock::now_unix_s();
    let store = open(&live).unwrap();
    fill(&store, now).await;
    copy(&live, &early);
    let content = Content::read(&store).await.unwrap();
    drop(store);
    copy(&live, &closed);
    // The log is folded when a directory is opened, and takes some changes after that.
    let store = open(&live).unwrap();
    fill(&store, now).await;
    copy(&live, &late);
    drop(store);
    (vec![closed, early, late], content)
}

/// One change of the files, picked by a number. Says what it was.
fn damage(directory: &Path, mut pick: u64) -> String {
    let mut next = |below: u64| {
        // SplitMix64, as `java.util.SplittableRandom` has it.
        pick = pick.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = pick;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    };
    // What matters most is hit most often.
    let weighted = [0, 0, 0, 0, 1, 1, 1, 2, 3, 3, 4, 5, 5];
    let name = FILES[weighted[next(weighted.len() as u64) as usize]];
    let path = directory.join(name);
    let Ok(mut bytes) = fs::read(&path) else {
        return format!("{name} is not there");
    };
    let length = bytes.len() as u64;
    match next(8) {
        0 => {
            fs::remove_file(&path).unwrap();
            format!("{name} deleted")
        }
        1 => {
            fs::write(&path, "").unwrap();
            format!("{name} emptied")
        }
        2 => {
            let left = next(length);
            fs::write(&path, &bytes[..left as usize]).unwrap();
            format!("{name} cut to {left} of {length}")
        }
        3 => {
            // At a page: what is left looks whole.
            let left = next(length / 4096 + 1) * 4096;
            fs::write(&path, &bytes[..left.min(length) as usize]).unwrap();
            format!("{name} cut to {left} of {length}")
        }
        4 if name == "drawspan.db" => {
            for file in ["drawspan.db", "drawspan.db-wal", "drawspan.db-shm"] {
                let _ = fs::remove_file(directory.join(file));
            }
            "database and log deleted".into()
        }
        5 if length > 0 => {
            let from = next(length);
            let to = (from + 1 + next(4096)).min(length);
            bytes[from as usize..to as usize].fill(0);
            fs::write(&path, &bytes).unwrap();
            format!("{name}: zeros from {from} to {to}")
        }
        _ if length > 0 => {
            let (at, bit) = (next(length), next(8));
            bytes[at as usize] ^= 1 << bit;
            fs::write(&path, &bytes).unwrap();
            format!("{name}: bit {bit} of byte {at} flipped")
        }
        _ => format!("{name} is empty already"),
    }
}

/// Panics if something is missing without a report.
async fn judge(directory: &Path, expected: &Content, what: &str) -> Verdict {
    let way_out = |text: String| {
        let found = WAYS_OUT.iter().any(|way| text.contains(way));
        assert!(found, "{what}: refused without a way out: {text}");
        Verdict::Refused
    };
    let store = match open(directory) {
        Ok(store) => store,
        Err(error) => return way_out(error.to_string()),
    };
    let content = match Content::read(&store).await {
        Ok(content) => content,
        // As `serve` meets it, which does not start then.
        Err(error) => return way_out(error.to_string()),
    };
    if content == *expected {
        return Verdict::Whole;
    }
    let health = store.health();
    let found = health.found_lost();
    let reported = found.subscriptions
        + found.answers
        + found.changes
        + store.hub_cache().lost()
        + store.dead_letters().lost()
        + store.desired_marks().lost();
    assert!(
        reported > 0 || health.now() != Health::Ok,
        "{what}: lost in silence\n{content:#?}"
    );
    Verdict::Reported
}

async fn run(count: u32) {
    let folder = tempfile::tempdir().unwrap();
    let (directories, content) = found(folder.path()).await;
    for directory in &directories {
        let whole = folder.path().join("whole");
        copy(directory, &whole);
        assert_eq!(judge(&whole, &content, "nothing").await, Verdict::Whole);
        fs::remove_dir_all(&whole).unwrap();
    }
    let mut verdicts = std::collections::HashMap::new();
    for seed in 0..count {
        let directory = folder.path().join(format!("damaged-{seed}"));
        copy(&directories[seed as usize % directories.len()], &directory);
        let what = damage(&directory, u64::from(seed));
        let verdict = judge(&directory, &content, &format!("seed {seed}: {what}")).await;
        *verdicts.entry(verdict).or_insert(0) += 1;
        fs::remove_dir_all(&directory).unwrap();
    }
    println!("{count} changes of files: {verdicts:?}, none lost in silence");
}

#[tokio::test]
async fn nothing_is_lost_in_silence() {
    run(FEW).await;
}

#[tokio::test]
#[ignore = "takes a minute"]
async fn nothing_is_lost_in_silence_by_hundreds_of_changes() {
    run(MANY).await;
}
