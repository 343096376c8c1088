//! Twins in the file.

use std::sync::Arc;

use drawspan_hub::DeviceId;
use drawspan_hub_model::registry::Change;
use drawspan_hub_model::twin::{Twin, TwinUpdate, parse_patch};
use rusqlite::Connection;
use serde_json::json;

use super::{device, hub, sas};
use crate::{Database, Store, Write};

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn twin() -> Twin {
    let mut twin = Twin::default();
    let patch = parse_patch(br#"{"a":{"b":[1,2.5,"x"],"c":null},"d":false}"#).unwrap();
    twin.report(&patch, None, 1_700_000_000_123).unwrap();
    let body = json!({ "tags": { "t": "ü" }, "properties": { "desired": { "e": -1 } } });
    let update = TwinUpdate::from_json(body.as_object().unwrap().clone(), false).unwrap();
    twin.update(&update, 1_700_000_000_456).unwrap();
    twin
}

fn put(device: &str, twin: &Twin) -> Write {
    let change = Change::Twin {
        client: id(device).into(),
        twin: Arc::new(twin.clone()),
        desired: None,
    };
    change.into()
}

async fn write(store: &Store, of: &str, writes: Vec<Write>) {
    let slot = store.slot().await.unwrap();
    slot.send(hub(of), writes).wait().await.unwrap();
}

#[tokio::test]
async fn twins_come_back_as_they_were_and_go_with_their_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    write(
        &store,
        "one.test",
        vec![put("a", &Twin::default()), put("b", &twin())],
    )
    .await;
    write(&store, "one.test", vec![put("a", &twin())]).await;
    write(&store, "two.test", vec![put("a", &Twin::default())]).await;
    let found = |of: &str| {
        Database::open(&path, false)
            .unwrap()
            .twins(&hub(of))
            .unwrap()
    };
    assert_eq!(found("one.test"), [(id("a"), twin()), (id("b"), twin())]);
    write(&store, "one.test", vec![Change::Delete(id("a")).into()]).await;
    assert_eq!(found("one.test"), [(id("b"), twin())]);
    assert_eq!(found("two.test"), [(id("a"), Twin::default())]);
    store.close();
}

#[tokio::test]
async fn a_file_of_the_first_format_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let change = Change::Put(device("a", sas()));
    write(&store, "one.test", vec![change.into()]).await;
    store.close();
    // What there was before twins, and before messages to devices.
    let connection = Connection::open(&path).unwrap();
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for table in tables
        .iter()
        .filter(|name| !["setting", "device"].contains(&name.as_str()))
    {
        connection
            .execute_batch(&format!("DROP TABLE {table}"))
            .unwrap();
    }
    connection.pragma_update(None, "user_version", 1).unwrap();
    std::fs::remove_file(folder.path().join("registry.mark")).unwrap();
    drop(connection);

    let database = Database::open(&path, false).unwrap();
    assert_eq!(database.devices(&hub("one.test")).unwrap().len(), 1);
    assert_eq!(database.twins(&hub("one.test")).unwrap(), []);
    let store = Store::start(database).unwrap();
    write(&store, "one.test", vec![put("a", &twin())]).await;
    store.close();
    let found = Database::open(&path, false)
        .unwrap()
        .twins(&hub("one.test"))
        .unwrap();
    assert_eq!(found, [(id("a"), twin())]);
}

#[test]
fn a_twin_that_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let database = Database::open(&path, false).unwrap();
    let row = "INSERT INTO twin VALUES ('one.test','x',1,1,'{}','{}','{}')";
    Connection::open(&path).unwrap().execute_batch(row).unwrap();
    let error = database.twins(&hub("one.test")).unwrap_err();
    assert!(
        error.to_string().contains("the twin of `x` of one.test"),
        "{error}"
    );
}
