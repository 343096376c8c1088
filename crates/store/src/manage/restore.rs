//! Restoring a backup into a state directory.

use std::fs;
use std::path::{Path, PathBuf};

use drawspan_state::Mark;
use drawspan_state::sqlite::{self, Content};
use rusqlite::{Connection, OpenFlags};

use super::{ManageError, Progress, copy, keyring_beside, keys};
use crate::database::keys::{self as table, KeyUse};
use crate::database::{self, Stored};
use crate::error::{OpenError, StoreError};
use crate::files::{beside, sync_folder_of};
use crate::keyring::{KeyRing, unusable};
use crate::state_files;
use crate::store::{FILE, MARK_FILE};

/// The source and destination of a restore.
#[derive(Debug, Clone, Copy)]
pub struct Restore<'a> {
    /// The backup.
    pub from: &'a Path,
    /// The state directory, which must not be in use; created if necessary.
    pub directory: &'a Path,
    /// Its key ring.
    pub keyring: &'a Path,
    /// Whether a store, or a key ring that cannot read the backup, may be replaced; it is kept next to the new one.
    pub force: bool,
}

/// The result of a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Subscriptions.
    pub subscriptions: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Hubs of devices.
    pub hubs: u64,
    /// Whether the key ring next to the backup, or keys of it, were put into place.
    pub with_keys: bool,
    /// The replaced files, under their new names.
    pub kept: Vec<PathBuf>,
}

/// The action for the key ring.
enum Ring {
    /// It has every key.
    Stays,
    /// Keys are added.
    Grows(KeyRing),
    /// It gives way.
    Gives(KeyRing),
}

