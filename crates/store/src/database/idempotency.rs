//! Answers by idempotency key as rows.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::seconds;
use crate::idempotency::StoredAnswer;
use crate::limits::IDEMPOTENCY_SWEEP_GROUP;

pub(crate) fn get(
    connection: &Connection,
    key: &[u8; 32],
    since_unix_s: u64,
) -> rusqlite::Result<Option<StoredAnswer>> {
    let sql =
        "SELECT fingerprint, status, at_unix_s FROM idempotency WHERE key = ?1 AND at_unix_s >= ?2";
    connection
        .prepare_cached(sql)?
        .query_row(params![key, seconds(since_unix_s)], |row| {
            Ok(StoredAnswer {
                fingerprint: row.get(0)?,
                status: row.get(1)?,
                at_unix_s: row.get(2)?,
            })
        })
        .optional()
}

/// Returns how many rows there are more.
pub(crate) fn put(
    connection: &Connection,
    key: &[u8; 32],
    answer: &StoredAnswer,
) -> rusqlite::Result<usize> {
    let row = params![
        key,
        answer.fingerprint,
        answer.status,
        seconds(answer.at_unix_s)
    ];
    let inserted = connection
        .prepare_cached("INSERT OR IGNORE INTO idempotency VALUES (?1, ?2, ?3, ?4)")?
        .execute(row)?;
    if inserted == 0 {
        connection
            .prepare_cached("INSERT OR REPLACE INTO idempotency VALUES (?1, ?2, ?3, ?4)")?
            .execute(row)?;
    }
    Ok(inserted)
}

pub(crate) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("SELECT count(*) FROM idempotency", [], |row| row.get(0))
}

/// Deletes the oldest; returns how many there were.
pub(crate) fn drop_oldest(connection: &Connection, count: u64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency ORDER BY at_unix_s LIMIT ?1)";
    connection.prepare_cached(sql)?.execute([seconds(count)])
}

/// Deletes some that are from before; returns how many.
pub(crate) fn sweep(connection: &Connection, before_unix_s: u64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE at_unix_s < ?1 ORDER BY at_unix_s LIMIT ?2)";
    connection
        .prepare_cached(sql)?
        .execute(params![seconds(before_unix_s), IDEMPOTENCY_SWEEP_GROUP])
}
