use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName, SymmetricKey};
use drawspan_hub_model::device::{Authentication, Device, DeviceStatus};
use drawspan_hub_model::registry::Change;

use super::schema::FORMAT;
use super::{Database, Store, StoreError, Write};

mod authorities;
mod c2d;
mod modules;
mod mqtt_sessions;
mod snapshot;
mod twins;
mod uploads;

fn hub(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn device(id: &str, authentication: Authentication) -> Arc<Device> {
    Arc::new(Device {
        id: DeviceId::parse(id).unwrap(),
        generation_id: "638000000000000000".into(),
        etag: "AbCd".into(),
        status: DeviceStatus::Disabled,
        status_reason: Some("lost".into()),
        status_updated_unix_ms: Some(1_700_000_000_000),
        authentication,
        iot_edge: true,
    })
}

fn put(device: Arc<Device>) -> Write {
    Change::Put(device).into()
}

fn sas() -> Authentication {
    let key = |byte| SymmetricKey::from_bytes(&[byte; 32]).unwrap();
    Authentication::Sas {
        primary: key(1),
        secondary: key(2),
    }
}

#[tokio::test]
async fn devices_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let all = [
        device("a%#?'", sas()),
        device(
            "b",
            Authentication::SelfSigned {
                primary: "AA".into(),
                secondary: None,
            },
        ),
        device("c", Authentication::CertificateAuthority),
        device("d", Authentication::None),
    ];
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let changes = all
        .iter()
        .cloned()
        .map(Change::Put)
        .map(Write::from)
        .collect();
    store
        .slot()
        .await
        .unwrap()
        .send(hub("one.test"), changes)
        .wait()
        .await
        .unwrap();
    let elsewhere = vec![put(device("a%#?'", Authentication::None))];
    store
        .slot()
        .await
        .unwrap()
        .send(hub("two.test"), elsewhere)
        .wait()
        .await
        .unwrap();
    // Not closed: acknowledged changes are there when the file is opened next.
    let found = Database::open(&path, false)
        .unwrap()
        .devices(&hub("one.test"))
        .unwrap();
    assert_eq!(
        format!("{found:?}"),
        format!("{:?}", all.iter().map(Arc::as_ref).collect::<Vec<_>>())
    );
    assert_eq!(
        Database::open(&path, false)
            .unwrap()
            .devices(&hub("two.test"))
            .unwrap()
            .len(),
        1
    );
    let Authentication::Sas { secondary, .. } = &found[0].authentication else {
        panic!("{found:?}")
    };
    assert_eq!(
        secondary.to_base64(),
        SymmetricKey::from_bytes(&[2; 32]).unwrap().to_base64()
    );
    store.close();
}

#[tokio::test]
async fn changes_are_written_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let mut last = None;
    for number in 0..500 {
        let change = match number % 3 {
            2 => Change::Delete(DeviceId::parse("a").unwrap()),
            _ => Change::Put(device("a", sas())),
        };
        last = Some(
            store
                .slot()
                .await
                .unwrap()
                .send(hub("one.test"), vec![change.into()]),
        );
    }
    last.unwrap().wait().await.unwrap();
    assert_eq!(
        Database::open(&path, false)
            .unwrap()
            .devices(&hub("one.test"))
            .unwrap()
            .len(),
        1,
        "499 is a put"
    );
    store.close();
}

#[tokio::test]
async fn closing_writes_what_was_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    drop(
        store
            .slot()
            .await
            .unwrap()
            .send(hub("one.test"), vec![put(device("a", sas()))]),
    );
    store.close();
    assert_eq!(
        Database::open(&path, false)
            .unwrap()
            .devices(&hub("one.test"))
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_failed_is_written_once_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON device BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    other.execute_batch(full).unwrap();
    let write = |id: &str| (hub("one.test"), vec![put(device(id, sas()))]);
    // Both places are taken before anything is known to fail.
    let (first, second) = (store.slot().await.unwrap(), store.slot().await.unwrap());
    let late = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (to, (hub_name, writes)) = (Arc::clone(&late), write("a"));
    let (done, failed) = tokio::sync::oneshot::channel();
    first.send_then_later(
        hub_name,
        writes,
        move |result| done.send(result).unwrap(),
        move || to.store(true, std::sync::atomic::Ordering::SeqCst),
    );
    let error = failed.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Failing(_)), "{error}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    let (hub_name, writes) = write("b");
    let error = second.send(hub_name, writes).wait().await.unwrap_err();
    assert!(matches!(error, StoreError::Failing(_)), "{error}");
    // Nothing more changes in memory meanwhile.
    assert!(matches!(store.slot().await, Err(StoreError::Failing(_))));
    assert!(matches!(store.try_slot(), Err(super::NoSlot::Failing)));

    other.execute_batch("DROP TRIGGER full").unwrap();
    let slot = loop {
        match store.slot().await {
            Ok(slot) => break slot,
            Err(StoreError::Failing(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(late.load(std::sync::atomic::Ordering::SeqCst));
    let (hub_name, writes) = write("c");
    slot.send(hub_name, writes).wait().await.unwrap();
    store.close();
    drop(other);
    let found = Database::open(&path, false).unwrap();
    assert_eq!(found.devices(&hub("one.test")).unwrap().len(), 3);
}

#[cfg(unix)]
#[tokio::test]
async fn nothing_is_acknowledged_once_a_file_is_cut_in_place() {
    for file in ["registry.db", "registry.db-wal"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.db");
        let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
        let write = async |id: &str| {
            let slot = store.slot().await?;
            slot.send(hub("h"), vec![put(device(id, sas()))])
                .wait()
                .await
        };
        write("a").await.unwrap();
        std::fs::write(folder.path().join(file), "").unwrap();
        let error = write("b").await.unwrap_err().to_string();
        assert!(error.contains(&format!("shortened {file};")), "{error}");
        store.close();
        let error = Database::open(&path, false).unwrap_err().to_string();
        assert!(error.contains("--reset"), "{error}");
    }
}

#[test]
fn a_later_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    drop(Database::open(&path, false).unwrap());
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", FORMAT + 1)
        .unwrap();
    let error = Database::open(&path, false).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Foreign { found, readable, .. } if (found, readable) == (FORMAT + 1, FORMAT)
        ),
        "{error}"
    );
}

#[test]
fn a_row_that_makes_no_sense_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let database = Database::open(&path, false).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let row = "INSERT INTO device VALUES ('one.test','x','1','e',1,NULL,NULL,'sas','not a key','either',0)";
    connection.execute_batch(row).unwrap();
    let error = database.devices(&hub("one.test")).unwrap_err();
    assert!(error.to_string().contains("`x` of one.test"), "{error}");
}

#[test]
fn settings_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let key = SymmetricKey::from_bytes(&[7; 32]).unwrap().to_base64();
    let mut database = Database::open(&path, false).unwrap();
    assert_eq!(database.setting("policy-key").unwrap(), None);
    database.set_setting("policy-key", &key).unwrap();
    assert_eq!(
        Database::open(&path, false)
            .unwrap()
            .setting("policy-key")
            .unwrap(),
        Some(key)
    );
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_reads_the_keys() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let change = vec![put(device("a", sas()))];
    let slot = store.slot().await.unwrap();
    slot.send(hub("one.test"), change).wait().await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
    store.close();
}
