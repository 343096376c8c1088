//! Errors of the store.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::health::StoreFault;
use crate::keyring::{KeyRingError, NoNewKey};
use crate::traces::Trace;

/// Advice on a file that cannot be used.
const WAY_OUT: &str = "put back a backup with `drawspan restore --force`, or begin without it by `drawspan serve --accept-empty-store`, which keeps the present files under other names";

/// Why a state directory cannot be used. Each says what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory, or a file in it, cannot be created.
    #[error("cannot create {}: {cause}", path.display())]
    Create {
        /// The directory or file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// More was stored than is found.
    #[error("{}: {trace}; {WAY_OUT}. Nothing was changed", path.display())]
    Lost {
        /// The database.
        path: PathBuf,
        /// The evidence.
        trace: Trace,
    },
    /// The file's pages or tables are not what SQLite wrote.
    #[error("{} is damaged: {why}; {WAY_OUT}. Nothing was changed", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The mistake.
        why: String,
    },
    /// Another process uses it.
    #[error(
        "the state directory {} is in use by another process{}; give each its own, or stop that one",
        path.display(), holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, if it left its number.
        holder: Option<u32>,
    },
    /// The file is not a file of Drawspan.
    #[error("{} is not a store of Drawspan, or its beginning is damaged; use another state directory, or {WAY_OUT}. Nothing was changed", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version.
    #[error(
        "{} has format {found}, this version reads up to {readable}; run the version that wrote it, or move the file away",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Format found.
        found: i64,
        /// Last format that can be read.
        readable: i64,
    },
    /// SQLite refused.
    #[error("cannot open {}: {cause}; if it stays so, {WAY_OUT}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: StoreError,
    },
    /// The key ring cannot be read or understood.
    #[error("the key ring {} cannot be used: {cause}; put back a copy of it, nothing was changed", path.display())]
    KeyRing {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: KeyRingError,
    },
    /// It is missing, although rows are encrypted.
    #[error(
        "there is no key ring {}, but {rows} stored values are encrypted, with key {version} among others; put it back, or name it with --keyring; nothing was changed",
        path.display()
    )]
    NoKeyRing {
        /// Its expected path.
        path: PathBuf,
        /// A key that is needed.
        version: u32,
        /// Values that are encrypted with it.
        rows: u64,
    },
    /// A key is missing.
    #[error(
        "key {version} is missing from the key ring {}, but {rows} stored values are encrypted with it; put back the key ring that has it (its line can be copied), or name it with --keyring; nothing was changed",
        path.display()
    )]
    KeyMissing {
        /// Number of the key.
        version: u32,
        /// The key ring's file.
        path: PathBuf,
        /// Values that are encrypted with it.
        rows: u64,
    },
    /// Another key has its number.
    #[error(
        "key {version} of the key ring {} is not the one with which {rows} stored values are encrypted; put back the key ring of this state directory, or name it with --keyring; nothing was changed",
        path.display()
    )]
    OtherKey {
        /// Number of the key.
        version: u32,
        /// The key ring's file.
        path: PathBuf,
        /// Values that are encrypted with the right one.
        rows: u64,
    },
    /// A key ring cannot be made.
    #[error("no new key: {0}")]
    NoNewKey(#[source] NoNewKey),
    /// The system gave no thread.
    #[error("no thread for the store: {0}")]
    Thread(#[source] io::Error),
}

/// Why something was not written or read.
#[derive(Debug, Clone, Error)]
pub enum StoreError {
    /// No room left.
    #[error("the disk is full")]
    DiskFull,
    /// The file may not be written.
    #[error("the file may not be written")]
    ReadOnly,
    /// The disk cannot be read or written.
    #[error("the disk fails: {0}")]
    Io(String),
    /// The file is damaged.
    #[error("the file is damaged; {WAY_OUT} (hubs are found again by DPS, subscriptions are not)")]
    Damaged,
    /// The file was removed or exchanged while it was in use.
    #[error("the file was removed or exchanged while it was in use")]
    Missing,
    /// SQLite refused for another reason.
    #[error("{0}")]
    Sqlite(String),
    /// A row cannot be decrypted.
    #[error(
        "{what} cannot be decrypted: {why}; it was changed by somebody else, or the key ring is another. Put back a backup with `drawspan restore`"
    )]
    Sealed {
        /// The row.
        what: String,
        /// The mistake.
        why: String,
    },
    /// Encryption is impossible.
    #[error("the key ring cannot be used: {0}")]
    KeyRing(String),
    /// The value is larger than allowed.
    #[error("the event is too large")]
    TooLarge,
    /// More changes wait than may.
    #[error("too many changes wait")]
    Busy,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Io(error.to_string()),
            _ => Self::Sqlite(error.to_string()),
        }
    }
}

impl StoreError {
    /// The fault of the store that it shows; `None` if it concerns one row or one call alone.
    #[must_use]
    pub const fn fault(&self) -> Option<StoreFault> {
        match self {
            Self::DiskFull => Some(StoreFault::DiskFull),
            Self::ReadOnly => Some(StoreFault::ReadOnly),
            Self::Io(_) => Some(StoreFault::Io),
            Self::Damaged => Some(StoreFault::Damaged),
            Self::KeyRing(_) => Some(StoreFault::KeyRing),
            Self::Sqlite(_) => Some(StoreFault::Other),
            Self::Missing | Self::Sealed { .. } | Self::TooLarge | Self::Busy | Self::Closed => {
                None
            }
        }
    }
}

impl OpenError {
    /// Whether what was stored is damaged or missing, so that only a backup or an empty store helps.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. } | Self::Damaged { .. } | Self::Foreign { .. }
        )
    }

    /// Whether a key is missing that stored values need.
    #[must_use]
    pub const fn is_missing_key(&self) -> bool {
        matches!(
            self,
            Self::NoKeyRing { .. } | Self::KeyMissing { .. } | Self::OtherKey { .. }
        )
    }

    /// SQLite's error about a file.
    pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => return Self::Foreign { path },
            Some(ErrorCode::DatabaseCorrupt) => {
                let why = error.to_string();
                return Self::Damaged { path, why };
            }
            _ => {}
        }
        Self::Sqlite {
            path,
            cause: error.into(),
        }
    }
}
