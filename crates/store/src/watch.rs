//! Looking whether the files of an open store are still the ones that were opened.
//!
//! Files are looked at by name only: to open and close the database a second time would take away SQLite's locks on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drawspan_state::Lock;

use crate::files::beside;
use crate::health::StoreFile;

/// The files of an open store.
#[derive(Debug)]
pub(crate) struct Watch {
    lock: Arc<Lock>,
    database: Watched,
    log: Watched,
    keyring: PathBuf,
}

/// A file, and which one it was.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    opened: Option<(u64, u64)>,
}

impl Watch {
    /// Of a store that was opened, and written to, just now.
    pub(crate) fn new(database: &Path, keyring: &Path, lock: Arc<Lock>) -> Self {
        Self {
            lock,
            database: Watched::new(database.to_path_buf()),
            log: Watched::new(beside(database, "-wal")),
            keyring: keyring.to_path_buf(),
        }
    }

    /// The first that is not there any more, or is another one.
    pub(crate) fn missing(&self) -> Option<StoreFile> {
        if !self.database.is_there() {
            return Some(StoreFile::Database);
        }
        if !self.log.is_there() {
            return Some(StoreFile::Log);
        }
        if !self.lock.is_in_place() {
            return Some(StoreFile::Lock);
        }
        (!self.keyring.exists()).then_some(StoreFile::KeyRing)
    }
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        let opened = which(&path);
        Self { path, opened }
    }

    /// One that was not there is not missed.
    fn is_there(&self) -> bool {
        self.opened.is_none() || self.opened == which(&self.path)
    }
}

#[cfg(unix)]
fn which(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn which(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|_| (0, 0))
}
