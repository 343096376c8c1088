//! Enrollment groups and registrations as rows.

use std::path::Path;

use drawspan_hub::{DeviceId, HostName, RegistrationId, SymmetricKey};
use drawspan_hub_model::dps::{Group, Registration, Substatus};
use rusqlite::{Connection, Row, params};

use super::StoreError;

pub(super) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS dps_group (
        name TEXT PRIMARY KEY COLLATE NOCASE,
        primary_key TEXT NOT NULL,
        secondary_key TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS dps_registration (
        id TEXT PRIMARY KEY COLLATE NOCASE,
        group_name TEXT NOT NULL,
        hub TEXT NOT NULL,
        device TEXT NOT NULL,
        substatus TEXT NOT NULL,
        created_unix_ms INTEGER NOT NULL,
        updated_unix_ms INTEGER NOT NULL,
        etag TEXT NOT NULL,
        operation TEXT NOT NULL,
        payload TEXT
    ) WITHOUT ROWID;
";

/// All groups that ever were.
pub(super) fn groups(connection: &Connection, path: &Path) -> Result<Vec<Group>, StoreError> {
    let query = "SELECT name, primary_key, secondary_key FROM dps_group";
    rows(connection, path, query, "an enrollment group", |row| {
        let key = |at| -> rusqlite::Result<_> {
            Ok(SymmetricKey::from_base64(&row.get::<_, String>(at)?).ok())
        };
        let (Some(primary), Some(secondary)) = (key(1)?, key(2)?) else {
            return Ok(None);
        };
        Ok(Some(Group {
            name: row.get::<_, String>(0)?.into(),
            primary,
            secondary,
        }))
    })
}

pub(super) fn put_group(connection: &Connection, group: &Group) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT OR REPLACE INTO dps_group VALUES (?1, ?2, ?3)",
            params![
                &*group.name,
                group.primary.to_base64(),
                group.secondary.to_base64()
            ],
        )
        .map(drop)
}

/// All registrations.
pub(super) fn load(connection: &Connection, path: &Path) -> Result<Vec<Registration>, StoreError> {
    let query = "SELECT id, group_name, hub, device, substatus, created_unix_ms, updated_unix_ms, etag, operation, payload
                 FROM dps_registration";
    rows(connection, path, query, "a registration", registration)
}

fn registration(row: &Row<'_>) -> rusqlite::Result<Option<Registration>> {
    let text = |at| row.get::<_, String>(at);
    let time = |at| {
        row.get::<_, i64>(at)
            .map(|ms| u64::try_from(ms).unwrap_or(0))
    };
    let (Ok(id), Ok(hub), Ok(device), Some(substatus)) = (
        RegistrationId::parse(&text(0)?),
        HostName::parse(&text(2)?),
        DeviceId::parse(&text(3)?),
        Substatus::parse(&text(4)?),
    ) else {
        return Ok(None);
    };
    Ok(Some(Registration {
        id,
        group: text(1)?.into(),
        hub,
        device,
        substatus,
        created_unix_ms: time(5)?,
        updated_unix_ms: time(6)?,
        etag: text(7)?,
        operation: text(8)?,
        payload: row.get::<_, Option<String>>(9)?.map(Into::into),
    }))
}

pub(super) fn put(connection: &Connection, registration: &Registration) -> rusqlite::Result<()> {
    let time = |ms| i64::try_from(ms).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO dps_registration VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            registration.id.as_str(),
            &*registration.group,
            registration.hub.as_str(),
            registration.device.as_str(),
            registration.substatus.as_str(),
            time(registration.created_unix_ms),
            time(registration.updated_unix_ms),
            registration.etag,
            registration.operation,
            registration.payload.as_deref(),
        ])
        .map(drop)
}

fn rows<T>(
    connection: &Connection,
    path: &Path,
    query: &str,
    what: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> Result<Vec<T>, StoreError> {
    let found: rusqlite::Result<Option<Vec<T>>> = connection
        .prepare(query)
        .and_then(|mut select| select.query_map([], read)?.collect());
    let found = found.map_err(|cause| StoreError::Sqlite {
        doing: "read",
        path: path.to_path_buf(),
        cause,
    })?;
    found.ok_or_else(|| StoreError::Device {
        path: path.to_path_buf(),
        what: what.to_owned(),
    })
}
