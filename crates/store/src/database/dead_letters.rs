//! Dead letters as rows.

use drawspan_hub::{DeviceId, UtcTime};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::seconds;
use super::subscriptions::{kind_column, kind_of};
use crate::dead_letters::{DeadLetterFilter, NewDeadLetter, StoredDeadLetter};
use crate::error::StoreError;
use crate::keyring::{Identity, KeyRing, Sealed};
use crate::limits::DEAD_LETTER_LIST_BYTES;

const COLUMNS: &str = "SELECT id, webhook_id, device, kind, origin, reason, attempts, failed_unix_ms, key_version, event FROM dead_letters";

/// How many there are, and the bytes of their events, sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// Dead letters in the order of their numbers, and how many of those looked at were left out because they cannot be decrypted.
pub(crate) fn list(
    connection: &Connection,
    ring: &KeyRing,
    filter: &DeadLetterFilter,
) -> Result<(Vec<StoredDeadLetter>, u64), StoreError> {
    let mut select = connection.prepare_cached(match filter.device {
        Some(_) => {
            "SELECT id FROM dead_letters WHERE device = ?2 AND id > ?1 AND (?3 IS NULL OR kind = ?3) AND substr(device, 1, length(?4)) = ?4 ORDER BY id"
        }
        None => {
            "SELECT id FROM dead_letters WHERE id > ?1 AND ?2 IS NULL AND (?3 IS NULL OR kind = ?3) AND substr(device, 1, length(?4)) = ?4 ORDER BY id"
        }
    })?;
    let mut ids = select.query(params![
        seconds(filter.after.unwrap_or_default()),
        filter.device.as_ref().map(DeviceId::as_str),
        filter.kind.map(kind_column),
        filter.prefix,
    ])?;
    let mut found: Vec<StoredDeadLetter> = Vec::new();
    let (mut bytes, mut broken) = (0, 0_u64);
    while found.len() < filter.limit && bytes < DEAD_LETTER_LIST_BYTES {
        let Some(row) = ids.next()? else { break };
        match get(connection, ring, row.get(0)?) {
            Ok(Some(stored)) => {
                bytes += stored.letter.event.len();
                found.push(stored);
            }
            Ok(None) => {}
            Err(StoreError::Sealed { .. }) => broken += 1,
            Err(error) => return Err(error),
        }
    }
    Ok((found, broken))
}

pub(crate) fn get(
    connection: &Connection,
    ring: &KeyRing,
    id: u64,
) -> Result<Option<StoredDeadLetter>, StoreError> {
    let found = connection
        .prepare_cached(&format!("{COLUMNS} WHERE id = ?1"))?
        .query_row([seconds(id)], |row| Ok(read(row, ring)))
        .optional()?;
    let broken = |why: String| StoreError::Sealed {
        what: format!("dead letter {id}"),
        why,
    };
    found.map(|read| read.map_err(broken)).transpose()
}

fn read(row: &Row<'_>, ring: &KeyRing) -> Result<StoredDeadLetter, String> {
    let column = |error: rusqlite::Error| error.to_string();
    let device: String = row.get(2).map_err(column)?;
    let kind: u8 = row.get(3).map_err(column)?;
    let mut letter = NewDeadLetter {
        webhook_id: row.get(1).map_err(column)?,
        device: DeviceId::parse(&device).map_err(|error| error.to_string())?,
        kind: kind_of(kind).ok_or("its kind is not known")?,
        event: Vec::new(),
        origin: row.get(4).map_err(column)?,
        reason: row.get(5).map_err(column)?,
        attempts: row.get(6).map_err(column)?,
        failed_at: UtcTime::from_unix_ms(row.get(7).map_err(column)?),
    };
    let sealed: Vec<u8> = row.get(9).map_err(column)?;
    let version = row.get(8).map_err(column)?;
    let event = ring.open(&identity(&letter), version, &sealed);
    letter.event = event.map_err(|error| error.to_string())?;
    Ok(StoredDeadLetter {
        id: row.get(0).map_err(column)?,
        letter,
    })
}

