//! Every limit of the store in one place.

/// Registry writes that may wait for the store's thread.
pub const STORE_QUEUE: usize = 1024;
/// Registry writes that failed are tried again that often.
pub const STORE_RETRY_MS: u64 = 250;
/// Registry writes that share one transaction.
pub const STORE_GROUP: usize = 256;
