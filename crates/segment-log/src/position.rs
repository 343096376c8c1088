//! Start positions of readers.

use crate::PartitionInfo;

/// A place in a partition, as Event Hubs clients name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The oldest message that is kept (`-1`).
    Start,
    /// Behind the newest message at the time of asking (`@latest`).
    End,
    /// By sequence number.
    Sequence {
        /// The number; anything below 0 means the start.
        value: i64,
        /// Whether that very message is wanted (`>=` instead of `>`).
        inclusive: bool,
    },
    /// By offset.
    Offset {
        /// The offset; anything below 0 means the start.
        value: i64,
        /// Whether the message at that very offset is wanted.
        inclusive: bool,
    },
    /// By the time when the hub took the message.
    EnqueuedTime {
        /// Unix milliseconds; anything below 0 means the start.
        unix_ms: i64,
        /// Whether messages of that very millisecond are wanted.
        inclusive: bool,
    },
}

/// A position that lies beyond everything that a partition ever had. Its text is what Event Hubs clients know
/// (Azure/azure-event-hubs-python #13, azure-event-hubs-spark #315).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The supplied {kind} '{supplied}' is invalid. The last {kind} in the system is '{last}'")]
pub struct BeyondEnd {
    kind: &'static str,
    supplied: i64,
    /// -1 if there never was one.
    last: i64,
}

impl Position {
    /// Whether a partition with these bounds can be read from here. A time may lie in the future.
    ///
    /// # Errors
    /// When an offset or a sequence number is larger than the newest.
    pub fn check(self, partition: &PartitionInfo) -> Result<(), BeyondEnd> {
        let (kind, supplied, last) = match self {
            Self::Start | Self::End | Self::EnqueuedTime { .. } => return Ok(()),
            Self::Sequence { value, .. } => {
                let next = i64::try_from(partition.next_sequence).unwrap_or(i64::MAX);
                ("sequence number", value, next - 1)
            }
            Self::Offset { value, .. } => match partition.last_offset {
                Some(last) => ("offset", value, i64::try_from(last).unwrap_or(i64::MAX)),
                None if partition.next_sequence == 0 => ("offset", value, -1),
                // Retention removed the newest one, and with it the knowledge where it was.
                None => return Ok(()),
            },
        };
        match supplied > last {
            true => Err(BeyondEnd {
                kind,
                supplied,
                last,
            }),
            false => Ok(()),
        }
    }
}

/// A [`Position`] as "the first record whose key is at least …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Start,
    End,
    Sequence(u64),
    Offset(u64),
    Time(u64),
}

/// The key of a record that a [`Target`] is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) sequence: u64,
    pub(super) offset: u64,
    pub(super) unix_ms: u64,
}

impl From<Position> for Target {
    fn from(position: Position) -> Self {
        let (value, inclusive, target): (i64, bool, fn(u64) -> Self) = match position {
            Position::Start => return Self::Start,
            Position::End => return Self::End,
            Position::Sequence { value, inclusive } => (value, inclusive, Self::Sequence),
            Position::Offset { value, inclusive } => (value, inclusive, Self::Offset),
            Position::EnqueuedTime { unix_ms, inclusive } => (unix_ms, inclusive, Self::Time),
        };
        match u64::try_from(value) {
            Ok(value) if inclusive => target(value),
            Ok(value) => target(value.saturating_add(1)),
            Err(_) => Self::Start,
        }
    }
}

impl Target {
    /// Whether a record with `keys` lies before the place that is meant.
    pub(super) fn is_after(self, keys: Keys) -> bool {
        match self {
            Self::Start => false,
            Self::End => true,
            Self::Sequence(sequence) => keys.sequence < sequence,
            Self::Offset(offset) => keys.offset < offset,
            Self::Time(unix_ms) => keys.unix_ms < unix_ms,
        }
    }
}
