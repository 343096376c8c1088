//! Why something is not stored.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

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
        "the file is damaged; move it away to begin with an empty one (hubs are found again by DPS)"
    )]
    Damaged,
    /// SQLite refused for another reason.
    #[error("{0}")]
    Sqlite(String),
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
