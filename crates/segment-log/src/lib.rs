//! The telemetry log of one hub: partitions of append-only, checksummed segments.
//!
//! Records that [`TelemetryLog::append_batch`] accepted with `Ok` survive the end of the process, in any way, since the operating
//! system has the bytes by then. They are flushed to disk once a second, in the background. Without a folder the same log is in
//! memory and drops its oldest records when it is full.

mod disk;
mod error;
mod flusher;
mod index;
pub mod limits;
mod notify;
mod partition;
mod position;
mod record;
mod replace;
mod scan;
mod sealed;
mod segment;
mod tail;
#[cfg(test)]
mod tests;

use std::path::Path;

use drawspan_hub::DeviceId;
pub use error::LogError;
pub use flusher::Flusher;
pub use notify::Subscription;
use partition::Partition;
pub use position::{BeyondEnd, Position};
pub use record::{AuthKind, AuthScope, Damage, MessageSource, NewRecord, Origin, StoredRecord};

/// The telemetry of one hub.
#[derive(Debug)]
pub struct TelemetryLog {
    partitions: Vec<Partition>,
}

/// How much a log keeps. The defaults are the emulator's limits.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// A segment is sealed when it has grown this large.
    pub segment_bytes: u64,
    /// A segment is sealed when its first record has become this old.
    pub segment_age_ms: u64,
    /// Records older than this are deleted, a segment at a time.
    pub retention_ms: u64,
    /// The oldest sealed segments are deleted while a partition takes more than this on disk.
    pub disk_bytes: u64,
    /// Most that a partition keeps in memory when it has no folder.
    pub memory_bytes: usize,
    /// The newest records of a partition with a folder, kept in memory for readers that follow the end.
    pub tail_bytes: usize,
    /// One index entry stands for at least this much of a segment.
    pub index_stride_bytes: u64,
}

/// The bounds of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Sequence number of the oldest record that is kept.
    pub begin_sequence: u64,
    /// Sequence number that the next record will get; equal to `begin_sequence` when the partition is empty.
    pub next_sequence: u64,
    /// Offset of the newest record; `None` if there never was one, or retention removed it.
    pub last_offset: Option<u64>,
    /// Time of the newest record, Unix milliseconds; `None` as for `last_offset`.
    pub last_enqueued_unix_ms: Option<u64>,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            segment_bytes: limits::SEGMENT_BYTES,
            segment_age_ms: limits::SEGMENT_AGE_MS,
            retention_ms: limits::RETENTION_MS,
            disk_bytes: limits::PARTITION_DISK_BYTES,
            memory_bytes: limits::PARTITION_MEMORY_BYTES,
            tail_bytes: limits::PARTITION_TAIL_BYTES,
            index_stride_bytes: limits::INDEX_STRIDE_BYTES,
        }
    }
}

impl PartitionInfo {
    /// Whether nothing can be read.
    pub fn is_empty(&self) -> bool {
        self.begin_sequence == self.next_sequence
    }
}

