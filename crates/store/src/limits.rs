//! Every bound of this crate. Units are in the names.

/// Changes on their way to the writing thread: more than a fleet learns about its hubs in a second.
pub const STORE_QUEUE: usize = 16_384;
/// Changes in one transaction.
pub const STORE_GROUP: usize = 1_024;
/// Questions on their way to the reading thread; who has one more waits.
pub const READ_QUEUE: usize = 1_024;
/// Rows deleted in one transaction when old entries are collected.
pub const COLLECT_GROUP: usize = 4_096;
/// How long another program, such as a backup, may hold the file before a write fails.
pub const BUSY_TIMEOUT_MS: u64 = 5_000;
/// How often the log is merged into the database, if it has contents.
pub const FOLD_INTERVAL_MS: u64 = 4_000;
/// A write is tried that often when nothing else is written, so that a disk that is full or fails is noticed.
pub const PROBE_INTERVAL_MS: u64 = 10_000;
/// Minimum interval of reports on lost changes.
pub const LOSS_REPORT_INTERVAL_S: u64 = 60;
/// Dead letters that no key opens are reported at most that often, however often lists are asked for.
pub const BROKEN_REPORT_INTERVAL_S: u64 = 60;
/// An entry that was not renewed for so long is deleted, unless its device has a subscription.
pub const HUB_CACHE_LIFE_S: u64 = 7 * 24 * 3_600;

/// Dead letters kept; the oldest go first.
pub const MAX_DEAD_LETTERS: u64 = 100_000;
/// Bytes of the events of all dead letters; the oldest go first.
pub const MAX_DEAD_LETTERS_BYTES: u64 = 256 << 20;
/// Bytes of one dead letter's event: the largest message of a hub in base64, with its description. A larger one is not stored.
pub const MAX_DEAD_LETTER_BYTES: usize = 512 << 10;
/// Bytes of the events of dead letters on their way to the writing thread; what is more is not kept.
pub const DEAD_LETTERS_WAITING_BYTES: usize = 32 << 20;
/// Bytes of events after which a list of dead letters ends, regardless of its limit.
pub const DEAD_LETTER_LIST_BYTES: usize = 32 << 20;
/// Dead letters dropped in one go when there are too many.
pub const DEAD_LETTER_DROP_GROUP: u64 = 64;

/// How long an answer is remembered under its idempotency key.
pub const IDEMPOTENCY_LIFE_S: u64 = 24 * 3_600;
/// Answers remembered; the oldest go first.
pub const MAX_IDEMPOTENCY_KEYS: u64 = 1_000_000;
/// Answers deleted in one transaction when they are over.
pub const IDEMPOTENCY_SWEEP_GROUP: usize = 1_024;
/// Answers that are over are looked for that often.
pub const IDEMPOTENCY_SWEEP_INTERVAL_S: u64 = 60;

/// Rows re-encrypted in one transaction after a change of keys: so few that other changes do not wait longer.
pub const REKEY_GROUP: usize = 256;
/// Bytes of events re-encrypted in one transaction.
pub const REKEY_GROUP_BYTES: usize = 4 << 20;
/// `keys rotate` waits this long for a running bridge to re-encrypt all rows.
pub const REKEY_WAIT_S: u64 = 60;
/// It looks that often how far that has come.
pub const REKEY_LOOK_INTERVAL_MS: u64 = 250;
/// The key ring's file is looked at that often.
pub const KEY_RING_LOOK_INTERVAL_MS: u64 = 2_000;
/// Keys in a key ring.
pub const MAX_KEYS: usize = 256;
/// Bytes of a key ring's file.
pub const MAX_KEY_RING_BYTES: usize = 64 << 10;

/// Pages copied at a time by a backup, between reports of progress.
pub const COPY_GROUP_PAGES: i32 = 256;
/// A backup waits that often, a moment each, for a file that another program holds.
pub const COPY_ATTEMPTS: u32 = 100;
/// Pause between two of these attempts.
pub const COPY_PAUSE_MS: u64 = 50;
/// Number of times that commands, while a bridge runs, wait for their turn to write, a millisecond and more each.
pub const MANAGE_ATTEMPTS: i32 = 30_000;
