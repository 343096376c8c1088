//! Traces of an earlier store: whether an empty or truncated database is a new one or a loss.

use std::fmt;
use std::path::Path;

use drawspan_state::sqlite::{Content, Look};
use drawspan_state::{Recorded, Said};

use crate::database::Stored;

/// How a start goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The store is new. A process that was killed before its first transaction left this id.
    New(Option<u128>),
    /// A database is there.
    Continue,
}

/// Evidence that more was stored than is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// The database is empty or gone, and there is a log next to it.
    Log,
    /// The database is empty or gone, and the mark says that it was used.
    Mark,
    /// The database is empty or gone, and its key ring was used.
    KeyRing,
    /// The mark is of another database.
    Other,
    /// Number of changes that are missing according to the mark.
    Changes(u64),
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => {
                f.write_str("it is empty or gone, but a log of its changes lies next to it")
            }
            Self::Mark => {
                f.write_str("it is empty or gone, but drawspan.mark says that it was used")
            }
            Self::KeyRing => f.write_str("it is empty or gone, but its key ring was used"),
            Self::Other => f.write_str("it is not the database that was used here last"),
            Self::Changes(count) => {
                write!(
                    f,
                    "{count} stored changes are missing from it and its log, drawspan.db-wal"
                )
            }
        }
    }
}

/// How a start goes on with what lies there before SQLite sees it. `keyring` is whether there is a key ring.
pub(crate) fn arrive(look: Look, recorded: Recorded, keyring: bool) -> Result<Arrival, Trace> {
    let begun = match recorded {
        Recorded::Said(Said {
            id, counts: [0, 0], ..
        }) => Some(id),
        _ => None,
    };
    match (look.content, recorded) {
        // Foreign files are refused as soon as they are opened.
        (Content::Database | Content::Foreign, _) => Ok(Arrival::Continue),
        _ if look.beside => Err(Trace::Log),
        (_, Recorded::Damaged) => Err(Trace::Mark),
        (_, Recorded::Said(_)) if begun.is_none() => Err(Trace::Mark),
        _ if keyring && begun.is_none() => Err(Trace::KeyRing),
        _ => Ok(Arrival::New(begun)),
    }
}

/// Whether a database holds what the mark says was committed. Returns how many changes a failure of the machine took that need
/// not have survived it.
pub(crate) fn compare(stored: Option<Stored>, recorded: Recorded) -> Result<u64, Trace> {
    let Recorded::Said(said) = recorded else {
        return Ok(0);
    };
    let [commits, durable] = said.counts;
    let Some(stored) = stored else {
        // Of an earlier format, so older than the mark.
        return match commits {
            0 => Ok(0),
            _ => Err(Trace::Other),
        };
    };
    if stored.id != said.id {
        return Err(Trace::Other);
    }
    let missing = commits.saturating_sub(stored.commits);
    match missing {
        0 if durable <= stored.durable => Ok(0),
        _ if durable > stored.durable || said.boot.is_current() => {
            Err(Trace::Changes(missing.max(1)))
        }
        _ => Ok(missing),
    }
}

/// Whether a name is that of a file of the store.
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with("drawspan.") || name.starts_with("keyring")
}

/// Logs the meaning of an unusable mark next to a usable database.
pub(crate) fn note(recorded: Recorded, stored: Option<Stored>, path: &Path) {
    let says = match recorded {
        Recorded::Damaged => "is damaged",
        Recorded::Nothing if stored.is_some() => "is gone",
        _ => return,
    };
    tracing::warn!(
        mark = %path.display(),
        "the mark of the store {says}: it cannot be determined whether the newest changes are missing; a new mark is written"
    );
}

#[cfg(test)]
mod tests {
    use drawspan_state::Boot;

    use super::*;

    fn said(commits: u64, durable: u64) -> Recorded {
        let mark = tempfile::NamedTempFile::new().unwrap();
        drop(drawspan_state::Mark::begin(mark.path(), 7, [commits, durable]).unwrap());
        Recorded::read(mark.path()).unwrap()
    }

    #[test]
    fn an_empty_database_is_a_beginning_only_without_traces() {
        let check = |content, beside, recorded, keyring, expected| {
            let found = arrive(Look { content, beside }, recorded, keyring);
            assert_eq!(
                found, expected,
                "{content:?} {beside} {recorded:?} {keyring}"
            );
        };
        for empty in [Content::Nothing, Content::Empty] {
            check(
                empty,
                false,
                Recorded::Nothing,
                false,
                Ok(Arrival::New(None)),
            );
            check(empty, false, Recorded::Nothing, true, Err(Trace::KeyRing));
            check(empty, true, Recorded::Nothing, false, Err(Trace::Log));
            check(empty, false, Recorded::Damaged, false, Err(Trace::Mark));
            check(empty, false, said(1, 0), true, Err(Trace::Mark));
            check(empty, false, said(0, 0), true, Ok(Arrival::New(Some(7))));
        }
        check(
            Content::Database,
            true,
            said(9, 9),
            true,
            Ok(Arrival::Continue),
        );
        check(
            Content::Foreign,
            true,
            Recorded::Nothing,
            true,
            Ok(Arrival::Continue),
        );
    }

    #[test]
    fn what_is_missing_is_counted() {
        let stored = |commits, durable| {
            Some(Stored {
                id: 7,
                commits,
                durable,
            })
        };
        let check = |stored, recorded, expected| {
            assert_eq!(
                compare(stored, recorded),
                expected,
                "{stored:?} {recorded:?}"
            );
        };
        check(stored(5, 2), Recorded::Nothing, Ok(0));
        check(stored(5, 2), Recorded::Damaged, Ok(0));
        check(stored(5, 2), said(5, 2), Ok(0));
        // Ended between the commit and the mark.
        check(stored(5, 2), said(4, 1), Ok(0));
        check(None, said(0, 0), Ok(0));
        check(None, said(1, 0), Err(Trace::Other));
        check(
            Some(Stored {
                id: 8,
                commits: 9,
                durable: 9,
            }),
            said(5, 2),
            Err(Trace::Other),
        );
        check(stored(5, 2), said(8, 3), Err(Trace::Changes(3)));
        if Boot::current().is_current() {
            check(stored(5, 2), said(6, 2), Err(Trace::Changes(1)));
        }
    }
}
