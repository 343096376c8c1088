//! The check whether the files of an open store are still those that were opened, and still hold what was written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drawspan_state::Lock;
use drawspan_state::whole::{Cut, Files};

use crate::error::StoreError;
use crate::files::beside;
use crate::health::{StoreFile, StoreHealth};

/// The files of an open store. It must live longer than the store's connections, as [`Files`] says.
#[derive(Debug)]
pub(crate) struct Watch {
    files: Files,
    health: StoreHealth,
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
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub(crate) fn new(
        database: &Path,
        keyring: &Path,
        lock: Arc<Lock>,
        health: StoreHealth,
    ) -> io::Result<Self> {
        Ok(Self {
            files: Files::open(database)?,
            health,
            lock,
            database: Watched::new(database.to_path_buf()),
            log: Watched::new(beside(database, "-wal")),
            keyring: keyring.to_path_buf(),
        })
    }

    /// Looks, and says what it saw as the store's health.
    pub(crate) fn look(&self) {
        self.health.looked(self.missing());
        match self.files.cut() {
            Some(Cut::Database) => self.health.is_cut(StoreFile::Database),
            Some(Cut::Log) => self.health.is_cut(StoreFile::Log),
            None => {}
        }
    }

    /// Looks, and refuses if what is written would not be found again.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.look();
        self.health.refusal().map_or(Ok(()), Err)
    }

    /// The first file that is not there any more, or is another one.
    fn missing(&self) -> Option<StoreFile> {
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
