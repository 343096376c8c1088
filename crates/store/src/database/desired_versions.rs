//! Delivered versions as rows.

use drawspan_hub::DeviceId;
use rusqlite::{Connection, params};

use crate::error::StoreError;

/// All. What makes no sense is left out: it costs an event too many.
pub(crate) fn load(connection: &Connection) -> Result<Vec<(DeviceId, i64)>, StoreError> {
    let mut select = connection.prepare("SELECT device, version FROM desired_versions")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let device: Option<String> = row.get(0).ok();
        let device = device.and_then(|id| DeviceId::parse(&id).ok());
        found.extend(device.zip(row.get(1).ok()));
    }
    Ok(found)
}

pub(crate) fn put(
    connection: &Connection,
    device: &DeviceId,
    version: i64,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO desired_versions VALUES (?1, ?2)")?
        .execute(params![device.as_str(), version])
}

pub(crate) fn remove(connection: &Connection, device: &DeviceId) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM desired_versions WHERE device = ?1")?
        .execute([device.as_str()])
}
