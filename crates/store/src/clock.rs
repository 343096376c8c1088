//! The current time; everything else takes it as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::limits::IDEMPOTENCY_LIFE_S;

/// Seconds since 1970.
pub(crate) fn now_unix_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Answers from then on count.
pub(crate) fn idempotent_since(now_unix_s: u64) -> u64 {
    now_unix_s.saturating_sub(IDEMPOTENCY_LIFE_S)
}

/// Milliseconds since 1970.
pub(crate) fn now_unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
