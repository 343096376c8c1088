//! How much telemetry a hub keeps, so that an emulator that was forgotten does not fill a disk.

use std::ops::RangeInclusive;

use clap::Args;
use drawspan_segment_log::LogLimits;

/// Days for which a hub can keep telemetry (article "Read device-to-cloud messages from the built-in endpoint").
const DAYS: RangeInclusive<i64> = 1..=7;
/// Sizes that can be chosen, in MiB.
const SIZES_MIB: RangeInclusive<i64> = 16..=1024 * 1024;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const MIB: u64 = 1024 * 1024;
/// The smallest segment that the log writes.
const SEGMENT_MIN_BYTES: u64 = 256 * 1024;
/// A partition has at least so many segments, so that deleting the oldest one leaves most of it.
const SEGMENTS_MIN: u64 = 4;

/// Flags for how much telemetry is kept. What exceeds either of them is deleted, oldest first.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct RetentionArgs {
    /// Days for which telemetry is kept, 1 to 7
    #[arg(long, value_name = "DAYS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(DAYS))]
    retention_days: u16,
    /// Most telemetry that each hub keeps, in MiB [default: 1024 for each partition; 64 without --state]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(SIZES_MIB))]
    telemetry_size: Option<u32>,
}

impl RetentionArgs {
    /// The limits of a log of so many partitions.
    pub(crate) fn limits(self, partitions: u16) -> LogLimits {
        let mut limits = LogLimits {
            retention_ms: u64::from(self.retention_days) * DAY_MS,
            ..LogLimits::default()
        };
        if let Some(mib) = self.telemetry_size {
            let bytes = u64::from(mib) * MIB / u64::from(partitions.max(1));
            limits.disk_bytes = bytes;
            limits.memory_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            limits.segment_bytes =
                (bytes / SEGMENTS_MIN).clamp(SEGMENT_MIN_BYTES, limits.segment_bytes);
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shared_by_the_partitions() {
        let args = |telemetry_size| RetentionArgs {
            retention_days: 2,
            telemetry_size,
        };
        let chosen = args(Some(64)).limits(4);
        assert_eq!(chosen.retention_ms, 2 * DAY_MS);
        assert_eq!(
            (chosen.disk_bytes, chosen.segment_bytes),
            (16 * MIB, 4 * MIB)
        );
        assert_eq!(args(Some(16)).limits(32).segment_bytes, SEGMENT_MIN_BYTES);
        assert_eq!(
            args(None).limits(4).disk_bytes,
            LogLimits::default().disk_bytes
        );
    }
}
