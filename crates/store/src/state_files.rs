//! Opening the files of a state directory, or refusing to if stored data is missing.

use std::path::{Path, PathBuf};

use drawspan_state::sqlite::{self, Checked};
use drawspan_state::{Lock, LockError, Mark, Recorded, private, sums};
use rusqlite::Connection;

use crate::database::{self, SUMMED, Stored};
use crate::error::OpenError;
use crate::health::StoreHealth;
use crate::keyring::Keys;
use crate::store::{FILE, LOCK_FILE, MARK_FILE};
use crate::traces::{self, Arrival};
use crate::writer::Losses;

/// Files that cannot be used are kept under names that end so.
const LOST_ENDING: &str = ".lost";

/// Whether a store that lost something is opened all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Refused,
    /// Existing data is used. Unusable files are kept under other names.
    Accepted,
}

/// The files of a directory, ready to be used.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) keys: Keys,
    pub(crate) mark: Mark,
    pub(crate) stored: Stored,
}

/// Creates the directory if need be, closes it to others, and takes it for this process.
pub(crate) fn take(directory: &Path) -> Result<Lock, OpenError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |cause| OpenError::Create { path, cause }
    };
    private::directory(directory, traces::is_ours).map_err(failed(directory))?;
    Lock::take(directory, LOCK_FILE).map_err(|error| match error {
        LockError::InUse(holder) => OpenError::InUse {
            path: directory.to_path_buf(),
            holder,
        },
        LockError::Io(cause) => failed(&directory.join(LOCK_FILE))(cause),
    })
}

/// Opens the files of a directory that this process has taken.
pub(crate) fn open(
    directory: &Path,
    keyring: &Path,
    loss: Loss,
    health: &StoreHealth,
    losses: &Losses,
) -> Result<Opened, OpenError> {
    let path = directory.join(FILE);
    let opened = try_open(directory, keyring, loss, health, losses);
    match (opened, loss) {
        (Err(error), Loss::Accepted) if error.is_loss() => {
            let aside = sqlite::set_aside(&path, LOST_ENDING);
            let aside = aside.map_err(|cause| OpenError::Create {
                path: path.clone(),
                cause,
            })?;
            let aside = aside
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            tracing::warn!(%error, kept = %aside, "an empty store is begun, as --accept-empty-store says");
            begin(directory, keyring, None)
        }
        (opened, _) => opened,
    }
}

fn try_open(
    directory: &Path,
    keyring: &Path,
    loss: Loss,
    health: &StoreHealth,
    losses: &Losses,
) -> Result<Opened, OpenError> {
    let path = directory.join(FILE);
    let mark = directory.join(MARK_FILE);
    let unread = |path: &Path| {
        let path = path.to_path_buf();
        move |cause| OpenError::Read { path, cause }
    };
    let look = sqlite::look(&path).map_err(unread(&path))?;
    let recorded = Recorded::read(&mark).map_err(unread(&mark))?;
    let lost = |trace| OpenError::Lost {
        path: path.clone(),
        trace,
    };
    match traces::arrive(look, recorded, keyring.exists()).map_err(lost)? {
        Arrival::New(id) => begin(directory, keyring, id),
        Arrival::Continue => go_on(directory, keyring, recorded, loss, health, losses),
    }
}

/// The mark is there before the key ring: a key ring without one was used.
fn begin(directory: &Path, keyring: &Path, id: Option<u128>) -> Result<Opened, OpenError> {
    let path = directory.join(FILE);
    let mark_path = directory.join(MARK_FILE);
    let failed = |error| OpenError::sqlite(&path, error);
    let id = match id {
        Some(id) => id,
        None => new_id()?,
    };
    let marked = |cause| OpenError::Create {
        path: mark_path.clone(),
        cause,
    };
    let mut mark = Mark::begin(&mark_path, id, [0, 0]).map_err(marked)?;
    let mut connection = database::open(&path)?;
    let keys = Keys::open(keyring, &[])?;
    let stored = database::prepare(&mut connection, &keys.ring(), id).map_err(failed)?;
    sums::keep(&connection, SUMMED)
        .and_then(|()| sums::verify(&connection, SUMMED))
        .and_then(|_| sqlite::fold(&connection))
        .and_then(|()| sqlite::fold_at_close(&connection, true))
        .map_err(failed)?;
    mark.say(stored.counts());
    Ok(Opened {
        path,
        connection,
        keys,
        mark,
        stored,
    })
}

/// Nothing changes before it is certain that the file can be used; a log that holds more than SQLite reads stays as it is.
fn go_on(
    directory: &Path,
    keyring: &Path,
    recorded: Recorded,
    loss: Loss,
    health: &StoreHealth,
    losses: &Losses,
) -> Result<Opened, OpenError> {
    let path = directory.join(FILE);
    let mark_path = directory.join(MARK_FILE);
    let failed = |error| OpenError::sqlite(&path, error);
    let mut connection = database::open(&path)?;
    check(&connection, &path)?;
    let before = Stored::read(&connection).map_err(failed)?;
    match traces::compare(before, recorded) {
        Ok(taken) => health.found.changes.add(taken, &"the machine failed"),
        Err(trace) if loss == Loss::Accepted => {
            tracing::warn!(%trace, store = %path.display(), "missing data is given up, as --accept-empty-store requests");
        }
        Err(trace) => return Err(OpenError::Lost { path, trace }),
    }
    traces::note(recorded, before, &mark_path);
    let used = database::keys::in_use(&connection).map_err(failed)?;
    let keys = Keys::open(keyring, &used)?;
    let id = match before {
        Some(stored) => stored.id,
        None => new_id()?,
    };
    let stored = database::prepare(&mut connection, &keys.ring(), id).map_err(failed)?;
    sums::keep(&connection, SUMMED).map_err(failed)?;
    losses
        .look_at_sums(&mut connection, health)
        .map_err(failed)?;
    sqlite::fold(&connection)
        .and_then(|()| sqlite::fold_at_close(&connection, true))
        .map_err(failed)?;
    let mark = Mark::begin(&mark_path, stored.id, stored.counts());
    let mark = mark.map_err(|cause| OpenError::Create {
        path: mark_path,
        cause,
    })?;
    Ok(Opened {
        path,
        connection,
        keys,
        mark,
        stored,
    })
}

fn check(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::sqlite(path, error);
    let damaged = |why: String| OpenError::Damaged {
        path: path.to_path_buf(),
        why,
    };
    match sqlite::check(connection).map_err(failed)? {
        Checked::Whole => {}
        Checked::Damaged(why) => return Err(damaged(why)),
        Checked::Unfinished => {
            tracing::warn!(store = %path.display(), "the store is so large, or its disk so slow, that not all of it was checked");
        }
    }
    match database::strange(connection).map_err(failed)? {
        None => Ok(()),
        Some(line) => Err(damaged(format!(
            "its tables are not those of a store: {line}"
        ))),
    }
}

fn new_id() -> Result<u128, OpenError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|_| OpenError::NoNewKey(crate::keyring::NoNewKey::NoRandom))?;
    Ok(u128::from_be_bytes(bytes))
}
