use bytes::Bytes;
use drawspan_hub_model::c2d::{
    Ack, Change as Messages, End, Message, Queued, QueuedMessage, Record,
};

use super::*;

fn message(sequence: u64) -> QueuedMessage {
    Queued {
        sequence,
        expires_unix_ms: 1_800_000_000_000 + sequence,
        delivery_count: 3,
        item: Arc::new(Message {
            enqueued_unix_ms: 1_700_000_000_000,
            message_id: sequence.is_multiple_of(2).then(|| format!("id-{sequence}")),
            ack: Ack::NAMES[(sequence % 4) as usize].0,
            generation_id: "638".into(),
            payload: Bytes::from(vec![sequence as u8; 1000]),
        }),
    }
}

fn record(number: u64) -> Arc<Record> {
    Arc::new(Record {
        number,
        device: id("a%#?'"),
        generation_id: "638".into(),
        message_id: number.is_multiple_of(2).then(|| format!("id-{number}")),
        end: End::NAMES[(number % 5) as usize].0,
        at_unix_ms: 1_700_000_000_000 + number,
    })
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

async fn write(store: &Store, writes: Vec<Write>) {
    let slot = store.slot().await.unwrap();
    slot.send(hub("one.test"), writes).wait().await.unwrap();
}

#[tokio::test]
async fn messages_and_feedback_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let puts = (1..=6).map(|number| {
        let device = id(if number % 2 == 0 { "a%#?'" } else { "b" });
        Messages::Put(device, message(number)).into()
    });
    write(&store, puts.collect()).await;
    let records = (1..=6).map(|number| Messages::Feedback(record(number)).into());
    write(&store, records.collect()).await;
    let changes = vec![
        Messages::Counted {
            device: id("b"),
            sequence: 1,
            delivery_count: 4,
        }
        .into(),
        Messages::Gone {
            device: id("b"),
            sequence: 6,
        }
        .into(),
        Messages::FeedbackGone { first: 2, last: 4 }.into(),
        // The queue of a device goes with it; what its senders are to hear does not.
        Change::Delete(id("a%#?'")).into(),
    ];
    write(&store, changes).await;

    let database = Database::open(&path, false).unwrap();
    let kept = database.messages(&hub("one.test")).unwrap();
    let counted = Queued {
        delivery_count: 4,
        ..message(1)
    };
    let expected = [counted, message(3), message(5)].map(|message| (id("b"), message));
    assert_eq!(kept.messages, expected);
    assert_eq!(kept.records, [1, 5, 6].map(record));
    assert_eq!(kept.last_sequence, 6, "though that message is gone");
    let elsewhere = database.messages(&hub("two.test")).unwrap();
    assert_eq!((elsewhere.messages.len(), elsewhere.last_sequence), (0, 0));
    store.close();
}

#[tokio::test]
async fn a_registry_of_the_first_format_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    write(&store, vec![put(device("a", sas()))]).await;
    store.close();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let first = "DROP TABLE c2d_message; DROP TABLE c2d_sequence; DROP TABLE c2d_feedback;
        DROP TABLE store; DROP TABLE sums; PRAGMA user_version = 1";
    connection.execute_batch(first).unwrap();
    std::fs::remove_file(folder.path().join("registry.mark")).unwrap();
    let database = Database::open(&path, false).unwrap();
    assert_eq!(database.devices(&hub("one.test")).unwrap().len(), 1);
    assert!(
        database
            .messages(&hub("one.test"))
            .unwrap()
            .messages
            .is_empty()
    );
}

#[tokio::test]
async fn whoever_cannot_wait_is_told_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let (told, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let send = |writes| {
        let told = told.clone();
        let slot = store.try_slot().unwrap();
        slot.send_then(hub("one.test"), writes, move |result| {
            told.send(result.is_ok()).unwrap();
        });
    };
    send(vec![put(device("a", sas()))]);
    assert_eq!(ends.recv().await, Some(true));
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("DROP TABLE device").unwrap();
    // One fails, and nothing else is taken until it succeeds.
    send(vec![put(device("a", sas()))]);
    assert_eq!(ends.recv().await, Some(false));
    assert!(store.try_slot().is_err());
    store.close();
}
