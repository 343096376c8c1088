//! Sealed segments, which no longer grow, and the search for a record in them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::error::LogError;
use super::index::{Entry, Index};
use super::position::{Keys, Target};
use super::scan;
use super::segment::{Base, Cursor, PREAMBLE_BYTES, keys};

/// A segment that does not grow any more. Its index is built when it is first needed.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) path: PathBuf,
    pub(super) base: Base,
    pub(super) end_position: u64,
    pub(super) stride_bytes: u64,
    /// When its last record was stored, or a little later.
    pub(super) last_unix_ms: u64,
    /// Keys of the first record.
    pub(super) first: Keys,
    pub(super) index: OnceLock<Index>,
}

/// The data that a reader needs to find a place without the partition's lock.
#[derive(Debug)]
pub(super) enum ReadPlace {
    /// In a sealed segment, whose index may have to be built.
    Sealed(Arc<Sealed>),
    /// In the growing segment: from this record up to this byte.
    Active {
        path: PathBuf,
        base: Base,
        from: Entry,
        end_position: u64,
    },
}

impl Sealed {
    /// `following` is the next segment's place, and the time of its first record if it has one.
    pub(super) fn open(
        folder: &Path,
        base: Base,
        following: (Base, Option<u64>),
        stride_bytes: u64,
    ) -> Result<Self, LogError> {
        let path = folder.join(base.file_name());
        let end_position = path
            .metadata()
            .map_err(|cause| LogError::io("look at", &path, cause))?
            .len();
        if end_position <= PREAMBLE_BYTES || base.offset_at(end_position) != following.0.offset {
            return Err(LogError::Gap { path });
        }
        let mut cursor = Cursor::open(&path, base, (PREAMBLE_BYTES, base.sequence), end_position)?;
        let first = match cursor.next_record() {
            Ok(Some(record)) => keys(&record),
            Ok(None) => return Err(LogError::Gap { path }),
            Err(stop) => return Err(cursor.error(stop)),
        };
        let mut index = OnceLock::new();
        let last_unix_ms = match following.1 {
            Some(unix_ms) => unix_ms,
            None => {
                let contents = scan::complete(&path, base, end_position, stride_bytes)?;
                index = OnceLock::from(contents.index);
                contents.last_unix_ms.unwrap_or(first.unix_ms)
            }
        };
        Ok(Self {
            path,
            base,
            end_position,
            stride_bytes,
            last_unix_ms,
            first,
            index,
        })
    }

    fn index(&self) -> Result<&Index, LogError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let contents = scan::complete(&self.path, self.base, self.end_position, self.stride_bytes)?;
        Ok(self.index.get_or_init(|| contents.index))
    }
}

impl ReadPlace {
    /// A cursor at a record that is not behind `target`, or is the segment's first.
    pub(super) fn cursor(&self, target: Target) -> Result<Cursor, LogError> {
        match self {
            Self::Active {
                path,
                base,
                from,
                end_position,
            } => Cursor::open(
                path,
                *base,
                (from.position, from.keys.sequence),
                *end_position,
            ),
            Self::Sealed(sealed) => {
                let from = sealed.index()?.before(target);
                let start = from.map_or((PREAMBLE_BYTES, sealed.base.sequence), |entry| {
                    (entry.position, entry.keys.sequence)
                });
                Cursor::open(&sealed.path, sealed.base, start, sealed.end_position)
            }
        }
    }
}
