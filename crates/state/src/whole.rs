//! The check whether the files of an open SQLite database still hold what SQLite wrote to them.
//!
//! A file that another program empties or truncates in place keeps its name and inode, and SQLite continues without the missing
//! part: it acknowledges data that cannot be found again, and may copy holes of the log into the database. The index of the log,
//! which SQLite keeps in shared memory, states how long both files must be.
//!
//! The files are opened a second time here. Closing one releases SQLite's locks on it, so a [`Files`] must live longer than every
//! connection of its process.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The only version of an index that SQLite has had.
const INDEX_VERSION: u32 = 3_007_000;
const INDEX_BYTES: usize = 48;
const LOG_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: u64 = 24;

/// A file of a database that lost something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The database itself.
    Database,
    /// Its log of changes.
    Log,
}

/// The files of an open database in WAL mode.
#[derive(Debug)]
pub struct Files {
    database: File,
    log: File,
    index: File,
    /// How long the database was at most.
    longest: AtomicU64,
    /// A finding is permanent: SQLite does not notice a replacement.
    cut: OnceLock<Cut>,
}

/// The contents of the index: a part of SQLite's `WalIndexHdr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Index {
    page_bytes: u64,
    /// Frames in the log that count.
    frames: u64,
    /// Pages of the database once the log is in it.
    pages: u64,
    salts: [u8; 8],
}

impl Files {
    /// The files of a database that was opened, and written to, just now.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let beside = |ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let database = File::open(path)?;
        Ok(Self {
            longest: AtomicU64::new(database.metadata()?.len()),
            database,
            log: File::open(beside("-wal"))?,
            index: File::open(beside("-shm"))?,
            cut: OnceLock::new(),
        })
    }

    /// The file that lost its beginning, or is shorter than it must be. `None` also if that cannot be determined, as while another
    /// process writes.
    #[must_use]
    pub fn cut(&self) -> Option<Cut> {
        if let Some(cut) = self.cut.get().copied().or_else(|| self.look()) {
            return Some(*self.cut.get_or_init(|| cut));
        }
        None
    }

    fn look(&self) -> Option<Cut> {
        let index = self.index()?;
        let cut = match (self.database_is_whole(index), self.log_is_whole(index)) {
            (Ok(false), _) => Cut::Database,
            (_, Ok(false)) => Cut::Log,
            _ => return None,
        };
        (self.index() == Some(index)).then_some(cut)
    }

    /// A database becomes shorter only when another program vacuums it, and then has fewer pages first.
    fn database_is_whole(&self, index: Index) -> io::Result<bool> {
        let bytes = self.database.metadata()?.len();
        let longest = self.longest.load(Ordering::Relaxed).max(bytes);
        let longest = longest.min(index.pages * index.page_bytes);
        self.longest.store(longest, Ordering::Relaxed);
        let begins = longest == 0 || begin(&self.database)?.as_ref() == Some(MAGIC);
        Ok(begins && bytes >= longest)
    }

    /// Whether what counts of the log is there, and the log is that of the index.
    fn log_is_whole(&self, index: Index) -> io::Result<bool> {
        if index.frames == 0 {
            return Ok(true);
        }
        let frame_bytes = FRAME_HEADER_BYTES + index.page_bytes;
        let bytes = LOG_HEADER_BYTES as u64 + index.frames * frame_bytes;
        let header = begin::<LOG_HEADER_BYTES>(&self.log)?;
        let salts = header.as_ref().and_then(|header| header.get(16..24));
        Ok(self.log.metadata()?.len() >= bytes && salts == Some(&index.salts))
    }

    /// The index is there twice, and the two differ while SQLite writes it.
    fn index(&self) -> Option<Index> {
        let both = begin::<{ 2 * INDEX_BYTES }>(&self.index).ok()??;
        let (first, second) = both.split_at(INDEX_BYTES);
        match first == second {
            true => parse(first),
            false => None,
        }
    }
}

/// Numbers are in the machine's own order, the salts as in the log.
fn parse(index: &[u8]) -> Option<Index> {
    let word = |at: usize| {
        let bytes = index.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(bytes))
    };
    let is_known = word(0)? == INDEX_VERSION && index.get(12) == Some(&1);
    let page_bytes = u16::from_ne_bytes(index.get(14..16)?.try_into().ok()?);
    is_known.then_some(Index {
        // 64 KiB does not fit.
        page_bytes: match page_bytes {
            1 => 1 << 16,
            bytes => bytes.into(),
        },
        frames: word(16)?.into(),
        pages: word(20)?.into(),
        salts: index.get(32..40)?.try_into().ok()?,
    })
}

/// The first bytes of a file; `None` if it is shorter.
fn begin<const BYTES: usize>(file: &File) -> io::Result<Option<[u8; BYTES]>> {
    let mut bytes = [0; BYTES];
    match read_at_begin(file, &mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn read_at_begin(file: &File, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, 0)
}

/// Elsewhere SQLite locks the files against others.
#[cfg(not(unix))]
fn read_at_begin(_: &File, _: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn opened(path: &Path) -> (Connection, Files) {
        let connection = Connection::open(path).unwrap();
        let begin = "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS a (b)";
        connection.execute_batch(begin).unwrap();
        fill(&connection);
        let files = Files::open(path).unwrap();
        (connection, files)
    }

    fn fill(connection: &Connection) {
        let rows = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000)
            INSERT INTO a SELECT x || ' and more of it' FROM n";
        connection.execute_batch(rows).unwrap();
    }

    #[test]
    fn what_sqlite_does_cuts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (connection, files) = opened(&path);
        let other = Connection::open(&path).unwrap();
        let steps = [
            "PRAGMA wal_checkpoint(PASSIVE)",
            "INSERT INTO a VALUES (1)",
            "PRAGMA wal_checkpoint(RESTART)",
            "INSERT INTO a VALUES (1)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "DELETE FROM a",
            "VACUUM",
            "INSERT INTO a VALUES (1)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "VACUUM",
        ];
        for step in steps {
            for connection in [&connection, &other] {
                connection.execute_batch(step).unwrap();
                assert_eq!(files.cut(), None, "{step}");
                fill(connection);
                assert_eq!(files.cut(), None, "after {step}");
            }
        }
        drop((connection, other));
    }

    #[test]
    fn a_file_that_is_cut_in_place_is_noticed() {
        let check = |file: &str, bytes: u64, written: bool, expected| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.db");
            let (connection, files) = opened(&path);
            assert_eq!(files.cut(), None);
            let cut = File::options().write(true).open(folder.path().join(file));
            cut.unwrap().set_len(bytes).unwrap();
            if written {
                // The result does not matter.
                let _ = connection.execute_batch("INSERT INTO a VALUES (1)");
            }
            assert_eq!(files.cut(), expected, "{file} {bytes} {written}");
        };
        check("a.db-wal", 0, false, Some(Cut::Log));
        check("a.db-wal", 0, true, Some(Cut::Log));
        check("a.db-wal", 40_000, false, Some(Cut::Log));
        check("a.db", 0, false, Some(Cut::Database));
        check("a.db", 0, true, Some(Cut::Database));
        check("a.db", 512, false, Some(Cut::Database));
    }
}
