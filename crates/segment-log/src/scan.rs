//! Scanning a whole segment: to index it, and to find its end after a crash.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::path::Path;

use super::error::LogError;
use super::index::{Entry, Index};
use super::record::Damage;
use super::segment::{Base, Cursor, PREAMBLE, PREAMBLE_BYTES, Stop, keys};

/// The contents of a whole segment.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) index: Index,
    /// The position of the next record.
    pub(super) end: Base,
    /// Byte position of the end within the file.
    pub(super) end_position: u64,
    /// When the last record was stored.
    pub(super) last_unix_ms: Option<u64>,
}

/// Indexes a segment that is complete, up to byte `end`: any damage is an error.
pub(super) fn complete(
    path: &Path,
    base: Base,
    end: u64,
    stride_bytes: u64,
) -> Result<Contents, LogError> {
    check_preamble(path)?;
    let mut cursor = Cursor::open(path, base, (PREAMBLE_BYTES, base.sequence), end)?;
    match walk(&mut cursor, base, stride_bytes) {
        (contents, None) => Ok(contents),
        (_, Some(stop)) => Err(cursor.error(stop)),
    }
}

/// Indexes the last segment of a partition, and cuts off what a crash left unfinished at its end.
///
/// An unfinished record was never acknowledged. A record that is damaged although others follow it was: that is an error.
///
/// `least` is the sequence number behind the last record that must be there; nothing is cut off where it is not.
pub(super) fn recover(
    path: &Path,
    base: Base,
    stride_bytes: u64,
    least: u64,
) -> Result<Contents, LogError> {
    let enough = |contents: &Contents| match contents.end.sequence >= least {
        true => Ok(()),
        false => Err(lost(
            path.parent().unwrap_or(path),
            contents.end.sequence,
            least,
        )),
    };
    let len = path
        .metadata()
        .map_err(|cause| LogError::io("look at", path, cause))?
        .len();
    if len <= PREAMBLE_BYTES {
        let contents = empty(base);
        enough(&contents)?;
        return Ok(contents);
    }
    check_preamble(path)?;
    let mut cursor = Cursor::open(path, base, (PREAMBLE_BYTES, base.sequence), len)?;
    let (contents, stop) = walk(&mut cursor, base, stride_bytes);
    match stop {
        None => {
            enough(&contents)?;
            return Ok(contents);
        }
        Some(Stop::Failed(error)) => return Err(error),
        Some(Stop::Damaged(damage)) => {
            if !is_torn(&mut cursor, damage)? {
                return Err(cursor.error(Stop::Damaged(damage)));
            }
            enough(&contents)?;
            tracing::warn!(
                segment = %path.display(), cut_bytes = len - contents.end_position,
                "cut an unfinished record off the telemetry log"
            );
        }
    }
    cut(path, contents.end_position)?;
    Ok(contents)
}

/// Messages that were stored are not there.
pub(super) fn lost(folder: &Path, found: u64, stored: u64) -> LogError {
    LogError::Lost {
        path: folder.to_path_buf(),
        what: format!(
            "messages {found} to {} were stored and are not there",
            stored.saturating_sub(1)
        ),
    }
}

/// Shortens a file to `len` bytes.
pub(super) fn cut(path: &Path, len: u64) -> Result<(), LogError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(len))
        .map_err(|cause| LogError::io("shorten", path, cause))
}

fn is_torn(cursor: &mut Cursor, damage: Damage) -> Result<bool, LogError> {
    // A header that promises more than there is: the write ended here, regardless of the bytes.
    if let Damage::Incomplete { .. } = damage {
        return Ok(true);
    }
    let follows = cursor.something_follows();
    follows
        .map(|follows| !follows)
        .map_err(|stop| cursor.error(stop))
}

fn walk(cursor: &mut Cursor, base: Base, stride_bytes: u64) -> (Contents, Option<Stop>) {
    let mut contents = empty(base);
    contents.end_position = PREAMBLE_BYTES;
    loop {
        let position = cursor.position;
        match cursor.next_record() {
            Ok(Some(record)) => {
                contents.index.note(
                    Entry {
                        keys: keys(&record),
                        position,
                    },
                    stride_bytes,
                );
                contents.end_position = cursor.position;
                contents.end = Base {
                    sequence: cursor.sequence,
                    offset: base.offset_at(cursor.position),
                };
                contents.last_unix_ms = Some(record.enqueued_unix_ms);
            }
            Ok(None) => return (contents, None),
            Err(stop) => return (contents, Some(stop)),
        }
    }
}

fn empty(base: Base) -> Contents {
    Contents {
        index: Index::default(),
        end: base,
        end_position: 0,
        last_unix_ms: None,
    }
}

fn check_preamble(path: &Path) -> Result<(), LogError> {
    let mut preamble = [0; PREAMBLE.len()];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut preamble))
        .map_err(|cause| LogError::io("read", path, cause))?;
    if preamble == PREAMBLE {
        Ok(())
    } else {
        Err(LogError::Foreign {
            path: path.to_path_buf(),
        })
    }
}
