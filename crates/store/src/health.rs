//! The health of the store, readable by everyone.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::StoreError;
use crate::loss_counter::Loss;

/// How the store is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The last write went well, and nothing that was read is damaged.
    Ok,
    /// Writes are lost at the moment, or reads fail.
    Failing {
        /// Why.
        reason: StoreFault,
    },
    /// A file of the open store was removed or exchanged. Nothing is written any more, since it would not be found again; the
    /// process must be restarted, after the file was put back.
    Missing {
        /// Which.
        file: StoreFile,
    },
}

/// Why a store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreFault {
    /// No room is left.
    DiskFull,
    /// The file may not be written.
    ReadOnly,
    /// The disk cannot be read or written.
    Io,
    /// The file is damaged.
    Damaged,
    /// The key ring cannot be used.
    KeyRing,
    /// SQLite refuses for another reason.
    Other,
}

/// A file of an open store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreFile {
    /// `drawspan.db`.
    Database,
    /// `drawspan.db-wal`, which holds the newest changes.
    Log,
    /// `drawspan.lock`, without which a second process may begin to use the directory.
    Lock,
    /// The key ring, without which the next start fails.
    KeyRing,
}

/// Rows or changes that were found missing or altered when the store was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FoundLost {
    /// Subscriptions.
    pub subscriptions: u64,
    /// Answers to requests with an idempotency key.
    pub answers: u64,
    /// Changes of any kind that a failure of the machine took.
    pub changes: u64,
}

/// The way to a store's [`Health`]. Cheap to clone; keeps no store open.
#[derive(Debug, Clone)]
pub struct StoreHealth {
    cell: Arc<Mutex<Cell>>,
    pub(crate) found: Arc<Found>,
}

/// Findings at the start, counted for as long as the store is open.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) subscriptions: Arc<Loss>,
    pub(crate) answers: Arc<Loss>,
    pub(crate) changes: Arc<Loss>,
}

#[derive(Debug, Default)]
struct Cell {
    /// Of the last write.
    writing: Option<StoreFault>,
    /// Of any read: what is damaged stays so.
    damaged: bool,
    /// A file was emptied or truncated. This lasts until the store is opened again.
    cut: bool,
    missing: Option<StoreFile>,
}

impl StoreHealth {
    pub(crate) fn new() -> Self {
        Self {
            cell: Arc::default(),
            found: Arc::new(Found {
                subscriptions: Loss::new("subscriptions are not what was stored"),
                answers: Loss::new(
                    "answers to requests with an idempotency key are not what was stored; they are forgotten",
                ),
                changes: Loss::new(
                    "the machine ended before everything was on the disk: changes of hubs, dead letters and answers are missing",
                ),
            }),
        }
    }

    /// How the store is now.
    #[must_use]
    pub fn now(&self) -> Health {
        let cell = self.cell.lock().unwrap_or_else(PoisonError::into_inner);
        let damaged = (cell.damaged || cell.cut).then_some(StoreFault::Damaged);
        match (cell.missing, damaged.or(cell.writing)) {
            (Some(file), _) => Health::Missing { file },
            (None, Some(reason)) => Health::Failing { reason },
            (None, None) => Health::Ok,
        }
    }

    /// Rows that were found missing or altered when the store was opened.
    #[must_use]
    pub fn found_lost(&self) -> FoundLost {
        FoundLost {
            subscriptions: self.found.subscriptions.total(),
            answers: self.found.answers.total(),
            changes: self.found.changes.total(),
        }
    }

