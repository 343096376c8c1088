//! Twins as rows.

use std::path::Path;

use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::twin::Twin;
use rusqlite::{Connection, Row, params};
use serde::de::DeserializeOwned;

use super::StoreError;

pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS twin (
        hub TEXT NOT NULL,
        device TEXT NOT NULL,
        version INTEGER NOT NULL,
        etag_number INTEGER NOT NULL,
        tags TEXT NOT NULL,
        desired TEXT NOT NULL,
        reported TEXT NOT NULL,
        PRIMARY KEY (hub, device)
    ) WITHOUT ROWID;
";

/// The twins of a hub.
pub(super) fn load(
    connection: &Connection,
    hub: &HostName,
    path: &Path,
) -> Result<Vec<(DeviceId, Twin)>, StoreError> {
    let failed = |cause| StoreError::Sqlite {
        doing: "read",
        path: path.to_path_buf(),
        cause,
    };
    let mut select = connection
        .prepare(
            "SELECT device, version, etag_number, tags, desired, reported FROM twin WHERE hub = ?1",
        )
        .map_err(failed)?;
    let mut rows = select.query([hub.as_str()]).map_err(failed)?;
    let mut twins = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let device: String = row.get(0).map_err(failed)?;
        let id = DeviceId::parse(&device).ok();
        let twin = id.zip(read(row, 1).map_err(failed)?);
        twins.push(twin.ok_or_else(|| StoreError::Device {
            path: path.to_path_buf(),
            what: format!("the twin of `{device}` of {hub}"),
        })?);
    }
    Ok(twins)
}

/// The twin in the columns from `first` on; `None` if they are malformed.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Twin>> {
    let (version, etag_number): (i64, i64) = (row.get(first)?, row.get(first + 1)?);
    let [tags, desired, reported] = [2, 3, 4].map(|at| row.get::<_, String>(first + at));
    let (tags, desired, reported) = (tags?, desired?, reported?);
    let twin = || {
        Some(Twin {
            version: u64::try_from(version).ok()?,
            etag_number: u64::try_from(etag_number).ok()?,
            tags: json(&tags)?,
            desired: json(&desired)?,
            reported: json(&reported)?,
        })
    };
    Ok(twin())
}

fn json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Tags, desired and reported properties as they are written.
pub(super) fn sections(twin: &Twin) -> rusqlite::Result<[String; 3]> {
    let json = |result: serde_json::Result<String>| {
        result.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    };
    Ok([
        json(serde_json::to_string(&twin.tags))?,
        json(serde_json::to_string(&twin.desired))?,
        json(serde_json::to_string(&twin.reported))?,
    ])
}

pub(super) fn put(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
    twin: &Twin,
) -> rusqlite::Result<()> {
    let [tags, desired, reported] = sections(twin)?;
    connection
        .prepare_cached("INSERT OR REPLACE INTO twin VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            hub.as_str(),
            device.as_str(),
            i64::try_from(twin.version).unwrap_or(i64::MAX),
            i64::try_from(twin.etag_number).unwrap_or(i64::MAX),
            tags,
            desired,
            reported,
        ])
        .map(drop)
}

pub(super) fn delete(
    connection: &Connection,
    hub: &HostName,
    device: &DeviceId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM twin WHERE hub = ?1 AND device = ?2")?
        .execute([hub.as_str(), device.as_str()])
        .map(drop)
}