impl TelemetryLog {
    /// Opens or creates a log of `partitions` partitions (at least one) in `folder`, or in memory.
    ///
    /// # Errors
    /// When the folder cannot be used, has more partitions, or a segment is damaged other than by an
    /// unfinished write at its end.
    pub fn open(
        folder: Option<&Path>,
        partitions: u16,
        limits: LogLimits,
    ) -> Result<Self, LogError> {
        if let Some(folder) = folder {
            check_partition_count(folder, partitions)?;
        }
        let partitions = (0..partitions.max(1))
            .map(|number| {
                let folder = folder.map(|folder| folder.join(partition_name(number)));
                Partition::open(folder.as_deref(), limits)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { partitions })
    }

    /// How many partitions there are.
    pub fn partition_count(&self) -> u16 {
        self.partitions.len() as u16
    }

    /// The partition in which a device's messages are stored: always the same one.
    pub fn partition_of(&self, device_id: &DeviceId) -> u16 {
        let hash = crc32fast::hash(device_id.as_str().as_bytes());
        (hash % u32::from(self.partition_count())) as u16
    }

    /// Stores messages, in their order, with one write per partition. Blocks for as long as the writes take, which is
    /// microseconds: the system's cache takes them.
    ///
    /// # Errors
    /// When a message is too large, or a write fails. Some of the messages may be stored then; none of them should be
    /// acknowledged.
    pub fn append_batch(&self, records: &[NewRecord], now_unix_ms: u64) -> Result<(), LogError> {
        if let Some(record) = records.iter().find(|record| !record::fits(record)) {
            return Err(LogError::TooLarge {
                bytes: record.message.len(),
            });
        }
        if let [record] = records {
            return self.append_to(
                self.partition_of(&record.device_id),
                records.iter(),
                now_unix_ms,
            );
        }
        let homes: Vec<u16> = records
            .iter()
            .map(|record| self.partition_of(&record.device_id))
            .collect();
        for number in 0..self.partition_count() {
            let here = records
                .iter()
                .zip(&homes)
                .filter(|(_, home)| **home == number)
                .map(|(record, _)| record);
            if here.clone().next().is_some() {
                self.append_to(number, here, now_unix_ms)?;
            }
        }
        Ok(())
    }

    /// The bounds of a partition; `None` if there is no such partition.
    pub fn info(&self, partition: u16) -> Option<PartitionInfo> {
        self.partition(partition).map(Partition::info)
    }

    /// Sequence number of the first record at `position` or behind it; that of the next record if there is none.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged. An unknown partition has nothing, and answers 0.
    pub fn seek(&self, partition: u16, position: Position) -> Result<u64, LogError> {
        self.partition(partition)
            .map_or(Ok(0), |partition| partition.seek(position))
    }

    /// Records from `sequence` on, or from the oldest that is kept: at most `max_records`, and no further one once `max_bytes` of
    /// messages are reached. Fewer than that does not mean the end; an empty result does.
    ///
    /// # Errors
    /// When a file cannot be read or is damaged.
    pub fn read(
        &self,
        partition: u16,
        sequence: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredRecord>, LogError> {
        self.partition(partition)
            .map_or(Ok(Vec::new()), |partition| {
                partition.read(sequence, max_records, max_bytes)
            })
    }

    /// Calls `wake` when a partition grows, once until [`Subscription::rearm`]. The storing thread calls it, so it must be short
    /// and must not block. `None` if there is no such partition.
    ///
    /// # Errors
    /// When too many readers wait already.
    pub fn subscribe(
        &self,
        partition: u16,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Option<Subscription>, LogError> {
        self.partition(partition)
            .map(|partition| partition.subscribe(Box::new(wake)))
            .transpose()
    }

    /// Closes old segments, deletes what retention does not keep, and brings everything else to the disk. Blocks for as
    /// long as the disk takes. Returns the first failure; the other partitions are looked after all the same.
    ///
    /// # Errors
    /// When a file cannot be synchronised, created or deleted.
    pub fn keep(&self, now_unix_ms: u64) -> Result<(), LogError> {
        let mut result = Ok(());
        for partition in &self.partitions {
            let kept = partition.keep(now_unix_ms);
            result = result.and(kept);
        }
        result
    }

    fn append_to<'a>(
        &self,
        partition: u16,
        records: impl Iterator<Item = &'a NewRecord> + Clone,
        now_unix_ms: u64,
    ) -> Result<(), LogError> {
        self.partition(partition)
            .map_or(Ok(()), |partition| partition.append(records, now_unix_ms))
    }

    fn partition(&self, number: u16) -> Option<&Partition> {
        self.partitions.get(usize::from(number))
    }
}

/// Checks that a folder has the mark of each of its partitions. All partitions are made before their number is recorded, so
/// a mark that is missing means that messages may be missing too.
///
/// # Errors
/// When a partition has no mark.
pub fn check_there(folder: &Path, partitions: u16) -> Result<(), LogError> {
    let is_there = |number: &u16| {
        let path = folder.join(partition_name(*number));
        partition::mark_path(&path).exists()
    };
    match (0..partitions).find(|number| !is_there(number)) {
        None => Ok(()),
        Some(number) => Err(LogError::Lost {
            path: folder.join(partition_name(number)),
            what: "its mark, next to it, is gone, so it cannot be determined whether messages are missing"
                .into(),
        }),
    }
}

fn partition_name(number: u16) -> String {
    format!("partition-{number}")
}

fn check_partition_count(folder: &Path, wanted: u16) -> Result<(), LogError> {
    let wanted = usize::from(wanted.max(1));
    let found = (0..limits::PARTITIONS_MAX)
        .filter(|number| folder.join(partition_name(*number)).exists())
        .count();
    // Fewer are found after a crash at the first start; more would be forgotten silently.
    if found <= wanted {
        return Ok(());
    }
    Err(LogError::PartitionCount {
        path: folder.to_path_buf(),
        found,
        wanted,
    })
}
