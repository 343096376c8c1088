//! Every limit of the store.

/// Writes that may wait for the store's thread.
pub const STORE_QUEUE: usize = 1024;
/// Writes that failed are tried again that often.
pub const STORE_RETRY_MS: u64 = 250;
/// Writes that share one transaction.
pub const STORE_GROUP: usize = 256;
