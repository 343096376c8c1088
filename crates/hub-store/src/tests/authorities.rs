//! Certificate authorities in the file.

use drawspan_hub_model::x509::{Authority, Certificate};
use rusqlite::Connection;

use super::hub;
use crate::{Database, Store, Write};

const PEM: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBijCCATGgAwIBAgIUWk6GANMtNlooTVhFjNkDtK9VIE8wCgYIKoZIzj0EAwIw\n\
GzEZMBcGA1UEAwwQU3RvcmVkIGF1dGhvcml0eTAeFw0yNjExMzAxOTU3MDdaFw0z\n\
NjExMjcxOTU3MDdaMBsxGTAXBgNVBAMMEFN0b3JlZCBhdXRob3JpdHkwWTATBgcq\n\
hkjOPQIBBggqhkjOPQMBBwNCAATcfEiiO0PbGAwGh1TQaSdBmSapgPozcNutgFeL\n\
PgRzf2vURb/a41l0+RhWbYxzdc7i6NfPvNKQVByczYBcG/KFo1MwUTAdBgNVHQ4E\n\
FgQUIud5TNQgB2cJq8NcS/iw2b7M4qswHwYDVR0jBBgwFoAUIud5TNQgB2cJq8Nc\n\
S/iw2b7M4qswDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiAeQn/l\n\
tYshyw6pUD5wpkcjmUWLkQ0TVX3dIWEVPCtXEAIgasTjVDQqXYZ3kEUUnl0+ITnC\n\
t16gub0gqcQKO9C9lVo=\n\
-----END CERTIFICATE-----\n";

fn authority(name: &str) -> Authority {
    Authority {
        name: name.into(),
        certificate: Certificate::from_text(PEM).unwrap(),
        is_verified: false,
        verification_code: Some("A901".into()),
        etag: "e1".into(),
        created_unix_ms: 1_700_000_000_000,
        updated_unix_ms: 1_700_000_000_001,
    }
}

async fn write(store: &Store, of: &str, writes: Vec<Write>) {
    let slot = store.slot().await.unwrap();
    slot.send(hub(of), writes).wait().await.unwrap();
}

fn put(authority: &Authority) -> Write {
    Write::Authority(Box::new(authority.clone()))
}

#[tokio::test]
async fn authorities_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    let (first, other) = (authority("Root"), authority("other"));
    write(&store, "one.test", vec![put(&first), put(&other)]).await;
    write(&store, "two.test", vec![put(&other)]).await;
    let found = |of: &str| {
        let database = Database::open(&path, false).unwrap();
        database.authorities(&hub(of)).unwrap()
    };
    assert_eq!(found("one.test"), [other.clone(), first.clone()]);
    let verified = Authority {
        is_verified: true,
        verification_code: None,
        etag: "e2".into(),
        ..first
    };
    let gone = Write::AuthorityGone("OTHER".into());
    write(&store, "one.test", vec![put(&verified), gone]).await;
    assert_eq!(found("one.test"), [verified]);
    assert_eq!(found("two.test"), [other]);
    store.close();
    let connection = Connection::open(&path).unwrap();
    let lost = "UPDATE authority SET verified = 1 WHERE hub = 'two.test'";
    connection.execute_batch(lost).unwrap();
    drop(connection);
    let error = Database::open(&path, false).unwrap_err().to_string();
    assert!(error.contains("the table authority is not"), "{error}");
}

#[tokio::test]
async fn a_file_of_format_8_gets_a_table_whose_rows_are_summed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    drop(Database::open(&path, false).unwrap());
    let connection = Connection::open(&path).unwrap();
    let earlier =
        "DROP TABLE authority; DELETE FROM sums WHERE name = 'authority'; PRAGMA user_version = 8;";
    connection.execute_batch(earlier).unwrap();
    drop(connection);
    let store = Store::start(Database::open(&path, false).unwrap()).unwrap();
    write(&store, "one.test", vec![put(&authority("a"))]).await;
    store.close();
    let database = Database::open(&path, false).unwrap();
    let found = database.authorities(&hub("one.test")).unwrap();
    assert_eq!(found, [authority("a")]);
    drop(database);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("DELETE FROM authority").unwrap();
    drop(connection);
    let error = Database::open(&path, false).unwrap_err().to_string();
    assert!(error.contains("the table authority is not"), "{error}");
}

#[test]
fn a_certificate_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let database = Database::open(&path, false).unwrap();
    let connection = Connection::open(&path).unwrap();
    let row = "INSERT INTO authority VALUES ('one.test', 'a', x'00', 1, NULL, 'e', 0, 0)";
    connection.execute_batch(row).unwrap();
    let error = database.authorities(&hub("one.test")).unwrap_err();
    assert!(
        error.to_string().contains("a certificate of one.test"),
        "{error}"
    );
}