/// Copies a backup, checks the copy down to every subscription, and only then puts it into place. Ended at any moment, it leaves the old
/// store or the new one. Blocks.
///
/// # Errors
/// When the directory is in use or holds a store, the backup is damaged or foreign, or keys are missing; nothing is changed then.
pub fn restore(
    what: &Restore<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Restored, ManageError> {
    try_restore(what, progress).map_err(|error| of_backup(error, what.from))
}

/// Suffix of the names of replaced files.
const BEFORE: &str = ".before-restore";
const DAMAGED: &str = "it is damaged, or not all of it; take another backup";

/// The damaged or unreadable file is the backup, since nothing else is read. So the advice to restore a backup would be useless.
fn of_backup(error: ManageError, from: &Path) -> ManageError {
    let why = match &error {
        // The copy, which is gone.
        ManageError::BadBackup { why, .. } => why.replace('\n', " "),
        ManageError::Store(cause) | ManageError::Open(OpenError::Sqlite { cause, .. }) => {
            match cause {
                StoreError::Damaged => DAMAGED.into(),
                StoreError::Sealed { what, why } => format!(
                    "{what} cannot be decrypted: {why}; it was changed by somebody else, or the key ring is another"
                ),
                _ => return error,
            }
        }
        ManageError::Open(OpenError::Damaged { .. }) => DAMAGED.into(),
        ManageError::Open(OpenError::Foreign { .. }) => {
            "it is not a store of Drawspan, or its beginning is damaged".into()
        }
        _ => return error,
    };
    ManageError::BadBackup {
        path: from.to_path_buf(),
        why,
    }
}

fn try_restore(
    what: &Restore<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Restored, ManageError> {
    let from = open_backup(what.from)?;
    let _lock = state_files::take(what.directory)?;
    let path = what.directory.join(FILE);
    let there = sqlite::look(&path).map_err(ManageError::file(&path))?;
    let is_there = there.content != Content::Nothing || there.beside;
    if is_there && !what.force {
        return Err(ManageError::NotEmpty {
            path: what.directory.to_path_buf(),
        });
    }
    let new = beside(&path, ".restoring");
    let restored = copy::copy(&from, &new, progress).and_then(|()| {
        let (ring, mut restored) = check(what, &new)?;
        put_keys(what, ring, &mut restored)?;
        put_store(&path, &new, there.content, &mut restored)?;
        mark(what.directory, &path)?;
        Ok(restored)
    });
    if restored.is_err() {
        // An incomplete copy is useless.
        let _ = copy::remove(&new);
    }
    restored
}

fn open_backup(path: &Path) -> Result<Connection, ManageError> {
    let bad = |why: String| ManageError::BadBackup {
        path: path.to_path_buf(),
        why,
    };
    if path.is_dir() {
        return Err(bad("it is a directory; name the file in it".into()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = fs::File::open(path).map(drop);
    opened.map_err(|error| bad(error.to_string()))?;
    let connection = Connection::open_with_flags(path, flags)?;
    database::check_owner(&connection, path)?;
    let tables = "SELECT count(*) FROM sqlite_schema";
    match connection.query_row(tables, [], |row| row.get::<_, u64>(0))? {
        0 => Err(bad("it is empty".into())),
        _ => Ok(connection),
    }
}

/// Checks that the copy can be read with the available keys.
fn check(what: &Restore<'_>, new: &Path) -> Result<(Ring, Restored), ManageError> {
    let copy = Connection::open(new)?;
    let used = table::in_use(&copy)?;
    let ring = ring_for(what, &used)?;
    let opens = match &ring {
        Ring::Stays => keys::read(what.keyring)?,
        Ring::Grows(ring) | Ring::Gives(ring) => Some(ring.clone()),
    };
    let mut restored = Restored {
        subscriptions: 0,
        dead_letters: 0,
        hubs: database::hub_cache::count(&copy)?,
        with_keys: !matches!(ring, Ring::Stays),
        kept: Vec::new(),
    };
    // A backup of the first format has hubs alone.
    if database::is_current(&copy)? {
        restored.subscriptions = database::subscriptions::count(&copy)?;
        restored.dead_letters = database::dead_letters::totals(&copy)?.rows;
    }
    if let Some(ring) = opens.filter(|_| restored.subscriptions > 0) {
        database::subscriptions::each(&copy, &ring, drop)?;
    }
    Ok((ring, restored))
}

/// The directory's own key ring if it suffices, else with the keys next to the backup.
fn ring_for(what: &Restore<'_>, used: &[KeyUse]) -> Result<Ring, ManageError> {
    if used.iter().all(|used| used.rows == 0) {
        return Ok(Ring::Stays);
    }
    let own = keys::read(what.keyring)?;
    let misses = match &own {
        Some(own) => unusable(own, what.keyring, used),
        None => Some(missing(what.keyring, used)),
    };
    let Some(misses) = misses else {
        return Ok(Ring::Stays);
    };
    let path = keyring_beside(what.from);
    let Some(other) = keys::read(&path)? else {
        return Err(misses.into());
    };
    if let Some(error) = unusable(&other, &path, used) {
        return Err(error.into());
    }
    let Some(own) = own else {
        return Ok(Ring::Grows(other));
    };
    match own.joined(&other) {
        Some(both) => Ok(Ring::Grows(both)),
        None if what.force => Ok(Ring::Gives(other)),
        None => Err(misses.into()),
    }
}

fn missing(path: &Path, used: &[KeyUse]) -> OpenError {
    let needed = used.iter().find(|used| used.rows > 0);
    OpenError::NoKeyRing {
        path: path.to_path_buf(),
        version: needed.map_or(0, |used| used.version),
        rows: needed.map_or(0, |used| used.rows),
    }
}

fn put_keys(what: &Restore<'_>, ring: Ring, restored: &mut Restored) -> Result<(), ManageError> {
    let ring = match ring {
        Ring::Stays => return Ok(()),
        Ring::Grows(ring) => ring,
        Ring::Gives(ring) => {
            let kept = aside(what.keyring);
            // It stays in its place until the new one takes that.
            fs::copy(what.keyring, &kept).map_err(ManageError::file(&kept))?;
            restored.kept.push(kept);
            ring
        }
    };
    ring.write(what.keyring)
        .map_err(ManageError::file(what.keyring))
}

/// The old store is kept with all that belongs to it, and stays in its place until the new one takes that.
fn put_store(
    path: &Path,
    new: &Path,
    old: Content,
    restored: &mut Restored,
) -> Result<(), ManageError> {
    let failed = || ManageError::file(path);
    let (wal, shm) = (beside(path, "-wal"), beside(path, "-shm"));
    // Without it nothing is compared with what was committed to the old one.
    let mark = path.with_file_name(MARK_FILE);
    copy::remove(&mark).map_err(ManageError::file(&mark))?;
    if old != Content::Database {
        // It must not be opened: SQLite deletes the log next to an empty file.
        let kept = sqlite::set_aside(path, BEFORE).map_err(failed())?;
        restored.kept.extend(kept);
    } else {
        // The log is merged into the file; if that is damaged, the log is renamed together with it.
        if let Ok(old) = Connection::open(path) {
            let _ = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        let kept = aside(path);
        copy::rename(&wal, &beside(&kept, "-wal")).map_err(failed())?;
        let linked = fs::hard_link(path, &kept);
        linked
            .or_else(|_| fs::copy(path, &kept).map(drop))
            .map_err(ManageError::file(&kept))?;
        restored.kept.push(kept);
    }
    // No file of the old store may be used with the new one.
    copy::remove(&wal).map_err(failed())?;
    copy::remove(&shm).map_err(failed())?;
    fs::rename(new, path)
        .and_then(|()| sync_folder_of(path))
        .map_err(failed())
}

/// The store that was restored goes on with what was committed to it.
fn mark(directory: &Path, path: &Path) -> Result<(), ManageError> {
    let connection = database::open_to_read(path)?;
    let Some(stored) = Stored::read(&connection)? else {
        return Ok(());
    };
    let mark = directory.join(MARK_FILE);
    Mark::begin(&mark, stored.id, stored.counts())
        .map(drop)
        .map_err(ManageError::file(&mark))
}

/// A name that is free.
fn aside(path: &Path) -> PathBuf {
    let first = beside(path, BEFORE);
    let others = (2_u32..).map(|number| beside(&first, &format!("-{number}")));
    let mut names = std::iter::once(first.clone()).chain(others);
    names.find(|name| !name.exists()).unwrap_or(first)
}
