//! Errors of commands on a state directory.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::error::{OpenError, StoreError};
use crate::keyring::NoNewKey;

/// Why a command on a state directory fails. Each says what to do.
#[derive(Debug, Error)]
pub enum ManageError {
    /// The directory or its key ring cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file does not exist.
    #[error("there is no {}; is that the state directory? `drawspan serve --state DIR` creates it", path.display())]
    NoStore {
        /// The database that should be there.
        path: PathBuf,
    },
    /// No bridge of this version used it yet.
    #[error("{} is of an earlier version; run `drawspan serve` of this version with it once", path.display())]
    Older {
        /// The database.
        path: PathBuf,
    },
    /// The key ring to change does not exist.
    #[error("there is no key ring {}; give the one that `drawspan serve` uses with --keyring", path.display())]
    NoKeyRing {
        /// Its expected path.
        path: PathBuf,
    },
    /// The key ring belongs to something else.
    #[error(
        "{} is not the key ring of this state directory: it does not have key {version} as it was used last; name the right one with --keyring",
        path.display()
    )]
    OtherKeyRing {
        /// The key ring.
        path: PathBuf,
        /// The key.
        version: u32,
    },
    /// A new key cannot be generated.
    #[error(transparent)]
    NoNewKey(#[from] NoNewKey),
    /// A file is in the way.
    #[error("{} is there already; choose another name, or replace it with --force", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The directory has a store.
    #[error(
        "{} holds a store already; restore into another directory, or replace it with --force (the old one is kept next to it)",
        path.display()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A backup cannot be used.
    #[error("{} cannot be restored: {why}; nothing was changed", path.display())]
    BadBackup {
        /// The backup.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
}

impl ManageError {
    /// For `map_err`.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |cause| Self::File { path, cause }
    }
}

impl From<rusqlite::Error> for ManageError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
