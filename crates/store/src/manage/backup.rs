//! A copy of a state directory's database.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{
    ManageError, Progress, check_complete, check_format, copy, file_in, keys, recorded_in,
};
use crate::database;
use crate::database::keys as table;
use crate::files::{beside, sync_folder_of};
use crate::keyring::unusable;

/// The source and destination of a backup.
#[derive(Debug, Clone, Copy)]
pub struct Backup<'a> {
    /// The state directory; a bridge may use it.
    pub directory: &'a Path,
    /// The file to make.
    pub to: &'a Path,
    /// The key ring, when it shall be copied, too: to [`keyring_beside`].
    pub keyring: Option<&'a Path>,
    /// Whether files that are there may be replaced.
    pub force: bool,
}

/// The result of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// Size of the file.
    pub bytes: u64,
    /// Subscriptions in it.
    pub subscriptions: u64,
    /// Keys that are needed to read it.
    pub keys: Vec<u32>,
}

/// Path of a backup's key ring, if it has one: a separate file, so that the two can be kept apart.
#[must_use]
pub fn keyring_beside(backup: &Path) -> PathBuf {
    beside(backup, ".keyring")
}

/// Copies a database as it is at one moment, despite concurrent writers. The file appears under its name once it is complete.
/// Blocks.
///
/// # Errors
/// When there is no store, a file is in the way or cannot be written, or the key ring that shall be copied does not have every
/// key.
pub fn backup(
    what: &Backup<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<BackedUp, ManageError> {
    let path = file_in(what.directory)?;
    let beside_it = keyring_beside(what.to);
    let mut targets = vec![what.to];
    targets.extend(what.keyring.map(|_| beside_it.as_path()));
    let taken = targets.into_iter().find(|path| path.exists());
    if let Some(taken) = taken.filter(|_| !what.force) {
        return Err(ManageError::Exists {
            path: taken.to_path_buf(),
        });
    }
    let recorded = recorded_in(what.directory)?;
    let from = database::open_to_read(&path)?;
    database::check_owner(&from, &path)?;
    check_format(&from, &path)?;
    check_complete(&from, &path, recorded)?;
    let partial = beside(what.to, ".partial");
    let copied = copy::copy(&from, &partial, progress).and_then(|()| finish(what, &partial));
    if copied.is_err() {
        // An incomplete copy is useless.
        let _ = copy::remove(&partial);
    }
    copied
}

fn finish(what: &Backup<'_>, partial: &Path) -> Result<BackedUp, ManageError> {
    let copy = Connection::open(partial)?;
    let used = table::in_use(&copy)?;
    let subscriptions = database::subscriptions::count(&copy)?;
    drop(copy);
    if let Some(keyring) = what.keyring {
        let missing = || ManageError::NoKeyRing {
            path: keyring.to_path_buf(),
        };
        let ring = keys::read(keyring)?.ok_or_else(missing)?;
        if let Some(error) = unusable(&ring, keyring, &used) {
            return Err(error.into());
        }
        let to = keyring_beside(what.to);
        ring.write(&to).map_err(ManageError::file(&to))?;
    }
    fs::rename(partial, what.to)
        .and_then(|()| sync_folder_of(what.to))
        .map_err(ManageError::file(what.to))?;
    let needed = used.into_iter().filter(|used| used.rows > 0);
    Ok(BackedUp {
        bytes: fs::metadata(what.to).map_or(0, |metadata| metadata.len()),
        subscriptions,
        keys: needed.map(|used| used.version).collect(),
    })
}
