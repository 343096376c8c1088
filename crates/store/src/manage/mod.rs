//! Operations on a state directory from outside, even while a bridge uses it.

mod backup;
mod copy;
mod error;
mod keys;
mod restore;
mod unreadable;

use std::path::{Path, PathBuf};
use std::time::Duration;

use drawspan_state::sqlite::{self, Content};
use drawspan_state::{Lock, Recorded, sums};
use rusqlite::Connection;

pub use backup::{BackedUp, Backup, backup, keyring_beside};
pub use error::ManageError;
pub use keys::{KeyList, KeyRow, Pruned, Rotated, list_keys, prune_keys, rotate_keys};
pub use restore::{Restore, Restored, restore};
pub use unreadable::{
    RemovedUnreadable, Unreadable, UnreadableSubscription, list_unreadable, remove_unreadable,
};

use crate::OpenError;
use crate::database::{self, SUMMED, Stored};
use crate::limits::MANAGE_ATTEMPTS;
use crate::state_files;
use crate::store::{FILE, MARK_FILE};
use crate::traces::{self, Trace};

/// How much is done, out of how much; pages or rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Done.
    pub done: u64,
    /// In all.
    pub all: u64,
}

/// The database of a directory, which must exist. SQLite must not open an empty one: it would delete the log next to it.
fn file_in(directory: &Path) -> Result<PathBuf, ManageError> {
    let path = directory.join(FILE);
    let look = sqlite::look(&path).map_err(ManageError::file(&path))?;
    match look.content {
        Content::Database | Content::Foreign => Ok(path),
        Content::Nothing if !look.beside => Err(ManageError::NoStore { path }),
        Content::Empty if !look.beside => Err(OpenError::Lost {
            path,
            trace: Trace::Mark,
        }
        .into()),
        Content::Nothing | Content::Empty => Err(OpenError::Lost {
            path,
            trace: Trace::Log,
        }
        .into()),
    }
}

/// The directory's mark. Read it before the database: later commits are not losses.
fn recorded_in(directory: &Path) -> Result<Recorded, ManageError> {
    let path = directory.join(MARK_FILE);
    Recorded::read(&path).map_err(ManageError::file(&path))
}

/// Checks that a database holds everything that was committed to it.
fn check_complete(
    connection: &Connection,
    path: &Path,
    recorded: Recorded,
) -> Result<(), ManageError> {
    let compared = traces::compare(Stored::read(connection)?, recorded);
    let path = path.to_path_buf();
    compared.map_err(|trace| OpenError::Lost { path, trace })?;
    Ok(())
}

/// A database that this version made, to read and write.
fn open(path: &Path) -> Result<Connection, ManageError> {
    let connection = database::open(path)?;
    check_format(&connection, path)?;
    if let Some(directory) = path.parent() {
        check_complete(&connection, path, recorded_in(directory)?)?;
    }
    sums::keep(&connection, SUMMED)?;
    sqlite::fold_at_close(&connection, true)?;
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

/// The directory, locked for this process; `None` while a bridge uses it.
fn alone(directory: &Path) -> Result<Option<Lock>, ManageError> {
    match state_files::take(directory) {
        Ok(lock) => Ok(Some(lock)),
        Err(OpenError::InUse { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
