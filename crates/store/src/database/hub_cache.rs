//! Hubs of devices as rows.

use std::collections::HashSet;

use drawspan_hub::{DeviceId, HostName};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};

use super::seconds;
use crate::error::StoreError;
use crate::hub_cache::CachedHub;
use crate::limits::COLLECT_GROUP;

/// Not those of devices that subscribed, nor of the fleet whose devices a subscription keeps connected.
const OLD: &str = "
    SELECT device FROM hub_cache WHERE renewed_unix_s < ?1
        AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE scope = 0 AND name = device)
        AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE scope = 1 AND flags & 1 AND substr(device, 1, length(name)) = name)";

/// All entries. Those that make no sense are left out and counted: a cache may forget.
pub(crate) fn load(connection: &Connection) -> Result<(Vec<CachedHub>, usize), StoreError> {
    let mut select =
        connection.prepare("SELECT device, hub, assigned, renewed_unix_s FROM hub_cache")?;
    let mut rows = select.query([])?;
    let mut found = Vec::new();
    let mut broken = 0;
    while let Some(row) = rows.next()? {
        match read(row) {
            Some(entry) => found.push(entry),
            None => broken += 1,
        }
    }
    Ok((found, broken))
}

fn read(row: &Row<'_>) -> Option<CachedHub> {
    let device: String = row.get(0).ok()?;
    let hub: String = row.get(1).ok()?;
    let assigned: Option<String> = row.get(2).ok()?;
    let renewed: i64 = row.get(3).ok()?;
    Some(CachedHub {
        device: DeviceId::parse(&device).ok()?,
        hub: HostName::parse(&hub).ok()?,
        assigned: match assigned {
            Some(assigned) => Some(DeviceId::parse(&assigned).ok()?),
            None => None,
        },
        renewed_unix_s: u64::try_from(renewed).ok()?,
    })
}

pub(crate) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM hub_cache", [], |row| row.get(0))
}

pub(crate) fn put(connection: &Connection, entry: &CachedHub) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO hub_cache VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            entry.device.as_str(),
            entry.hub.as_str(),
            entry.assigned.as_ref().map(DeviceId::as_str),
            seconds(entry.renewed_unix_s),
        ])
        .map(drop)
}

pub(crate) fn renew(
    connection: &Connection,
    devices: &[DeviceId],
    now_unix_s: u64,
) -> rusqlite::Result<()> {
    // Never back in time: the clock may have been set.
    let mut update = connection.prepare_cached(
        "UPDATE hub_cache SET renewed_unix_s = max(renewed_unix_s, ?2) WHERE device = ?1",
    )?;
    for device in devices {
        update.execute(params![device.as_str(), seconds(now_unix_s)])?;
    }
    Ok(())
}

pub(crate) fn forget(connection: &Connection, device: &DeviceId) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM hub_cache WHERE device = ?1")?
        .execute([device.as_str()])
}

/// Deletes what was last renewed before, but for subscribed devices and those to keep; returns how many.
pub(crate) fn collect(
    connection: &mut Connection,
    before_unix_s: u64,
    keep: &HashSet<DeviceId>,
) -> rusqlite::Result<usize> {
    let old = older_than(connection, before_unix_s, keep)?;
    for group in old.chunks(COLLECT_GROUP) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        delete(&transaction, group)?;
        transaction.commit()?;
    }
    Ok(old.len())
}

fn older_than(
    connection: &Connection,
    before_unix_s: u64,
    keep: &HashSet<DeviceId>,
) -> rusqlite::Result<Vec<String>> {
    let mut select = connection.prepare_cached(OLD)?;
    let ids = select.query_map([seconds(before_unix_s)], |row| row.get::<_, String>(0))?;
    let old =
        |id: &rusqlite::Result<String>| id.as_ref().map_or(true, |id| !keep.contains(id.as_str()));
    ids.filter(old).collect()
}

fn delete(transaction: &Transaction<'_>, devices: &[String]) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM hub_cache WHERE device = ?1")?;
    let mut mark = transaction.prepare_cached("DELETE FROM desired_marks WHERE device = ?1")?;
    for device in devices {
        delete.execute([device])?;
        mark.execute([device])?;
    }
    Ok(())
}
