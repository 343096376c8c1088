//! Checks before SQLite opens a database, and the check of its contents.
//!
//! SQLite treats an empty file as a new database and deletes the log next to it, and it treats the readable part of a damaged log
//! as complete. So files are checked first, and a connection that only checks must not merge the log into the database.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use crate::limits::{ASIDE_NAMES, CHECK_STEPS, CHECK_TIME_MS};

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The smallest page: a shorter file holds nothing.
const PAGE_BYTES_MIN: u64 = 512;
/// The suffixes of SQLite's files next to a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The state of a database's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// No file.
    Nothing,
    /// A file of no bytes.
    Empty,
    /// A file that is too short, or begins otherwise.
    Foreign,
    /// A database, by its first bytes.
    Database,
}

/// A database and the files next to it, as they are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The database itself.
    pub content: Content,
    /// Whether a log, or another file of SQLite, is next to it and not empty.
    pub beside: bool,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The file is sound.
    Whole,
    /// This is wrong.
    Damaged(String),
    /// It took too long and was ended; nothing was wrong so far.
    Unfinished,
}

/// Checks the files of a database, without SQLite.
///
/// # Errors
/// When they are there and cannot be read.
pub fn look(path: &Path) -> io::Result<Look> {
    let beside = BESIDE.iter().any(|ending| {
        let metadata = fs::metadata(beside(path, ending));
        metadata.is_ok_and(|metadata| metadata.len() > 0)
    });
    Ok(Look {
        content: content(path)?,
        beside,
    })
}

fn content(path: &Path) -> io::Result<Content> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Nothing),
        Err(error) => return Err(error),
    };
    let bytes = file.metadata()?.len();
    if bytes == 0 {
        return Ok(Content::Empty);
    }
    let mut begin = [0; MAGIC.len()];
    let is_ours = bytes >= PAGE_BYTES_MIN && file.read_exact(&mut begin).is_ok() && begin == *MAGIC;
    Ok(match is_ours {
        true => Content::Database,
        false => Content::Foreign,
    })
}

/// Renames a database and the files next to it, to free names; returns the new name of the first existing one.
///
/// # Errors
/// When one of them cannot be renamed.
pub fn set_aside(path: &Path, ending: &str) -> io::Result<Option<PathBuf>> {
    let files: Vec<&str> = std::iter::once("").chain(BESIDE).collect();
    let free = |name: &PathBuf| files.iter().all(|it| !beside(name, it).exists());
    let first = beside(path, ending);
    let others = (2..ASIDE_NAMES).map(|number| beside(path, &format!("{ending}-{number}")));
    let mut names = std::iter::once(first).chain(others);
    let Some(name) = names.find(free) else {
        return Err(io::ErrorKind::AlreadyExists.into());
    };
    let mut moved = None;
    for ending in files {
        let to = beside(&name, ending);
        match fs::rename(beside(path, ending), &to) {
            Ok(()) => moved = moved.or(Some(to)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(moved)
}

/// Whether closing the connection folds the log into the database.
///
/// # Errors
/// What SQLite says.
pub fn fold_at_close(connection: &Connection, fold: bool) -> rusqlite::Result<()> {
    let option = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(option, !fold).map(drop)
}

/// Merges the log into the database, as far as there are no other readers. The log stays, and is overwritten.
///
/// # Errors
/// What SQLite says.
pub fn fold(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Reads all pages and looks whether they make a database, for [`CHECK_TIME_MS`] at most.
///
/// # Errors
/// What SQLite says; [`Checked::Damaged`] if that is that the file is damaged.
pub fn check(connection: &Connection) -> rusqlite::Result<Checked> {
    let until = Instant::now() + Duration::from_millis(CHECK_TIME_MS);
    connection.progress_handler(CHECK_STEPS, Some(move || Instant::now() >= until));
    let found: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    connection.progress_handler(0, None::<fn() -> bool>);
    match found {
        Ok(found) if found == "ok" => Ok(Checked::Whole),
        Ok(found) => Ok(Checked::Damaged(found.replace('\n', " "))),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Ok(Checked::Unfinished),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Ok(Checked::Damaged(error.to_string()))
            }
            _ => Err(error),
        },
    }
}

/// The tables of a database with their columns, and its indexes, one a line: to be compared with what they should be.
///
/// # Errors
/// What SQLite says.
pub fn shape(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    const SHAPE: &str = r#"
        SELECT 'table ' || it.name || ' ' || at.name || ' ' || at.type || ' ' || at."notnull" || ' ' || at.pk
            FROM sqlite_schema AS it, pragma_table_info(it.name) AS at WHERE it.type = 'table' AND it.name NOT LIKE 'sqlite_%'
        UNION ALL SELECT 'index ' || it.name || ' ' || it.tbl_name || ' ' || coalesce(at.name, '')
            FROM sqlite_schema AS it, pragma_index_info(it.name) AS at WHERE it.type = 'index' AND it.name NOT LIKE 'sqlite_%'
        ORDER BY 1"#;
    let mut select = connection.prepare(SHAPE)?;
    let rows = select.query_map([], |row| row.get(0))?;
    rows.collect()
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_database_with_a_log_is_seen_and_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let check = |content, beside| assert_eq!(look(&path).unwrap(), Look { content, beside });
        check(Content::Nothing, false);
        fs::write(&path, "").unwrap();
        check(Content::Empty, false);
        fs::write(beside(&path, "-wal"), "x").unwrap();
        check(Content::Empty, true);
        fs::write(&path, "SQLite format 3\0 cut").unwrap();
        check(Content::Foreign, true);
        let moved = set_aside(&path, ".lost").unwrap().unwrap();
        assert!(moved.ends_with("a.db.lost"), "{moved:?}");
        check(Content::Nothing, false);
        fs::write(&path, vec![7; 4096]).unwrap();
        check(Content::Foreign, false);
        let moved = set_aside(&path, ".lost").unwrap().unwrap();
        assert!(moved.ends_with("a.db.lost-2"), "{moved:?}");
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE a (b)")
            .unwrap();
        check(Content::Database, false);
    }

    #[test]
    fn a_page_that_makes_no_sense_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        let rows = "CREATE TABLE a (b); WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000)
            INSERT INTO a SELECT x || ' and more of it' FROM n";
        connection.execute_batch(rows).unwrap();
        assert_eq!(check(&connection).unwrap(), Checked::Whole);
        assert_eq!(shape(&connection).unwrap(), ["table a b  0 0"]);
        drop(connection);
        let mut bytes = fs::read(&path).unwrap();
        bytes[8192..8200].fill(0xff);
        fs::write(&path, bytes).unwrap();
        let checked = check(&Connection::open(&path).unwrap()).unwrap();
        assert!(matches!(checked, Checked::Damaged(_)), "{checked:?}");
    }
}
