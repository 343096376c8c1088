//! Why something is not stored.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::keyring::{KeyRingError, NoNewKey};

/// Why a state directory cannot be used. Each says what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory, or a file in it, cannot be created.
    #[error("cannot create {}: {cause}", path.display())]
    Create {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
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
    /// The file is not one of ours.
    #[error("{} is not a store of Drawspan; move it away, or use another state directory", path.display())]
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
    #[error("cannot open {}: {cause}", path.display())]
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
    /// There is none, though rows are encrypted.
    #[error(
        "there is no key ring {}, but {rows} stored values are encrypted, with key {version} among others; put it back, or name it with --keyring; nothing was changed",
        path.display()
    )]
    NoKeyRing {
        /// Where it should be.
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
    /// The file is damaged.
    #[error(
        "the file is damaged; put back a backup with `drawspan restore`, or move it away to begin with an empty one (hubs are found again by DPS, subscriptions are not)"
    )]
    Damaged,
    /// SQLite refused for another reason.
    #[error("{0}")]
    Sqlite(String),
    /// A row cannot be decrypted.
    #[error(
        "{what} cannot be decrypted: {why}; it was changed by somebody else, or the key ring is another. Put back a backup with `drawspan restore`"
    )]
    Sealed {
        /// Which row.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// Nothing can be encrypted.
    #[error("the key ring cannot be used: {0}")]
    KeyRing(String),
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
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged,
            _ => Self::Sqlite(error.to_string()),
        }
    }
}

impl OpenError {
    /// Whether a key is missing that stored values need.
    #[must_use]
    pub const fn is_missing_key(&self) -> bool {
        matches!(
            self,
            Self::NoKeyRing { .. } | Self::KeyMissing { .. } | Self::OtherKey { .. }
        )
    }

    /// What SQLite said about a file.
    pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return Self::Foreign { path };
        }
        Self::Sqlite {
            path,
            cause: error.into(),
        }
    }
}
