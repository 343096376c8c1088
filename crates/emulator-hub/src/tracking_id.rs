//! The id by which a refusal is found in a hub's own logs.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::random;

const TRACKING_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[month]/[day]/[year] [hour]:[minute]:[second]");

/// `0123…-G:0-TimeStamp:11/22/2026 10:20:30`, as the hub's support asks for it.
pub fn tracking_id(now_unix_ms: i64) -> String {
    let id = random::hex().unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp(now_unix_ms / 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let time = time.format(TRACKING_TIME).unwrap_or_default();
    format!("{id}-G:0-TimeStamp:{time}")
}