    /// A write ended like this.
    pub(crate) fn wrote<T>(&self, result: &Result<T, StoreError>) {
        let fault = match result {
            Ok(_) => None,
            Err(error) => match error.fault() {
                Some(fault) => Some(fault),
                // This error does not concern the file.
                None => return,
            },
        };
        let mut cell = self.cell.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut cell.writing, fault);
        drop(cell);
        match (before, fault) {
            (None, Some(fault)) => tracing::error!(reason = %fault, "the store cannot be written"),
            (Some(_), None) => tracing::info!("the store is written again"),
            _ => {}
        }
    }

    /// A read ended like this.
    pub(crate) fn read<T>(&self, result: &Result<T, StoreError>) {
        if let Err(StoreError::Damaged) = result {
            let mut cell = self.cell.lock().unwrap_or_else(PoisonError::into_inner);
            let before = std::mem::replace(&mut cell.damaged, true);
            drop(cell);
            if !before {
                tracing::error!("the store is damaged: {}", StoreError::Damaged);
            }
        }
    }

    /// Records which file is missing according to the last check.
    pub(crate) fn looked(&self, missing: Option<StoreFile>) {
        let mut cell = self.cell.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut cell.missing, missing);
        drop(cell);
        match (before, missing) {
            (before, Some(file)) if before != missing => {
                tracing::warn!(%file, "a file of the store was removed or exchanged: {}", file.meaning());
            }
            (Some(file), None) => tracing::info!(%file, "the file of the store is back"),
            _ => {}
        }
    }

    /// A file is shorter than what was written to it, or lost its beginning.
    pub(crate) fn is_cut(&self, file: StoreFile) {
        let mut cell = self.cell.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut cell.cut, true);
        drop(cell);
        if !before {
            tracing::error!(
                %file,
                "another program emptied or shortened a file of the store: nothing is stored any more; stop, put back a backup with `drawspan restore`, and start again"
            );
        }
    }

    /// Why nothing is written: it would not be found again, or would destroy what can still be saved.
    pub(crate) fn refusal(&self) -> Option<StoreError> {
        let cell = self.cell.lock().unwrap_or_else(PoisonError::into_inner);
        match cell.missing {
            _ if cell.cut => Some(StoreError::Damaged),
            Some(StoreFile::Database | StoreFile::Log) => Some(StoreError::Missing),
            _ => None,
        }
    }
}

impl StoreFile {
    const fn meaning(self) -> &'static str {
        match self {
            Self::Database | Self::Log => {
                "nothing is stored any more; put it back, or a backup with `drawspan restore`, and restart"
            }
            Self::Lock => "another process may use the state directory; restart",
            Self::KeyRing => "the next start will fail; put it back",
        }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the disk is full",
            Self::ReadOnly => "the file may not be written",
            Self::Io => "the disk fails",
            Self::Damaged => "the file is damaged",
            Self::KeyRing => "the key ring cannot be used",
            Self::Other => "SQLite refuses",
        })
    }
}

impl fmt::Display for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "drawspan.db",
            Self::Log => "drawspan.db-wal",
            Self::Lock => "drawspan.lock",
            Self::KeyRing => "key ring",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_what_happens() {
        let health = StoreHealth::new();
        let check = |expected: Health| assert_eq!(health.now(), expected);
        check(Health::Ok);
        health.wrote::<()>(&Err(StoreError::DiskFull));
        health.wrote::<()>(&Err(StoreError::Busy));
        check(Health::Failing {
            reason: StoreFault::DiskFull,
        });
        health.wrote(&Ok(()));
        check(Health::Ok);
        health.looked(Some(StoreFile::Lock));
        check(Health::Missing {
            file: StoreFile::Lock,
        });
        assert!(health.refusal().is_none());
        health.looked(Some(StoreFile::Database));
        let refusal = health.refusal();
        assert!(matches!(refusal, Some(StoreError::Missing)), "{refusal:?}");
        health.looked(None);
        health.read::<()>(&Err(StoreError::Closed));
        check(Health::Ok);
        health.read::<()>(&Err(StoreError::Damaged));
        health.wrote(&Ok(()));
        check(Health::Failing {
            reason: StoreFault::Damaged,
        });
        assert!(health.refusal().is_none());
        health.is_cut(StoreFile::Log);
        let refusal = health.refusal();
        assert!(matches!(refusal, Some(StoreError::Damaged)), "{refusal:?}");
    }
}