/// The identity of a letter's row. Its number is not part of it, since the file assigns that.
fn identity(letter: &NewDeadLetter) -> Identity {
    Identity::of("dead_letters")
        .with(letter.webhook_id.as_bytes())
        .with(letter.device.as_str().as_bytes())
        .with(&[kind_column(letter.kind)])
}

/// Keeps one in place of the one with its webhook id, and adds what that changes to the totals.
pub(crate) fn put(
    connection: &Connection,
    ring: &KeyRing,
    letter: &NewDeadLetter,
    totals: &mut Totals,
) -> Result<(), StoreError> {
    let Sealed { version, bytes } = seal(ring, letter)?;
    let before: Option<u64> = connection
        .prepare_cached("SELECT bytes FROM dead_letters WHERE webhook_id = ?1")?
        .query_row([&letter.webhook_id], |row| row.get(0))
        .optional()?;
    let sql = "INSERT INTO dead_letters (webhook_id, device, kind, origin, reason, attempts, failed_unix_ms, bytes, key_version, event)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        ON CONFLICT (webhook_id) DO UPDATE SET device = ?2, kind = ?3, origin = ?4, reason = ?5, attempts = ?6,
            failed_unix_ms = ?7, bytes = ?8, key_version = ?9, event = ?10";
    connection.prepare_cached(sql)?.execute(params![
        letter.webhook_id,
        letter.device.as_str(),
        kind_column(letter.kind),
        letter.origin,
        letter.reason,
        letter.attempts,
        letter.failed_at.unix_ms(),
        bytes.len(),
        version,
        bytes,
    ])?;
    match before {
        Some(before) => totals.bytes = totals.bytes.saturating_sub(before),
        None => totals.rows += 1,
    }
    totals.bytes += bytes.len() as u64;
    Ok(())
}

/// Re-encrypts a dead letter, within the caller's transaction; returns its bytes.
pub(super) fn rekey(connection: &Connection, ring: &KeyRing, id: u64) -> Result<usize, StoreError> {
    let Some(StoredDeadLetter { letter, .. }) = get(connection, ring, id)? else {
        return Ok(0);
    };
    let Sealed { version, bytes } = seal(ring, &letter)?;
    connection
        .prepare_cached("UPDATE dead_letters SET key_version = ?2, event = ?3 WHERE id = ?1")?
        .execute(params![seconds(id), version, bytes])?;
    Ok(bytes.len())
}

fn seal(ring: &KeyRing, letter: &NewDeadLetter) -> Result<Sealed, StoreError> {
    let sealed = ring.seal(&identity(letter), &letter.event);
    sealed.map_err(|error| StoreError::KeyRing(error.to_string()))
}

/// Removes one by its number; returns how many.
pub(crate) fn remove(
    connection: &Connection,
    id: u64,
    totals: &mut Totals,
) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM dead_letters WHERE id = ?1 RETURNING bytes";
    removed(connection, sql, &seconds(id), totals)
}

/// Removes the one of a webhook id; returns how many.
pub(crate) fn remove_webhook(
    connection: &Connection,
    webhook_id: &str,
    totals: &mut Totals,
) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM dead_letters WHERE webhook_id = ?1 RETURNING bytes";
    removed(connection, sql, &webhook_id, totals)
}

/// Removes the oldest; returns how many.
pub(crate) fn drop_oldest(
    connection: &Connection,
    count: u64,
    totals: &mut Totals,
) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters ORDER BY id LIMIT ?1) RETURNING bytes";
    removed(connection, sql, &seconds(count), totals)
}

fn removed(
    connection: &Connection,
    sql: &str,
    which: &dyn rusqlite::ToSql,
    totals: &mut Totals,
) -> rusqlite::Result<usize> {
    let mut delete = connection.prepare_cached(sql)?;
    let mut rows = delete.query([which])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        totals.rows = totals.rows.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(row.get(0)?);
    }
    Ok(count)
}

pub(crate) fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM dead_letters";
    connection.query_row(sql, [], |row| {
        Ok(Totals {
            rows: row.get(0)?,
            bytes: row.get(1)?,
        })
    })
}
