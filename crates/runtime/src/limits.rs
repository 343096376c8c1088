//! Every bound of this crate. Units are in the names.

/// How long the hub waits for the outcome of a message whose dead letter is being written; after that it hears nothing.
pub const LETTER_WRITE_TIMEOUT_MS: u64 = 5_000;
/// How long a page of metrics waits for the controller's counters; without them it is answered without.
pub const MEASURE_TIMEOUT_S: u64 = 2;
/// Longest time that a request may wait for its turn at a hub whose pace is known.
pub const QUEUE_PATIENCE_S: u64 = 10;
/// How often it is looked, at least, whether a request that waits for its hub's rate may go.
pub const TURN_STEP_MS: u64 = 2;
/// How long it may take to find out what a device is waiting for, once its caller's time is up.
pub const DELAY_TIMEOUT_MS: u64 = 500;
/// Number of consecutive requests that ran out of time, from which `/readyz` reports it.
pub const REQUESTS_IN_VAIN: u32 = 10;
/// Requests on their way to the controller's task.
pub const REQUEST_QUEUE: usize = 16_384;
/// Requests that the controller's task takes before it looks at the clock and the news.
pub const REQUEST_BATCH: usize = 256;
/// The hub sends a message within this time if it has one.
pub const PULL_GRACE_MS: u64 = 1_000;
/// Requests that wait for messages, of all devices.
pub const PULLS: usize = 10_000;
/// Reports of devices' use that are made at a time: each looks at every device that sent today.
pub const USAGE_REPORTS_AT_ONCE: usize = 1;
/// Devices that one request for a list looks at.
pub const LISTED_AT_ONCE: usize = 1_000;
/// That a hub refuses a device's messages is told to the controller once in so long, …
pub const REFUSAL_NEWS_INTERVAL_MS: u64 = 60_000;
/// … and once in so long if it is for another reason than before.
pub const REFUSAL_NEWS_PAUSE_MS: u64 = 1_000;
/// A throttle of a device's messages is over when a hub accepts one, and has refused none for so long.
pub const THROTTLE_OVER_MS: u64 = 5_000;
