//! Errors of the telemetry log.

use std::io;
use std::path::PathBuf;

use super::record::Damage;

/// Why the telemetry log could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("cannot {doing} {}: {cause}", path.display())]
    Io {
        /// The operation.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// A segment is damaged, and not at its end: stored messages are lost.
    #[error(
        "telemetry segment {} is damaged at byte {position}, where message {sequence} of the partition should be: {damage}; \
         put it back, or begin anew with --reset, which removes devices, messages and telemetry",
        path.display()
    )]
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Byte position within the file.
        position: u64,
        /// Sequence number of the record that cannot be read.
        sequence: u64,
        /// The mistake.
        #[source]
        damage: Damage,
    },
    /// A segment does not end where the next one begins.
    #[error(
        "telemetry segment {} does not reach to where the next one begins: \
         a segment is missing or was cut; put it back, or begin anew with --reset, which removes devices, messages and telemetry",
        path.display()
    )]
    Gap {
        /// The segment before the gap.
        path: PathBuf,
    },
    /// More was stored than is found.
    #[error(
        "telemetry partition {}: {what}; put its files back, or begin anew with --reset, which removes devices, messages and telemetry",
        path.display()
    )]
    Lost {
        /// The partition's folder.
        path: PathBuf,
        /// The evidence.
        what: String,
    },
    /// Not a segment of this program, or of a later version of it.
    #[error("{} is not a telemetry segment that this version can read; if it is damaged, put it back, or begin anew with --reset", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The number of partitions is fixed when a hub is created.
    #[error("{} was created with partitions: {found}, and is opened with {wanted}", path.display())]
    PartitionCount {
        /// The hub's folder.
        path: PathBuf,
        /// Partitions on disk.
        found: usize,
        /// Partitions asked for.
        wanted: usize,
    },
    /// A message that no official client may send.
    #[error("a message of {bytes} bytes is too large to be stored")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
    },
    /// An earlier write failed half-way and could not be undone.
    #[error(
        "the partition takes no more messages, because an earlier write failed and could not be undone"
    )]
    Broken,
    /// A log in memory has no files.
    #[error("telemetry in memory cannot be copied")]
    InMemory,
    /// Too many readers wait for one partition.
    #[error("too many readers wait for this partition")]
    TooManyReaders,
}

impl LogError {
    pub(super) fn io(doing: &'static str, path: &std::path::Path, cause: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_path_buf(),
            cause,
        }
    }
}
