//! Opening the registry's file, or refusing to if stored data is missing.

use std::path::{Path, PathBuf};

use drawspan_state::sqlite::{self, Checked, Content};
use drawspan_state::sums::Summed;
use drawspan_state::whole::Files;
use drawspan_state::{Mark, Recorded, Said, private, sums};
use rusqlite::Connection;

use super::commits::{Commits, Stored};
use super::{Database, StoreError, schema};

/// The path of the mark.
pub(super) fn mark_path(path: &Path) -> PathBuf {
    path.with_extension("mark")
}

/// Opens or creates the file. `traces` is whether the state directory holds what only a registry that was used leaves there.
pub(super) fn open(path: &Path, traces: bool) -> Result<Database, StoreError> {
    let mark = mark_path(path);
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |cause| StoreError::File { path, cause }
    };
    let look = sqlite::look(path).map_err(failed(path))?;
    let recorded = Recorded::read(&mark).map_err(failed(&mark))?;
    let lost = |what: &str| StoreError::Lost {
        path: path.to_path_buf(),
        what: what.to_owned(),
    };
    let begun = match recorded {
        Recorded::Said(Said {
            id, counts: [0, _], ..
        }) => Some(id),
        _ => None,
    };
    match (look.content, recorded) {
        (Content::Database, _) => go_on(path, recorded),
        (Content::Foreign, _) => Err(lost("it is not a registry, or its beginning is damaged")),
        _ if look.beside => Err(lost(
            "it is empty or gone, but a log of its changes lies next to it",
        )),
        (_, Recorded::Damaged) => Err(lost(
            "it is empty or gone, but registry.mark lies next to it",
        )),
        (_, Recorded::Said(_)) if begun.is_none() => Err(lost(
            "it is empty or gone, but registry.mark says that it was used",
        )),
        _ if traces && begun.is_none() => Err(lost("it is empty or gone, but there is telemetry")),
        _ => begin(path, begun),
    }
}

fn begin(path: &Path, begun: Option<u128>) -> Result<Database, StoreError> {
    let id = match begun {
        Some(id) => id,
        None => new_id()?,
    };
    let mark = Mark::begin(&mark_path(path), id, [0, 0]);
    let mark = mark.map_err(|cause| StoreError::File {
        path: mark_path(path),
        cause,
    })?;
    let connection = connect(path)?;
    let stored = schema::prepare(&connection, path, id)?;
    let failed = prepare_failed(path);
    sums::keep(&connection, schema::SUMMED)
        .and_then(|()| sums::verify(&connection, schema::SUMMED))
        .and_then(|_| sqlite::fold(&connection))
        .and_then(|()| sqlite::fold_at_close(&connection, true))
        .map_err(failed)?;
    opened(connection, path, Commits::new(mark, stored))
}

/// Nothing changes before it is certain that the file can be used.
fn go_on(path: &Path, recorded: Recorded) -> Result<Database, StoreError> {
    let connection = connect(path)?;
    schema::check_format(&connection, path)?;
    check(&connection, path)?;
    let before = Stored::read(&connection).map_err(prepare_failed(path))?;
    compare(before, recorded, path)?;
    let id = match before {
        Some(stored) => stored.id,
        None => new_id()?,
    };
    sums::keep_function(&connection).map_err(prepare_failed(path))?;
    let (mut there, mut new) = schema::summed(&connection).map_err(prepare_failed(path))?;
    if before.is_none() {
        new.append(&mut there);
    }
    check_rows(&connection, path, &there)?;
    let stored = schema::prepare(&connection, path, id)?;
    // They are summed for the first time.
    check_rows(&connection, path, &new)?;
    sums::keep(&connection, schema::SUMMED)
        .and_then(|()| sqlite::fold(&connection))
        .and_then(|()| sqlite::fold_at_close(&connection, true))
        .map_err(prepare_failed(path))?;
    let mark = Mark::begin(&mark_path(path), stored.id, [stored.commits, 0]);
    let mark = mark.map_err(|cause| StoreError::File {
        path: mark_path(path),
        cause,
    })?;
    opened(connection, path, Commits::new(mark, stored))
}

fn opened(connection: Connection, path: &Path, commits: Commits) -> Result<Database, StoreError> {
    let files = Files::open(path).map_err(|cause| StoreError::File {
        path: path.to_path_buf(),
        cause,
    })?;
    Ok(Database {
        connection,
        path: path.to_path_buf(),
        commits,
        files,
    })
}

/// It contains keys. SQLite gives the files next to it the same permissions.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    private::file(path).map_err(|cause| StoreError::File {
        path: path.to_path_buf(),
        cause,
    })?;
    let connection = Connection::open(path).and_then(|connection| {
        sqlite::fold_at_close(&connection, false)?;
        Ok(connection)
    });
    connection.map_err(|cause| StoreError::Sqlite {
        doing: "open",
        path: path.to_path_buf(),
        cause,
    })
}

fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let lost = |what: String| StoreError::Lost {
        path: path.to_path_buf(),
        what,
    };
    match sqlite::check(connection).map_err(prepare_failed(path))? {
        Checked::Whole => {}
        Checked::Damaged(why) => return Err(lost(format!("it is damaged: {why}"))),
        Checked::Unfinished => {
            tracing::warn!(registry = %path.display(), "the registry is so large that not all of it was checked");
        }
    }
    match schema::strange(connection).map_err(prepare_failed(path))? {
        None => Ok(()),
        Some(line) => Err(lost(format!(
            "its tables are not those of a registry: {line}"
        ))),
    }
}

fn check_rows(connection: &Connection, path: &Path, tables: &[Summed]) -> Result<(), StoreError> {
    let differ = sums::verify(connection, tables).map_err(prepare_failed(path))?;
    let Some(first) = differ.first() else {
        return Ok(());
    };
    Err(StoreError::Lost {
        path: path.to_path_buf(),
        what: format!(
            "the table {} is not as it was written ({} rows, now {}): the file was damaged or changed by another program",
            first.table, first.written, first.found
        ),
    })
}

/// Compares the file with what was committed to it and must have survived.
fn compare(stored: Option<Stored>, recorded: Recorded, path: &Path) -> Result<(), StoreError> {
    let lost = |what: String| StoreError::Lost {
        path: path.to_path_buf(),
        what,
    };
    let said = match (recorded, stored) {
        (Recorded::Said(said), _) => said,
        (Recorded::Nothing, None) => return Ok(()),
        (Recorded::Nothing | Recorded::Damaged, _) => {
            tracing::warn!(
                registry = %path.display(),
                "the mark of the registry is gone or damaged: it cannot be determined whether the newest changes are missing; a new mark is written"
            );
            return Ok(());
        }
    };
    let stored = match stored {
        Some(stored) if stored.id == said.id => stored,
        None if said.counts[0] == 0 => return Ok(()),
        _ => {
            return Err(lost(
                "it is not the registry that was used here last".into(),
            ));
        }
    };
    match said.counts[0].saturating_sub(stored.commits) {
        0 => Ok(()),
        missing if said.boot.is_current() => Err(lost(format!(
            "{missing} stored changes are missing from it and its log, registry.db-wal"
        ))),
        missing => {
            tracing::warn!(
                missing, registry = %path.display(),
                "the machine ended before everything was on the disk: changes of the registry are missing"
            );
            Ok(())
        }
    }
}

fn prepare_failed(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
    let path = path.to_path_buf();
    move |cause| StoreError::Sqlite {
        doing: "prepare",
        path: path.clone(),
        cause,
    }
}

fn new_id() -> Result<u128, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| StoreError::NoRandomness)?;
    Ok(u128::from_le_bytes(bytes))
}
