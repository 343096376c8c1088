//! Marks of desired properties as rows.

use drawspan_hub::DeviceId;
use rusqlite::{Connection, params};

use crate::desired_marks::DesiredMark;
use crate::error::StoreError;

/// All. What makes no sense is left out: it costs an event too many.
pub(crate) fn load(connection: &Connection) -> Result<Vec<(DeviceId, DesiredMark)>, StoreError> {
    let sql = "SELECT device, version, fingerprint, receiver FROM desired_marks";
    let mut select = connection.prepare(sql)?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let device: Option<String> = row.get(0).ok();
        let device = device.and_then(|id| DeviceId::parse(&id).ok());
        let numbers = row.get(1).ok().zip(row.get(3).ok());
        let mark = numbers.map(|(version, receiver)| DesiredMark {
            version,
            fingerprint: row.get(2).ok().flatten(),
            receiver,
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
    let values = params![
        device.as_str(),
        mark.version,
        mark.fingerprint,
        mark.receiver
    ];
    connection
        .prepare_cached("INSERT OR REPLACE INTO desired_marks VALUES (?1, ?2, ?3, ?4)")?
        .execute(values)
}

pub(crate) fn remove(connection: &Connection, device: &DeviceId) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM desired_marks WHERE device = ?1")?
        .execute([device.as_str()])
}
