//! Modules in the file, with their twins and MQTT sessions.

use std::path::Path;
use std::sync::Arc;

use drawspan_hub::{DeviceId, ModuleId};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::device::Authentication;
use drawspan_hub_model::module::Module;
use drawspan_hub_model::registry::Change;
use drawspan_hub_model::twin::{Twin, parse_patch};
use rusqlite::Connection;

use super::{device, hub, sas};
use crate::{Database, MqttSession, Store, Write};

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn client(device: &str, module: &str) -> ClientId {
    ClientId::of_module(&id(device), &ModuleId::parse(module).unwrap())
}

fn module(device: &str, name: &str, authentication: Authentication) -> Module {
    Module {
        device: id(device),
        id: ModuleId::parse(name).unwrap(),
        generation_id: "638000000000000001".into(),
        etag: "EfGh".into(),
        managed_by: Some("somebody".into()),
        authentication,
    }
}

fn twin() -> Twin {
    let mut twin = Twin::default();
    let patch = parse_patch(br#"{"a":{"b":[1,2.5,"x"]},"d":false}"#).unwrap();
    twin.report(&patch, None, 1_700_000_000_123).unwrap();
    twin
}

/// A module with a twin and a session.
fn whole(device: &str, name: &str) -> Vec<Write> {
    let change = Change::Twin {
        client: client(device, name),
        twin: Arc::new(twin()),
        desired: None,
    };
    let session = MqttSession {
        client: client(device, name),
        subscriptions: 9,
    };
    let module = module(device, name, sas());
    vec![
        Change::PutModule(Arc::new(module)).into(),
        change.into(),
        Write::MqttSession(session),
    ]
}

async fn write(store: &Store, writes: Vec<Write>) {
    let slot = store.slot().await.unwrap();
    slot.send(hub("one.test"), writes).wait().await.unwrap();
}

/// The modules, the names of those with a twin, and of those with a session.
fn found(path: &Path) -> (Vec<Module>, Vec<String>, Vec<String>) {
    let database = Database::open(path, false).unwrap();
    let of = hub("one.test");
    let twins = database.module_twins(&of).unwrap().into_iter();
    let twins = twins.map(|(client, found)| {
        assert_eq!(found, twin());
        client.to_string()
    });
    let sessions = database.mqtt_sessions(&of).unwrap().into_iter();
    let sessions = sessions.map(|session| session.client.to_string());
    (
        database.modules(&of).unwrap(),
        twins.collect(),
        sessions.collect(),
    )
}

#[tokio::test]
async fn modules_come_back_as_they_were_and_go_with_their_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let all = [("a%#?'", "m%"), ("a%#?'", "n"), ("b", "m%")];
    for (device, name) in all {
        write(&store, whole(device, name)).await;
    }
    let certificate = module("b", "z", Authentication::CertificateAuthority);
    let certificate = Change::PutModule(Arc::new(certificate));
    write(&store, vec![certificate.into()]).await;
    let (modules, twins, sessions) = found(&path);
    let mut expected = all
        .map(|(device, name)| module(device, name, sas()))
        .to_vec();
    expected.push(module("b", "z", Authentication::CertificateAuthority));
    assert_eq!(format!("{modules:?}"), format!("{expected:?}"));
    assert_eq!(twins, ["a%#?'/m%", "a%#?'/n", "b/m%"]);
    assert_eq!(sessions, twins);

    let module = ModuleId::parse("n").unwrap();
    let one = Change::DeleteModule(id("a%#?'"), module).into();
    write(&store, vec![one, Write::MqttSessionGone(client("b", "m%"))]).await;
    let (modules, twins, sessions) = found(&path);
    assert_eq!((modules.len(), twins.len()), (3, 2));
    assert_eq!(sessions, ["a%#?'/m%"]);
    write(&store, vec![Change::Delete(id("a%#?'")).into()]).await;
    let (modules, twins, sessions) = found(&path);
    let names: Vec<_> = modules.iter().map(|it| it.client().to_string()).collect();
    assert_eq!(names, ["b/m%", "b/z"]);
    assert_eq!((twins.len(), sessions.len()), (1, 0));
    store.close();
}

#[tokio::test]
async fn a_file_of_format_6_gets_tables_whose_rows_are_summed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    write(&store, vec![Change::Put(device("a", sas())).into()]).await;
    store.close();
    let tables = ["module", "module_twin", "module_mqtt_session"];
    let connection = Connection::open(&path).unwrap();
    for table in tables {
        let gone = format!("DROP TABLE {table}; DELETE FROM sums WHERE name = '{table}';");
        connection.execute_batch(&gone).unwrap();
    }
    connection.execute_batch("PRAGMA user_version = 6").unwrap();
    drop(connection);
    assert_eq!(found(&path).0.len(), 0);
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    write(&store, whole("a", "m")).await;
    store.close();
    for table in tables {
        let copy = folder.path().join(table);
        std::fs::create_dir(&copy).unwrap();
        let copy = copy.join("registry.db");
        std::fs::copy(&path, &copy).unwrap();
        let lost = format!("DELETE FROM {table}");
        Connection::open(&copy)
            .unwrap()
            .execute_batch(&lost)
            .unwrap();
        let error = Database::open(&copy, false).unwrap_err().to_string();
        assert!(
            error.contains(&format!("the table {table} is not")),
            "{error}"
        );
    }
}
