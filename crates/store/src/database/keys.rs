//! The keys that rows are encrypted with.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::keyring::{Fingerprint, KeyRing};

/// A key that rows use or used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyUse {
    pub(crate) version: u32,
    /// Unknown if the file says nothing about the key.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Rows that are encrypted with it now.
    pub(crate) rows: u64,
}

const USE: &str = "
    SELECT version, sum(rows), (SELECT fingerprint FROM keys WHERE keys.version = used.version) FROM (
        SELECT key_version AS version, count(*) AS rows FROM subscriptions GROUP BY key_version
        UNION ALL SELECT key_version, count(*) FROM dead_letters GROUP BY key_version
        UNION ALL SELECT version, 0 FROM keys
    ) AS used GROUP BY version ORDER BY version";

/// Every key that was ever used, in the order of their numbers. Nothing in a file of the first format.
pub(crate) fn in_use(connection: &Connection) -> rusqlite::Result<Vec<KeyUse>> {
    let has = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'keys'";
    let has = connection.query_row(has, [], |_| Ok(())).optional()?;
    if has.is_none() {
        return Ok(Vec::new());
    }
    let mut select = connection.prepare_cached(USE)?;
    let rows = select.query_map([], |row| {
        let fingerprint: Option<[u8; 8]> = row.get(2)?;
        Ok(KeyUse {
            version: row.get(0)?,
            rows: row.get(1)?,
            fingerprint: fingerprint.map(Fingerprint),
        })
    })?;
    rows.collect()
}

/// The highest number that is known here.
pub(crate) fn newest(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    connection
        .prepare_cached("SELECT max(version) FROM keys")?
        .query_row([], |row| row.get(0))
}

/// Whether the key may seal: it is not there any more once it was pruned.
pub(crate) fn is_known(connection: &Connection, version: u32) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM keys WHERE version = ?1")?
        .exists([version])
}

/// From now on the ring's current key seals.
pub(crate) fn announce(connection: &Connection, ring: &KeyRing) -> rusqlite::Result<()> {
    let Some(key) = ring.get(ring.current()) else {
        return Ok(());
    };
    connection
        .prepare_cached("INSERT OR REPLACE INTO keys VALUES (?1, ?2)")?
        .execute(params![ring.current(), key.fingerprint.0])
        .map(drop)
}

/// The key was removed from the ring.
pub(crate) fn retire(connection: &Connection, version: u32) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM keys WHERE version = ?1", [version])
        .map(drop)
}
