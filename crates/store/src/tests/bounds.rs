//! Behaviour when limits are exceeded.

use super::tables::letter;
use super::{id, open, sql_as_ours};
use crate::database::dead_letters::Totals;
use crate::limits::{IDEMPOTENCY_LIFE_S, MAX_DEAD_LETTER_BYTES};
use crate::writer::Bounds;
use crate::{DeadLetterFilter, Store, StoreError, StoredAnswer, clock, default_keyring};

/// A store that keeps ten of each, and letters of a thousand bytes in all.
fn small(folder: &tempfile::TempDir, waiting_bytes: usize) -> Store {
    let bounds = Bounds {
        letters: Totals {
            rows: 10,
            bytes: 1_000,
        },
        waiting_bytes,
        answers: 10,
    };
    Store::open_with(
        folder.path(),
        &default_keyring(folder.path()),
        crate::state_files::Loss::Refused,
        bounds,
    )
    .unwrap()
}

async fn webhooks(store: &Store) -> Vec<String> {
    // What was put before is written when this is.
    store.dead_letters().remove(1_000_000).await.unwrap();
    let filter = DeadLetterFilter {
        limit: 1_000,
        ..DeadLetterFilter::default()
    };
    let found = store.dead_letters().list(filter).await.unwrap();
    found.into_iter().map(|it| it.letter.webhook_id).collect()
}

#[tokio::test]
async fn the_oldest_dead_letters_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = small(&folder, 1_000);
    let letters = store.dead_letters();
    for number in 0..15 {
        letters.put(letter(&format!("w{number:02}"), "a", b"{}"));
    }
    let left = webhooks(&store).await;
    assert_eq!((left.len(), left[0].as_str()), (10, "w05"));
    assert_eq!((letters.dropped(), letters.lost()), (5, 0));
    // One that comes again takes no more room.
    letters.put(letter("w05", "a", b"{}"));
    assert_eq!(webhooks(&store).await.len(), 10);
    assert_eq!(letters.dropped(), 5);
    // A large one takes the room of many. Each has 41 bytes besides its event.
    letters.put(letter("large", "a", &[b'x'; 900]));
    assert_eq!(webhooks(&store).await, ["w14", "large"]);
    // What is counted holds after a restart.
    drop(store);
    let store = small(&folder, 1_000);
    store.dead_letters().put(letter("small", "a", b"{}"));
    assert_eq!(webhooks(&store).await, ["large", "small"]);
    store.dead_letters().remove_webhook("large");
    for number in 0..9 {
        store
            .dead_letters()
            .put(letter(&format!("v{number}"), "a", b"{}"));
    }
    assert_eq!(webhooks(&store).await.len(), 10);
    assert_eq!(store.dead_letters().dropped(), 1);
}

#[tokio::test]
async fn dead_letters_that_are_too_large_or_too_many_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let letters = store.dead_letters();
    letters.put(letter("fits", "a", &vec![b'x'; MAX_DEAD_LETTER_BYTES]));
    letters.put(letter(
        "does not",
        "a",
        &vec![b'x'; MAX_DEAD_LETTER_BYTES + 1],
    ));
    assert_eq!(webhooks(&store).await, ["fits"]);
    assert_eq!(letters.lost(), 1);
    drop(store);
    // More at once than may wait: while the file is held, nothing is written.
    let store = small(&folder, 300);
    let letters = store.dead_letters();
    webhooks(&store).await;
    let connection = rusqlite::Connection::open(folder.path().join("drawspan.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..6 {
        letters.put(letter(&format!("w{number}"), "a", &[b'x'; 100]));
    }
    assert_eq!(letters.lost(), 3);
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!(webhooks(&store).await, ["w0", "w1", "w2"]);
    letters.put(letter("again", "a", &[b'x'; 100]));
    assert_eq!(webhooks(&store).await.len(), 4);
}

#[tokio::test]
async fn the_oldest_answers_go_first_and_those_of_yesterday_too() {
    let folder = tempfile::tempdir().unwrap();
    let now_unix_s = clock::now_unix_s();
    let answer = |at_unix_s| StoredAnswer {
        fingerprint: [1; 32],
        status: 200,
        at_unix_s,
    };
    let store = small(&folder, 1_000);
    let answers = store.idempotency();
    for number in 0..15_u8 {
        let at_unix_s = now_unix_s - u64::from(number);
        answers.put([number; 32], answer(at_unix_s)).await.unwrap();
    }
    // Those that are oldest by their time, not by their turn.
    for number in 0..15_u8 {
        let is_there = answers.get([number; 32]).await.unwrap().is_some();
        assert_eq!(is_there, number < 10, "{number}");
    }
    let yesterday = now_unix_s - IDEMPOTENCY_LIFE_S - 1;
    sql_as_ours(
        folder.path(),
        &format!("UPDATE idempotency SET at_unix_s = {yesterday} WHERE key < x'04'"),
    );
    drop(store);
    let store = small(&folder, 1_000);
    let start = std::time::Instant::now();
    let count = || {
        let path = folder.path().join("drawspan.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        crate::database::idempotency::count(&connection).unwrap()
    };
    while count() != 6 {
        assert!(start.elapsed().as_secs() < 30, "{} are left", count());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    drop(store);
}

#[tokio::test]
async fn a_full_queue_is_told_and_nothing_is_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    let connection = rusqlite::Connection::open(folder.path().join("drawspan.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let handle = store.subscriptions();
    let put = |number: usize| {
        super::tables::subscription(
            &format!("d-{number}"),
            drawspan_hub::SubscriptionType::Methods,
            "https://x.test/",
        )
    };
    // One group may be on its way.
    let most = crate::limits::STORE_QUEUE + crate::limits::STORE_GROUP;
    let written: Vec<_> = (0..most + 10)
        .map(|number| handle.put(put(number)))
        .collect();
    store.desired_marks().put(id("a"), super::mark(1));
    assert_eq!(store.desired_marks().lost(), 1);
    connection.execute_batch("COMMIT").unwrap();
    let mut refused = 0;
    let mut accepted = Vec::new();
    for (number, written) in written.into_iter().enumerate() {
        match written.await {
            Ok(()) => accepted.push(number),
            Err(StoreError::Busy) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused >= 10, "{refused}");
    assert_eq!(handle.load_all().unwrap().len(), accepted.len());
}
