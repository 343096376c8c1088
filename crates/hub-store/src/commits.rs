//! The count of transactions, in the registry's file and in a mark next to it.

use drawspan_state::Mark;
use rusqlite::{Connection, OptionalExtension as _, Row};

/// Made with the other tables; it has one row.
pub(super) const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS store (one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL, commits INTEGER NOT NULL);
";

/// The identity of the registry, and the number of committed transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) id: u128,
    pub(super) commits: u64,
}

/// The count, and its mark.
#[derive(Debug)]
pub(super) struct Commits {
    mark: Mark,
}

impl Stored {
    /// `None` in a file of an earlier format.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let has = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'store'";
        let has = connection.query_row(has, [], |_| Ok(())).optional()?;
        if has.is_none() {
            return Ok(None);
        }
        let sql = "SELECT id, commits FROM store";
        connection.query_row(sql, [], Self::of).optional()
    }

    /// One more transaction is about to be committed.
    pub(super) fn count(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "UPDATE store SET commits = commits + 1 RETURNING id, commits";
        connection.prepare_cached(sql)?.query_row([], Self::of)
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let id: [u8; 16] = row.get(0)?;
        Ok(Self {
            id: u128::from_be_bytes(id),
            commits: row.get::<_, i64>(1)?.unsigned_abs(),
        })
    }
}

impl Commits {
    pub(super) fn new(mark: Mark, stored: Stored) -> Self {
        let mut commits = Self { mark };
        commits.committed(stored);
        commits
    }

    /// A transaction that counted itself is committed.
    pub(super) fn committed(&mut self, stored: Stored) {
        self.mark.say([stored.commits, 0]);
    }
}
