//! File uploads, notifications of them, and blobs in the file.

use std::sync::Arc;

use drawspan_hub::DeviceId;
use drawspan_hub_model::c2d::Queued;
use drawspan_hub_model::registry::Change as OfRegistry;
use drawspan_hub_model::uploads::{Change, FileNotification, QueuedNotification, Upload};
use drawspan_hub_model::{blobs, uploads};
use rusqlite::Connection;

use super::{device, hub, sas};
use crate::{Database, Store, Write};

const NOW: u64 = 1_800_000_000_000;

fn upload(device: &str, id: &str) -> Arc<Upload> {
    Arc::new(Upload {
        correlation_id: id.into(),
        device: DeviceId::parse(device).unwrap(),
        blob: format!("{device}/ü.txt").into(),
        host: "one.test:8443".into(),
        expires_unix_ms: NOW,
    })
}

fn notification(number: u64) -> QueuedNotification {
    Queued {
        sequence: number,
        expires_unix_ms: NOW + 3,
        delivery_count: 0,
        item: Arc::new(FileNotification {
            device: DeviceId::parse("a").unwrap(),
            blob: "a/ü.txt".into(),
            host: "one.test:8443".into(),
            bytes: 7,
            modified_unix_ms: NOW + 1,
            enqueued_unix_ms: NOW + 2,
        }),
    }
}

fn blob(name: &str, file: u64) -> Arc<blobs::Blob> {
    Arc::new(blobs::Blob {
        name: name.into(),
        file,
        bytes: 9,
        created_unix_ms: NOW,
        modified_unix_ms: NOW + 1,
        headers: vec![("content-type".into(), "text/plain".into())],
    })
}

fn block(blob: &str, id: &str) -> Arc<blobs::Block> {
    Arc::new(blobs::Block {
        blob: blob.into(),
        id: id.into(),
        file: 5,
        bytes: 6,
        at_unix_ms: NOW,
    })
}

async fn write(store: &Store, of: &str, writes: Vec<Write>) {
    let slot = store.slot().await.unwrap();
    slot.send(hub(of), writes).wait().await.unwrap();
}

#[tokio::test]
async fn uploads_and_notifications_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let changes = vec![
        Change::Begun(upload("a", "1")),
        Change::Begun(upload("a", "2")),
        Change::Begun(upload("b", "3")),
        Change::Over("1".into()),
        Change::Notification(notification(1)),
        Change::Notification(notification(2)),
        Change::Counted {
            number: 1,
            delivery_count: 4,
        },
        Change::NotificationGone(2),
    ];
    let changes = changes.into_iter().map(Write::from).collect();
    write(&store, "one.test", changes).await;
    let gone = OfRegistry::Delete(DeviceId::parse("b").unwrap());
    write(&store, "one.test", vec![gone.into()]).await;
    store.close();
    let database = Database::open(&path, false).unwrap();
    let found = database.uploads(&hub("one.test")).unwrap();
    assert_eq!(found.uploads, [upload("a", "2")]);
    let mut expected = notification(1);
    expected.delivery_count = 4;
    assert_eq!(found.notifications, [expected]);
    assert_eq!(found.last_number, 2);
    let other = database.uploads(&hub("two.test")).unwrap();
    assert_eq!((other.uploads.len(), other.last_number), (0, 0));
}

#[tokio::test]
async fn blobs_and_blocks_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let changes = vec![
        blobs::Change::Put(blob("a/1", 1)),
        blobs::Change::Put(blob("a/1", 2)),
        blobs::Change::Put(blob("a/2", 3)),
        blobs::Change::Gone("a/2".into()),
        blobs::Change::Block(block("a/1", "AAAA")),
        blobs::Change::Block(block("a/3", "AAAA")),
        blobs::Change::BlocksGone("a/1".into()),
    ];
    let changes = changes.into_iter().map(Write::from).collect();
    write(&store, "one.test", changes).await;
    store.close();
    let found = Database::open(&path, false)
        .unwrap()
        .blobs(&hub("one.test"))
        .unwrap();
    assert_eq!(found.blobs, [blob("a/1", 2)]);
    assert_eq!(found.blocks, [block("a/3", "AAAA")]);
}

#[tokio::test]
async fn a_file_of_format_7_gets_tables_whose_rows_are_summed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let put = OfRegistry::Put(device("a", sas()));
    write(&store, "one.test", vec![put.into()]).await;
    store.close();
    let connection = Connection::open(&path).unwrap();
    for table in [
        "upload",
        "file_notification",
        "file_notification_number",
        "blob",
        "blob_block",
    ] {
        let earlier = format!("DROP TABLE {table}; DELETE FROM sums WHERE name = '{table}'");
        connection.execute_batch(&earlier).unwrap();
    }
    connection.execute_batch("PRAGMA user_version = 7").unwrap();
    drop(connection);
    let database = Database::open(&path, false).unwrap();
    assert_eq!(database.devices(&hub("one.test")).unwrap().len(), 1);
    let uploads::Kept { uploads, .. } = database.uploads(&hub("one.test")).unwrap();
    assert_eq!(uploads, []);
    let store = Store::start(database).unwrap();
    let begun = Change::Begun(upload("a", "1"));
    write(&store, "one.test", vec![begun.into()]).await;
    store.close();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DELETE FROM upload").unwrap();
    drop(connection);
    let error = Database::open(&path, false).unwrap_err().to_string();
    assert!(error.contains("the table upload is not"), "{error}");
}
