//! Every bound of this crate. Units are in the names.

/// Lines of the log about one subject that others can cause at will: one in this time, and a count of the rest.
pub const LOG_INTERVAL_S: u64 = 60;
/// Number of distinct subjects of one kind.
pub const MAX_LOG_SUBJECTS: usize = 1_024;
/// Longest callback URL in bytes.
pub const MAX_CALLBACK_URL_BYTES: usize = 2_048;
/// Default for `Retry-After`.
pub const RETRY_AFTER_S: u64 = 5;
