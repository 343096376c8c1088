//! Every bound of this crate. Units are in the names.

/// A lock file that somebody exchanges while it is taken is tried again that often.
pub const LOCK_ATTEMPTS: u32 = 16;
/// The check of a database's pages ends after this time; a million rows take far less.
pub const CHECK_TIME_MS: u64 = 20_000;
/// Steps of SQLite's machine between two looks at the clock during that check.
pub const CHECK_STEPS: i32 = 10_000;
/// Names tried for files that are set aside.
pub const ASIDE_NAMES: u32 = 10_000;
