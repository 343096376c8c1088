//! Every bound of this crate. Units are in the names.

/// Changes on their way to the writing thread: more than a fleet learns about its hubs in a second.
pub const STORE_QUEUE: usize = 16_384;
/// Changes in one transaction.
pub const STORE_GROUP: usize = 1_024;
/// Rows deleted in one transaction when old entries are collected.
pub const COLLECT_GROUP: usize = 4_096;
/// How long another program, such as a backup, may hold the file before a write fails.
pub const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Changes that were lost are told at most that often.
pub const LOSS_REPORT_INTERVAL_S: u64 = 60;
/// An entry that was not renewed for so long is deleted, unless its device has a subscription.
pub const HUB_CACHE_LIFE_S: u64 = 7 * 24 * 3_600;
