//! MQTT sessions in the file.

use drawspan_hub::DeviceId;
use drawspan_hub_model::registry::Change;
use rusqlite::Connection;

use super::{device, hub, sas};
use crate::{Database, MqttSession, Store, Write};

fn session(device: &str, subscriptions: u8) -> MqttSession {
    MqttSession {
        client: DeviceId::parse(device).unwrap().into(),
        subscriptions,
    }
}

async fn write(store: &Store, of: &str, writes: Vec<Write>) {
    let slot = store.slot().await.unwrap();
    slot.send(hub(of), writes).wait().await.unwrap();
}

#[tokio::test]
async fn sessions_come_back_as_they_were_and_go_with_their_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let put = |device, subscriptions| Write::MqttSession(session(device, subscriptions));
    let all = vec![put("a", 0), put("b", 2), put("c", 0xff), put("b", 9)];
    write(&store, "one.test", all).await;
    write(&store, "two.test", vec![put("a", 1), put("b", 1)]).await;
    let found = |of: &str| {
        let database = Database::open(&path, false).unwrap();
        database.mqtt_sessions(&hub(of)).unwrap()
    };
    let [a, b, c] = [session("a", 0), session("b", 9), session("c", 0xff)];
    assert_eq!(found("one.test"), [a, b.clone(), c]);
    let gone = vec![
        Write::MqttSessionGone(DeviceId::parse("c").unwrap().into()),
        Change::Delete(DeviceId::parse("a").unwrap()).into(),
    ];
    write(&store, "one.test", gone).await;
    assert_eq!(found("one.test"), [b]);
    assert_eq!(found("two.test"), [session("a", 1), session("b", 1)]);
    store.close();
}

/// A file of format 5, and what else was done to it.
async fn of_format_5(path: &std::path::Path, change: &str) {
    let store = Store::start(Database::open(path, false).unwrap()).unwrap();
    let change_of_device = Change::Put(device("a", sas()));
    write(&store, "one.test", vec![change_of_device.into()]).await;
    store.close();
    let connection = Connection::open(path).unwrap();
    let earlier = "DROP TABLE mqtt_session; DELETE FROM sums WHERE name = 'mqtt_session'; PRAGMA user_version = 5;";
    connection.execute_batch(earlier).unwrap();
    connection.execute_batch(change).unwrap();
}

#[tokio::test]
async fn a_file_of_format_5_gets_a_table_whose_rows_are_summed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    of_format_5(&path, "").await;
    let database = Database::open(&path, false).unwrap();
    assert_eq!(database.devices(&hub("one.test")).unwrap().len(), 1);
    assert_eq!(database.mqtt_sessions(&hub("one.test")).unwrap(), []);
    let store = Store::start(database).unwrap();
    let put = Write::MqttSession(session("a", 1));
    write(&store, "one.test", vec![put]).await;
    store.close();
    let lost = "DELETE FROM mqtt_session";
    Connection::open(&path)
        .unwrap()
        .execute_batch(lost)
        .unwrap();
    let error = Database::open(&path, false).unwrap_err().to_string();
    assert!(error.contains("the table mqtt_session is not"), "{error}");
}

#[tokio::test]
async fn a_file_of_format_5_without_one_of_its_tables_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    of_format_5(&path, "DROP TABLE device").await;
    let error = Database::open(&path, false).unwrap_err().to_string();
    assert!(
        error.contains("the table device is not as it was written (1 rows, now 0)"),
        "{error}"
    );
}
