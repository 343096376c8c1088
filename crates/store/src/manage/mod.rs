//! What is done with a state directory from outside, also while a bridge uses it.

mod backup;
mod copy;
mod error;
mod keys;
mod restore;
mod unreadable;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

pub use backup::{BackedUp, Backup, backup, keyring_beside};
pub use error::ManageError;
pub use keys::{KeyList, KeyRow, Pruned, Rotated, list_keys, prune_keys, rotate_keys};
pub use restore::{Restore, Restored, restore};
pub use unreadable::{
    RemovedUnreadable, Unreadable, UnreadableSubscription, list_unreadable, remove_unreadable,
};

use crate::database;
use crate::limits::MANAGE_ATTEMPTS;
use crate::lock::Lock;
use crate::store::FILE;

/// How much is done, out of how much; pages or rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Done.
    pub done: u64,
    /// In all.
    pub all: u64,
}

/// The database of a directory, which must be there.
fn file_in(directory: &Path) -> Result<PathBuf, ManageError> {
    let path = directory.join(FILE);
    match path.is_file() {
        true => Ok(path),
        false => Err(ManageError::NoStore { path }),
    }
}

/// A database that this version made, to read and write.
fn open(path: &Path) -> Result<Connection, ManageError> {
    let connection = database::open(path)?;
    check_format(&connection, path)?;
    // SQLite's own waiting would hardly ever find the moment between two transactions of a busy bridge.
    connection.busy_handler(Some(|attempts| {
        std::thread::sleep(Duration::from_millis(1));
        attempts < MANAGE_ATTEMPTS
    }))?;
    Ok(connection)
}

fn check_format(connection: &Connection, path: &Path) -> Result<(), ManageError> {
    match database::is_current(connection)? {
        true => Ok(()),
        false => Err(ManageError::Older {
            path: path.to_path_buf(),
        }),
    }
}

/// The directory for us alone; `None` while a bridge uses it.
fn alone(directory: &Path) -> Result<Option<Lock>, ManageError> {
    match Lock::take(directory) {
        Ok(lock) => Ok(Some(lock)),
        Err(crate::OpenError::InUse { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
