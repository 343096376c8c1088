//! A checksum over the rows of each table, maintained by triggers of the writing connection.
//!
//! SQLite's pages have no checksums, so it does not detect a changed byte in a row. The sum of a table does not depend on the order
//! of its rows, so that each change costs one addition. Triggers and the function they call belong to a connection, not to the
//! file: other programs can still read and write it, and their changes are detected.

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};

/// A table and those of its columns that are summed. Values that prove themselves, or are large, are left out.
#[derive(Debug, Clone, Copy)]
pub struct Summed {
    /// Its name.
    pub table: &'static str,
    /// Their names.
    pub columns: &'static [&'static str],
}

/// A table that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Differs {
    /// Its name.
    pub table: &'static str,
    /// How many rows were written.
    pub written: u64,
    /// How many there are.
    pub found: u64,
}

/// The table of sums; created with the other tables.
pub const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS sums (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
";

/// Has the sums of these tables kept up by what this connection writes from now on, and gives it what [`verify`] needs.
///
/// # Errors
/// What SQLite says.
pub fn keep(connection: &Connection, tables: &[Summed]) -> rusqlite::Result<()> {
    keep_function(connection)?;
    // A row that is replaced counts as deleted.
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = ON")?;
    for Summed { table, columns } in tables {
        let of = |row: &str| {
            let columns: Vec<String> = columns.iter().map(|it| format!("{row}.\"{it}\"")).collect();
            format!("row_sum({})", columns.join(", "))
        };
        let (new, old) = (of("NEW"), of("OLD"));
        let updated = quoted(columns);
        connection.execute_batch(&format!(
            "CREATE TEMP TRIGGER IF NOT EXISTS sum_{table}_insert AFTER INSERT ON main.{table} BEGIN
                UPDATE sums SET rows = rows + 1, sum = sum + {new} WHERE name = '{table}'; END;
             CREATE TEMP TRIGGER IF NOT EXISTS sum_{table}_delete AFTER DELETE ON main.{table} BEGIN
                UPDATE sums SET rows = rows - 1, sum = sum - {old} WHERE name = '{table}'; END;
             CREATE TEMP TRIGGER IF NOT EXISTS sum_{table}_update AFTER UPDATE OF {updated} ON main.{table} BEGIN
                UPDATE sums SET sum = sum - {old} + {new} WHERE name = '{table}'; END;"
        ))?;
    }
    Ok(())
}

/// Gives a connection what [`verify`] needs, before there is anything to keep up.
///
/// # Errors
/// What SQLite says.
pub fn keep_function(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_sum", -1, flags, row_sum)
}

/// The tables whose rows are not what was written. One that was not summed yet is summed now. Reads all rows.
///
/// # Errors
/// What SQLite says.
pub fn verify(connection: &Connection, tables: &[Summed]) -> rusqlite::Result<Vec<Differs>> {
    let mut differ = Vec::new();
    for it in tables {
        let found = sum(connection, it)?;
        let written: Option<(u64, i64)> = connection
            .query_row(
                "SELECT rows, sum FROM sums WHERE name = ?1",
                [it.table],
                |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)),
            )
            .optional()?;
        match written {
            None => put(connection, it, found)?,
            Some(written) if written == found => {}
            Some(written) => differ.push(Differs {
                table: it.table,
                written: written.0,
                found: found.0,
            }),
        }
    }
    Ok(differ)
}

/// Takes the rows of a table as they are.
///
/// # Errors
/// What SQLite says.
pub fn accept(connection: &Connection, tables: &[Summed], table: &str) -> rusqlite::Result<()> {
    for it in tables.iter().filter(|it| it.table == table) {
        put(connection, it, sum(connection, it)?)?;
    }
    Ok(())
}

fn sum(
    connection: &Connection,
    Summed { table, columns }: &Summed,
) -> rusqlite::Result<(u64, i64)> {
    let columns = quoted(columns);
    let sql = format!("SELECT count(*), coalesce(sum(row_sum({columns})), 0) FROM {table}");
    connection.query_row(&sql, [], |row| {
        Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
    })
}

fn quoted(columns: &[&str]) -> String {
    let columns: Vec<String> = columns.iter().map(|it| format!("\"{it}\"")).collect();
    columns.join(", ")
}

fn put(connection: &Connection, it: &Summed, (rows, sum): (u64, i64)) -> rusqlite::Result<()> {
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    let sql = "INSERT OR REPLACE INTO sums VALUES (?1, ?2, ?3)";
    connection.execute(sql, (it.table, rows, sum)).map(drop)
}

/// 32 bits of each row, so that a sum of any number of rows fits into SQLite's integers.
fn row_sum(context: &Context<'_>) -> rusqlite::Result<i64> {
    let mut hash = crc32fast::Hasher::new();
    for place in 0..context.len() {
        match context.get_raw(place) {
            ValueRef::Null => hash.update(&[0]),
            ValueRef::Integer(number) => {
                hash.update(&[1]);
                hash.update(&number.to_be_bytes());
            }
            ValueRef::Real(number) => {
                hash.update(&[2]);
                hash.update(&number.to_bits().to_be_bytes());
            }
            ValueRef::Text(bytes) => with_length(&mut hash, 3, bytes),
            ValueRef::Blob(bytes) => with_length(&mut hash, 4, bytes),
        }
    }
    Ok(i64::from(hash.finalize()))
}

fn with_length(hash: &mut crc32fast::Hasher, kind: u8, bytes: &[u8]) {
    hash.update(&[kind]);
    hash.update(&(bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &[Summed] = &[Summed {
        table: "a",
        columns: &["k", "v"],
    }];

    #[test]
    fn what_others_change_is_found_and_what_we_change_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let ours = Connection::open(&path).unwrap();
        ours.execute_batch(TABLE).unwrap();
        ours.execute_batch("CREATE TABLE a (k TEXT PRIMARY KEY, v, big BLOB) WITHOUT ROWID")
            .unwrap();
        keep(&ours, TABLES).unwrap();
        assert_eq!(verify(&ours, TABLES).unwrap(), []);
        let check = |by: &Connection, sql: &str, expected: Option<(u64, u64)>| {
            by.execute_batch(sql).unwrap();
            let found = verify(&ours, TABLES).unwrap();
            let found = found.first().map(|it| (it.written, it.found));
            assert_eq!(found, expected, "{sql}");
            accept(&ours, TABLES, "a").unwrap();
        };
        check(
            &ours,
            "INSERT INTO a VALUES ('x', 1, NULL), ('y', 2.5, x'00')",
            None,
        );
        check(
            &ours,
            "INSERT OR REPLACE INTO a VALUES ('x', 3, NULL)",
            None,
        );
        let upsert = "INSERT INTO a VALUES ('x', 4, NULL) ON CONFLICT (k) DO UPDATE SET v = 5";
        check(&ours, upsert, None);
        check(&ours, "UPDATE a SET v = 'six', k = 'z' WHERE k = 'x'", None);
        check(&ours, "DELETE FROM a WHERE k = 'y'", None);
        let theirs = Connection::open(&path).unwrap();
        check(&theirs, "UPDATE a SET big = x'ff'", None);
        check(&theirs, "UPDATE a SET v = 'seven'", Some((1, 1)));
        check(&theirs, "DELETE FROM a", Some((1, 0)));
        check(&ours, "INSERT INTO a VALUES ('x', 1, NULL)", None);
        check(&ours, "DELETE FROM a", None);
    }
}
