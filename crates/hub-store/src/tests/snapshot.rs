//! The state of hubs goes back to a copy, or begins anew; keys and settings stay.

use super::*;

fn devices(database: &Database) -> Vec<String> {
    let devices = database.devices(&hub("a.test")).unwrap();
    let mut names: Vec<_> = devices.iter().map(|it| it.id.to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_registry_goes_back_to_its_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (
        folder.path().join("registry.db"),
        folder.path().join("copy.db"),
    );
    let mut database = Database::open(&path, false).unwrap();
    database.set_setting("policy-key", "before").unwrap();
    database.set_setting("moved/one", "a.test").unwrap();
    let store = Store::start(database).unwrap();
    let add = async |id: &str| {
        let slot = store.slot().await.unwrap();
        let written = slot.send(hub("a.test"), vec![put(device(id, sas()))]);
        written.wait().await.unwrap();
    };
    add("one").await;
    let to = copy.clone();
    store.run(move |database| database.copy(&to)).await.unwrap();
    add("two").await;
    let set = |database: &mut Database| {
        database.set_setting("moved/two", "a.test")?;
        database.set_setting("policy-key", "after")
    };
    store.run(set).await.unwrap();
    let from = copy.clone();
    let found = store.run(move |database| {
        database.replace(Some(&from), "moved/")?;
        let moved =
            ["moved/one", "moved/two"].map(|name| database.setting(name).unwrap().is_some());
        Ok((devices(database), moved, database.setting("policy-key")?))
    });
    let expected = (
        vec!["one".to_owned()],
        [true, false],
        Some("after".to_owned()),
    );
    assert_eq!(found.await.unwrap(), expected);
    add("three").await;
    store.close();
    // Nothing is missed, and every sum is right.
    let mut database = Database::open(&path, true).unwrap();
    assert_eq!(devices(&database), ["one", "three"]);
    database.replace(None, "moved/").unwrap();
    assert!(devices(&database).is_empty());
    drop(database);
    let database = Database::open(&path, true).unwrap();
    assert_eq!(
        database.setting("policy-key").unwrap().as_deref(),
        Some("after")
    );
}

#[test]
fn a_copy_of_another_format_is_refused_and_nothing_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (
        folder.path().join("registry.db"),
        folder.path().join("copy.db"),
    );
    let mut database = Database::open(&path, false).unwrap();
    database.copy(&copy).unwrap();
    let other = rusqlite::Connection::open(&copy).unwrap();
    other
        .pragma_update(None, "user_version", FORMAT - 1)
        .unwrap();
    drop(other);
    let refused = database.replace(Some(&copy), "moved/");
    assert!(
        matches!(refused, Err(StoreError::OtherFormat { .. })),
        "{refused:?}"
    );
    // It can be opened again.
    let refused = database.replace(Some(&copy), "moved/");
    assert!(
        matches!(refused, Err(StoreError::OtherFormat { .. })),
        "{refused:?}"
    );
}
