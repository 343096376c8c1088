//! Every bound of this crate. Units are in the names.

/// Time that a load connection waits for an answer beyond the server's own deadline.
pub const LOAD_GRACE_S: u64 = 1;
/// Load connections being opened at the same time.
pub const MAX_OPENING_LOAD_CONNECTIONS: usize = 128;
/// Finished requests waiting to be written to the ledger.
pub const LEDGER_QUEUE: usize = 65_536;
/// Largest answer body a load connection reads before it gives the connection up.
pub const MAX_ANSWER_BYTES: usize = 65_536;
/// Largest page of the list of devices that a load reads.
pub const MAX_LIST_PAGE_BYTES: usize = 2 * 1_048_576;
/// HTTP connections over which a load subscribes devices.
pub const SUBSCRIBING_CONNECTIONS: usize = 64;
/// Subscriptions of which a load asks each whether it is in effect; of more, it asks so many, spread over all.
pub const SUBSCRIPTIONS_ASKED: usize = 2_000;
/// Messages, and calls, to devices of one of a load's receivers that may be under way at once.
pub const LOAD_DOWNLINKS_UNDER_WAY: usize = 512;
/// Largest event that a load's receiver reads.
pub const MAX_EVENT_BYTES: usize = 1_048_576;
