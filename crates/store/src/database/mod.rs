//! The file and its tables; the meaning of rows is in the submodules.

pub(crate) mod dead_letters;
pub(crate) mod desired_marks;
pub(crate) mod hub_cache;
pub(crate) mod idempotency;
pub(crate) mod keys;
pub(crate) mod rekey;
pub(crate) mod subscriptions;
pub(crate) mod unreadable;

use std::path::Path;
use std::time::Duration;

use drawspan_state::sums::Summed;
use drawspan_state::{private, sqlite, sums};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};

use crate::error::OpenError;
use crate::keyring::KeyRing;
use crate::limits::BUSY_TIMEOUT_MS;

/// Identifies our files: `Drsp`.
const APPLICATION: i64 = 0x4472_7370;
/// Raised with every change of the tables. The first format had the hub cache alone; the second added all else; the third counts
/// commits and sums rows; the fourth has marks of desired properties in place of
/// versions, whose table stays empty.
const FORMAT: i64 = 4;

/// The tables, created where they are missing, which upgrades a file of any earlier format.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS hub_cache (
        device TEXT PRIMARY KEY,
        hub TEXT NOT NULL,
        assigned TEXT,
        renewed_unix_s INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS keys (
        version INTEGER PRIMARY KEY,
        fingerprint BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS subscriptions (
        scope INTEGER NOT NULL,
        name TEXT NOT NULL,
        kind INTEGER NOT NULL,
        key_version INTEGER NOT NULL,
        callback BLOB NOT NULL,
        created_unix_ms INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        PRIMARY KEY (scope, name, kind)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        webhook_id TEXT NOT NULL UNIQUE,
        device TEXT NOT NULL,
        kind INTEGER NOT NULL,
        origin TEXT NOT NULL,
        reason TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        failed_unix_ms INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        key_version INTEGER NOT NULL,
        event BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS dead_letters_of_device ON dead_letters (device);
    CREATE INDEX IF NOT EXISTS dead_letters_of_key ON dead_letters (key_version, bytes);
    CREATE TABLE IF NOT EXISTS desired_versions (
        device TEXT PRIMARY KEY,
        version INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS desired_marks (
        device TEXT PRIMARY KEY,
        version INTEGER NOT NULL,
        fingerprint INTEGER,
        receiver INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS idempotency (
        key BLOB PRIMARY KEY,
        fingerprint BLOB NOT NULL,
        status INTEGER NOT NULL,
        at_unix_s INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS idempotency_by_age ON idempotency (at_unix_s);
    CREATE TABLE IF NOT EXISTS store (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        id BLOB NOT NULL,
        commits INTEGER NOT NULL,
        durable INTEGER NOT NULL
    );
";

/// The columns that are summed of each table: all.
#[rustfmt::skip] // a table
pub(crate) const SUMMED: &[Summed] = &[
    Summed { table: "hub_cache", columns: &["device", "hub", "assigned", "renewed_unix_s"] },
    Summed { table: "subscriptions", columns: &["scope", "name", "kind", "key_version", "callback", "created_unix_ms", "flags"] },
    Summed { table: "dead_letters", columns: &["id", "webhook_id", "device", "kind", "origin", "reason", "attempts", "failed_unix_ms", "bytes", "key_version", "event"] },
    Summed { table: "desired_versions", columns: &["device", "version"] },
    Summed { table: "desired_marks", columns: &["device", "version", "fingerprint", "receiver"] },
    Summed { table: "idempotency", columns: &["key", "fingerprint", "status", "at_unix_s"] },
];

/// The identity of the store, and the number of committed transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) id: u128,
    /// All commits.
    pub(crate) commits: u64,
    /// Those that were on disk before they were acknowledged.
    pub(crate) durable: u64,
}

/// Opens or creates the file, accessible to its owner only. Nothing in it changes yet, not even when the connection is closed;
/// [`prepare`] makes it ready. There must be no log next to an empty file, since it would be lost.
pub(crate) fn open(path: &Path) -> Result<Connection, OpenError> {
    create_private(path)?;
    let failed = |error| OpenError::sqlite(path, error);
    let connection = Connection::open(path).map_err(failed)?;
    sqlite::fold_at_close(&connection, false).map_err(failed)?;
    connection
        .busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))
        .map_err(failed)?;
    check_owner(&connection, path)?;
    Ok(connection)
}

/// A second connection, for reading while the first one writes.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    Ok(connection)
}

/// SQLite gives the files next to it the same permissions.
pub(crate) fn create_private(path: &Path) -> Result<(), OpenError> {
    private::file(path)
        .map(drop)
        .map_err(|cause| OpenError::Create {
            path: path.to_path_buf(),
            cause,
        })
}

/// Checks that a file is a store of a known format, or empty.
pub(crate) fn check_owner(connection: &Connection, path: &Path) -> Result<(), OpenError> {
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

/// Makes the tables, those that later formats added included, and says which key seals. `id` names a store that has no name yet.
pub(crate) fn prepare(
    connection: &mut Connection,
    ring: &KeyRing,
    id: u128,
) -> rusqlite::Result<Stored> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    sync(connection, Sync::OfMachine)?;
    // Together, so that no half-made file is taken for a foreign one.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(sums::TABLE)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    // Without a receiver they say nothing: each receiver gets everything once.
    transaction.execute("DELETE FROM desired_versions", [])?;
    keys::announce(&transaction, ring)?;
    let new = "INSERT OR IGNORE INTO store VALUES (1, ?1, 0, 0)";
    transaction.execute(new, [id.to_be_bytes()])?;
    let stored = Stored::count(&transaction, Sync::OfMachine)?;
    transaction.commit()?;
    Ok(stored)
}

/// The first difference between a file's tables and those of a new file, if there is one. A file of an earlier format has fewer.
pub(crate) fn strange(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let new = Connection::open_in_memory()?;
    new.execute_batch(TABLES)?;
    new.execute_batch(sums::TABLE)?;
    let expected = sqlite::shape(&new)?;
    let found = sqlite::shape(connection)?;
    if let Some(line) = found.iter().find(|line| !expected.contains(line)) {
        return Ok(Some(format!("`{line}` is not known")));
    }
    let missing = expected.into_iter().find(|line| !found.contains(line));
    Ok(match is_current(connection)? {
        true => missing.map(|line| format!("`{line}` is missing")),
        false => None,
    })
}

impl Stored {
    /// `None` in a file of an earlier format.
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let has = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'store'";
        let has = connection.query_row(has, [], |_| Ok(())).optional()?;
        if has.is_none() {
            return Ok(None);
        }
        let sql = "SELECT id, commits, durable FROM store";
        connection.query_row(sql, [], Self::of).optional()
    }

    /// One more transaction is about to be committed.
    pub(crate) fn count(connection: &Connection, sync: Sync) -> rusqlite::Result<Self> {
        let sql = "UPDATE store SET commits = commits + 1, durable = durable + ?1 RETURNING id, commits, durable";
        let durable = i64::from(sync == Sync::OfMachine);
        connection
            .prepare_cached(sql)?
            .query_row([durable], Self::of)
    }

    /// As a mark says it.
    pub(crate) const fn counts(self) -> [u64; 2] {
        [self.commits, self.durable]
    }

    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let id: [u8; 16] = row.get(0)?;
        Ok(Self {
            id: u128::from_be_bytes(id),
            commits: row.get::<_, i64>(1)?.unsigned_abs(),
            durable: row.get::<_, i64>(2)?.unsigned_abs(),
        })
    }
}

/// Whether the file has every table of this format.
pub(crate) fn is_current(connection: &Connection) -> rusqlite::Result<bool> {
    let format: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(format == FORMAT)
}

/// SQLite's complaints about the pages of the file, if any; it reads all of them.
pub(crate) fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// The durability of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// The end of the process; when the machine ends, the last moment may be lost.
    OfProcess,
    /// The end of the machine. Everything that was committed before is then on disk, too.
    OfMachine,
}

/// Sets the durability of the next transactions.
pub(crate) fn sync(connection: &Connection, sync: Sync) -> rusqlite::Result<()> {
    connection.execute_batch(match sync {
        Sync::OfProcess => "PRAGMA synchronous = NORMAL",
        Sync::OfMachine => "PRAGMA synchronous = FULL",
    })
}

/// SQLite's integers have a sign.
pub(crate) fn seconds(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
