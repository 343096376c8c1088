//! One file of a partition: its name, its first bytes, and reading it record by record.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::error::LogError;
use super::position::Keys;
use super::record::{self, Damage, HEADER_BYTES, StoredRecord};
use crate::limits::READ_BLOCK_BYTES;

/// Bytes in front of the first record.
pub(super) const PREAMBLE_BYTES: u64 = PREAMBLE.len() as u64;
/// Magic word and format version.
pub(super) const PREAMBLE: [u8; 12] = *b"drawspan\x01\0\0\0";
const EXTENSION: &str = "segment";

/// The position of a segment in the partition's stream: the numbers of its first record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Base {
    pub(super) sequence: u64,
    pub(super) offset: u64,
}

impl Base {
    /// The file's name; sorting by name is sorting by place.
    pub(super) fn file_name(self) -> String {
        format!("{:020}-{:020}.{EXTENSION}", self.sequence, self.offset)
    }

    /// Reads a segment's name; `None` for any other file.
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        let (sequence, offset) = name
            .strip_suffix(EXTENSION)?
            .strip_suffix('.')?
            .split_once('-')?;
        Some(Self {
            sequence: sequence.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    }

    /// Offset in the stream of what lies at `position` of the file.
    pub(super) fn offset_at(self, position: u64) -> u64 {
        self.offset + position - PREAMBLE_BYTES
    }
}

/// Why reading a segment stopped early.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(LogError),
    Damaged(Damage),
}

/// Reads a range of a segment, record by record.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    path: PathBuf,
    base: Base,
    /// Byte position of the next record.
    pub(super) position: u64,
    /// Sequence number that it must have.
    pub(super) sequence: u64,
    end: u64,
    block: Bytes,
}

impl Cursor {
    /// Starts at `position`, where record `sequence` begins; nothing at or behind `end` is read.
    pub(super) fn open(
        path: &Path,
        base: Base,
        start: (u64, u64),
        end: u64,
    ) -> Result<Self, LogError> {
        let file = File::open(path).map_err(|cause| LogError::io("open", path, cause))?;
        let (position, sequence) = start;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            base,
            position,
            sequence,
            end,
            block: Bytes::new(),
        })
    }

    /// The next record, or `None` at the end of the range.
    pub(super) fn next_record(&mut self) -> Result<Option<StoredRecord>, Stop> {
        if self.position >= self.end {
            return Ok(None);
        }
        loop {
            match record::decode(&self.block, self.base.offset_at(self.position)) {
                Ok((record, _)) if record.sequence != self.sequence => {
                    return Err(Stop::Damaged(Damage::Sequence));
                }
                Ok((record, len)) => {
                    self.block = self.block.slice(len..);
                    self.position += len as u64;
                    self.sequence += 1;
                    return Ok(Some(record));
                }
                Err(Damage::Incomplete { needed }) if self.end - self.position >= needed as u64 => {
                    self.block = self.read_block(self.position, needed.max(READ_BLOCK_BYTES))?;
                }
                Err(damage) => return Err(Stop::Damaged(damage)),
            }
        }
    }

    /// Whether the file holds a later record than the one that `self` stopped at: then this is damage, not a torn end.
    pub(super) fn something_follows(&mut self) -> Result<bool, Stop> {
        let mut at = self.position + 1;
        while at + HEADER_BYTES as u64 <= self.end {
            let block = self.read_block(at, READ_BLOCK_BYTES)?;
            let most_later = (self.end - self.position) / HEADER_BYTES as u64;
            let found = block.windows(HEADER_BYTES).any(|window| {
                record::decode_header(window).is_ok_and(|header| {
                    header.sequence > self.sequence && header.sequence - self.sequence <= most_later
                })
            });
            if found {
                return Ok(true);
            }
            // The last bytes are looked at again: a header may lie across two blocks.
            at += (block.len() - (HEADER_BYTES - 1)) as u64;
        }
        Ok(false)
    }

    /// Names what `self` stopped at.
    pub(super) fn error(&self, stop: Stop) -> LogError {
        match stop {
            Stop::Failed(error) => error,
            Stop::Damaged(damage) => self.corrupt(damage),
        }
    }

    fn corrupt(&self, damage: Damage) -> LogError {
        LogError::Corrupt {
            path: self.path.clone(),
            position: self.position,
            sequence: self.sequence,
            damage,
        }
    }

    fn read_block(&mut self, position: u64, wanted: usize) -> Result<Bytes, Stop> {
        let len = (self.end - position).min(wanted as u64) as usize;
        let mut block = BytesMut::zeroed(len);
        self.file
            .seek(SeekFrom::Start(position))
            .and_then(|_| self.file.read_exact(&mut block))
            .map_err(|cause| Stop::Failed(LogError::io("read", &self.path, cause)))?;
        Ok(block.freeze())
    }
}

/// The search keys of a record.
pub(super) fn keys(record: &StoredRecord) -> Keys {
    Keys {
        sequence: record.sequence,
        offset: record.offset,
        unix_ms: record.enqueued_unix_ms,
    }
}
