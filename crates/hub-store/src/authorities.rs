//! Certificate authorities of hubs as rows: those that callers added.

use std::path::Path;
use std::sync::Arc;

use drawspan_hub::HostName;
use drawspan_hub_model::x509::{Authority, Certificate};
use rusqlite::{Connection, Row, params};

use super::StoreError;
use super::c2d::{rows, signed, unsigned};

pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS authority (
        hub TEXT NOT NULL,
        name TEXT NOT NULL COLLATE NOCASE,
        certificate BLOB NOT NULL,
        verified INTEGER NOT NULL,
        verification_code TEXT,
        etag TEXT NOT NULL,
        created_unix_ms INTEGER NOT NULL,
        updated_unix_ms INTEGER NOT NULL,
        PRIMARY KEY (hub, name)
    ) WITHOUT ROWID;
";

pub(super) fn load(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
) -> Result<Vec<Authority>, StoreError> {
    let query = "SELECT name, certificate, verified, verification_code, etag, created_unix_ms, updated_unix_ms
                 FROM authority WHERE hub = ?1";
    let found = rows(connection, hub, query, read).map_err(|cause| StoreError::Sqlite {
        doing: "read",
        path: path.to_path_buf(),
        cause,
    })?;
    found.ok_or_else(|| StoreError::Device {
        path: path.to_path_buf(),
        what: format!("a certificate of {hub}"),
    })
}

/// `None` if the row is malformed.
fn read(row: &Row<'_>) -> rusqlite::Result<Option<Authority>> {
    let der: Vec<u8> = row.get(1)?;
    let Ok(certificate) = Certificate::from_der(&der) else {
        return Ok(None);
    };
    Ok(Some(Authority {
        name: row.get::<_, String>(0)?.into(),
        certificate,
        is_verified: row.get(2)?,
        verification_code: row.get::<_, Option<String>>(3)?.map(Arc::from),
        etag: row.get(4)?,
        created_unix_ms: unsigned(row.get(5)?),
        updated_unix_ms: unsigned(row.get(6)?),
    }))
}

pub(super) fn put(
    connection: &Connection,
    hub: &HostName,
    authority: &Authority,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO authority VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            hub.as_str(),
            &*authority.name,
            authority.certificate.der().as_ref(),
            authority.is_verified,
            authority.verification_code.as_deref(),
            authority.etag,
            signed(authority.created_unix_ms),
            signed(authority.updated_unix_ms),
        ])
        .map(drop)
}

pub(super) fn delete(connection: &Connection, hub: &HostName, name: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM authority WHERE hub = ?1 AND name = ?2")?
        .execute([hub.as_str(), name])
        .map(drop)
}
