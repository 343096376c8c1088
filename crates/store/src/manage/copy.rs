//! Copying a database as it is at one moment.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{ManageError, Progress};
use crate::database;
use crate::limits::{COPY_ATTEMPTS, COPY_GROUP_PAGES, COPY_PAUSE_MS};

/// Copies `from` into a new file, for its owner only, whole, checked and on disk.
pub(super) fn copy(
    from: &Connection,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ManageError> {
    remove(to).map_err(ManageError::file(to))?;
    database::create_private(to)?;
    let mut target = Connection::open(to)?;
    // The copy is of this moment, and others may write meanwhile: in WAL mode a reader keeps what it began to read.
    from.execute_batch("BEGIN")?;
    let copied = pages(from, &mut target, progress);
    from.execute_batch("COMMIT")?;
    copied?;
    // One file, without a log next to it.
    target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    check_whole(&target, to)?;
    drop(target);
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(ManageError::file(to))
}

fn pages(
    from: &Connection,
    target: &mut Connection,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ManageError> {
    from.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let backup = Backup::new(from, target)?;
    let mut attempts = 0;
    loop {
        let step = backup.step(COPY_GROUP_PAGES)?;
        let pages = backup.progress();
        let all = u64::try_from(pages.pagecount).unwrap_or_default();
        let left = u64::try_from(pages.remaining).unwrap_or_default();
        progress(Progress {
            done: all.saturating_sub(left),
            all,
        });
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ if attempts < COPY_ATTEMPTS => {
                attempts += 1;
                std::thread::sleep(Duration::from_millis(COPY_PAUSE_MS));
            }
            _ => {
                let held = "another program holds the file";
                return Err(crate::StoreError::Sqlite(held.into()).into());
            }
        }
    }
}

/// Checks that no page of it is damaged.
fn check_whole(connection: &Connection, path: &Path) -> Result<(), ManageError> {
    match database::damage(connection)? {
        None => Ok(()),
        Some(found) => Err(ManageError::BadBackup {
            path: path.to_path_buf(),
            why: format!("the copy is damaged: {found}"),
        }),
    }
}

/// A missing one is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A missing one is fine.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
