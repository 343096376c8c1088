//! Marks of desired properties as rows: versions, and fingerprints of the versions that have one.

use drawspan_hub::DeviceId;
use rusqlite::{Connection, params};

use crate::desired_versions::DesiredMark;
use crate::error::StoreError;

/// A fingerprint counts for its own version only.
const ALL: &str = "SELECT v.device, v.version, f.fingerprint FROM desired_versions v
    LEFT JOIN desired_fingerprints f ON f.device = v.device AND f.version = v.version";

/// All. What makes no sense is left out: it costs an event too many.
pub(crate) fn load(connection: &Connection) -> Result<Vec<(DeviceId, DesiredMark)>, StoreError> {
    let mut select = connection.prepare(ALL)?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let device: Option<String> = row.get(0).ok();
        let device = device.and_then(|id| DeviceId::parse(&id).ok());
        let mark = row.get(1).ok().map(|version| DesiredMark {
            version,
            fingerprint: row.get(2).ok().flatten(),
        });
        found.extend(device.zip(mark));
    }
    Ok(found)
}

pub(crate) fn put(
    connection: &Connection,
    device: &DeviceId,
    mark: DesiredMark,
) -> rusqlite::Result<usize> {
    let id = device.as_str();
    match mark.fingerprint {
        Some(fingerprint) => connection
            .prepare_cached("INSERT OR REPLACE INTO desired_fingerprints VALUES (?1, ?2, ?3)")?
            .execute(params![id, mark.version, fingerprint])?,
        None => remove_fingerprint(connection, device)?,
    };
    connection
        .prepare_cached("INSERT OR REPLACE INTO desired_versions VALUES (?1, ?2)")?
        .execute(params![id, mark.version])
}

pub(crate) fn remove(connection: &Connection, device: &DeviceId) -> rusqlite::Result<usize> {
    remove_fingerprint(connection, device)?;
    connection
        .prepare_cached("DELETE FROM desired_versions WHERE device = ?1")?
        .execute([device.as_str()])
}

fn remove_fingerprint(connection: &Connection, device: &DeviceId) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM desired_fingerprints WHERE device = ?1")?
        .execute([device.as_str()])
}
