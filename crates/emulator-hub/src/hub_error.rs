//! Refusals as an IoT hub words them: JSON with its code, a tracking id and the time.

use drawspan_hub::ErrorCode;
use drawspan_hub::error_body::HubError;
use drawspan_hub::time::UtcTime;

use crate::clock::system_unix_ms;
use crate::tracking_id::tracking_id;

/// The hub's JSON for a status description.
pub fn status_description(code: ErrorCode, message: &str) -> String {
    let now = system_unix_ms() as i64;
    description(code, message, &tracking_id(now), now)
}

/// The hub's JSON, with this tracking id and time in Unix milliseconds.
pub fn description(code: ErrorCode, message: &str, tracking_id: &str, now: i64) -> String {
    HubError {
        code,
        tracking_id,
        message,
        timestamp_utc: UtcTime::from_unix_ms(now),
    }
    .to_description()
}
