//! Every limit of the telemetry log in one place.

/// Most partitions a hub can have.
pub const PARTITIONS_MAX: u16 = 32;

/// Encoded body of one stored record: a 256 KB message, its stamps, and room for what encoding adds.
pub const RECORD_BODY_MAX_BYTES: usize = 512 * 1024;
/// A telemetry segment is sealed when it has grown this large.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// A telemetry segment is sealed when its first record has become this old, so that retention finds something to delete.
pub const SEGMENT_AGE_MS: u64 = 60 * 60 * 1000;
/// How long telemetry is kept (the hub's default: one day).
pub const RETENTION_MS: u64 = 24 * 60 * 60 * 1000;
/// How much telemetry one partition keeps on disk.
pub const PARTITION_DISK_BYTES: u64 = 1024 * 1024 * 1024;
/// How much telemetry one partition keeps when there is no state directory.
pub const PARTITION_MEMORY_BYTES: usize = 64 * 1024 * 1024;
/// The newest telemetry of a partition, kept in memory for readers that follow the end.
pub const PARTITION_TAIL_BYTES: usize = 1024 * 1024;
/// One entry of a segment's index stands for at least this much of the file.
pub const INDEX_STRIDE_BYTES: u64 = 16 * 1024;
/// A reader takes this much of a file at once.
pub const READ_BLOCK_BYTES: usize = 256 * 1024;
/// Readers that can wait for one partition at a time: 20 consumer groups of 5 readers, and the emulator's own.
pub const SUBSCRIPTIONS_MAX: usize = 128;
/// How often telemetry is synchronised to the disk and retention is looked after.
pub const KEEP_INTERVAL_MS: u64 = 1000;
