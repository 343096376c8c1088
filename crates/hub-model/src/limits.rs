//! Every limit of the hub as a value, in one place.

/// Most consumer groups of a hub, `$Default` included.
pub const CONSUMER_GROUPS_MAX: usize = 20;
/// Most devices of a hub.
pub const DEVICES_MAX: usize = 1_000_000;

/// Messages that wait for one device (the hub's own limit).
pub const C2D_DEPTH: usize = 50;
/// Messages to all devices of a hub together: they are held in memory.
pub const C2D_QUEUED_BYTES: usize = 512 * 1024 * 1024;
/// How long a device has a message before others may get it (the hub's own).
pub const C2D_LOCK_MS: u64 = 60_000;
/// How long a message waits that does not say how long it should (the hub's default).
pub const C2D_TTL_MS: u64 = 60 * 60 * 1000;
/// How long any message waits (the hub's own limit).
pub const C2D_TTL_MAX_MS: u64 = 48 * 60 * 60 * 1000;
/// How often a message, or feedback, may be given back (the hub's default).
pub const C2D_DELIVERY_COUNT: u32 = 10;
/// How often it may be configured to be.
pub const C2D_DELIVERY_COUNTS: std::ops::RangeInclusive<u32> = 1..=100;

/// Records of one feedback message (the hub's own).
pub const FEEDBACK_BATCH_RECORDS: usize = 64;
/// How long records are gathered before they are sent (the hub's own).
pub const FEEDBACK_GATHER_MS: u64 = 15_000;
/// How long a service has feedback before others may get it (the hub's default).
pub const FEEDBACK_LOCK_MS: u64 = 60_000;
/// How long feedback is kept (the hub's default).
pub const FEEDBACK_TTL_MS: u64 = 60 * 60 * 1000;
/// Feedback messages that wait for services; beyond that the oldest goes.
pub const FEEDBACK_BATCHES_MAX: usize = 1_024;

/// Desired properties of a twin, and reported ones: names and values, metadata apart.
pub const TWIN_PROPERTIES_BYTES: usize = 32 * 1024;
/// Tags of a twin: names and values.
pub const TWIN_TAGS_BYTES: usize = 8 * 1024;
/// A name in a twin.
pub const TWIN_KEY_BYTES: usize = 1024;
/// A text in a twin.
pub const TWIN_VALUE_BYTES: usize = 4 * 1024;
/// Objects in objects in a section of a twin.
pub const TWIN_DEPTH_MAX: usize = 10;
/// Integers in a twin.
pub const TWIN_INTEGERS: std::ops::RangeInclusive<i64> =
    -4_503_599_627_370_496..=4_503_599_627_370_495;
