//! The file, its tables, and entries as rows.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use drawspan_hub::{DeviceId, HostName};
use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior, params};

use crate::error::{OpenError, StoreError};
use crate::hub_cache::CachedHub;
use crate::limits::{BUSY_TIMEOUT_MS, COLLECT_GROUP};

/// Tells our files from those of others: `Drsp`.
const APPLICATION: i64 = 0x4472_7370;
/// Raised with every change of the tables.
const FORMAT: i64 = 1;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS hub_cache (
        device TEXT PRIMARY KEY,
        hub TEXT NOT NULL,
        assigned TEXT,
        renewed_unix_s INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// Opens or creates the file, for its owner only, and makes it ready.
pub(crate) fn open(path: &Path) -> Result<Connection, OpenError> {
    create_private(path)?;
    let failed = |error| OpenError::sqlite(path, error);
    let mut connection = Connection::open(path).map_err(failed)?;
    connection
        .busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))
        .map_err(failed)?;
    check_owner(&connection, path)?;
    prepare(&mut connection).map_err(failed)?;
    Ok(connection)
}

/// A second connection, for reading while the first one writes.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    Ok(connection)
}

/// SQLite gives the files beside it the same permissions.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path).map(drop);
    opened.map_err(|cause| OpenError::Create {
        path: path.to_path_buf(),
        cause,
    })
}

fn check_owner(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::sqlite(path, error);
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id").map_err(failed)?;
    let found = number("PRAGMA user_version").map_err(failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    let is_new = tables == 0 && application == 0 && found == 0;
    if !is_new && application != APPLICATION {
        return Err(OpenError::Foreign {
            path: path.to_path_buf(),
        });
    }
    if found > FORMAT {
        return Err(OpenError::Newer {
            path: path.to_path_buf(),
            found,
            readable: FORMAT,
        });
    }
    Ok(())
}

/// Fast, and safe against the end of the process (not of the machine: the last moment may be lost).
fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = NORMAL")?;
    // Together, so that no half-made file is taken for a foreign one.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

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

pub(crate) fn forget(connection: &Connection, device: &DeviceId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM hub_cache WHERE device = ?1")?
        .execute([device.as_str()])
        .map(drop)
}

/// Deletes what was last renewed before, but for the devices to keep; returns how many.
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
    let mut select =
        connection.prepare_cached("SELECT device FROM hub_cache WHERE renewed_unix_s < ?1")?;
    let ids = select.query_map([seconds(before_unix_s)], |row| row.get::<_, String>(0))?;
    let old =
        |id: &rusqlite::Result<String>| id.as_ref().map_or(true, |id| !keep.contains(id.as_str()));
    ids.filter(old).collect()
}

fn delete(transaction: &Transaction<'_>, devices: &[String]) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM hub_cache WHERE device = ?1")?;
    for device in devices {
        delete.execute([device])?;
    }
    Ok(())
}

/// SQLite's integers have a sign.
fn seconds(unix_s: u64) -> i64 {
    i64::try_from(unix_s).unwrap_or(i64::MAX)
}
