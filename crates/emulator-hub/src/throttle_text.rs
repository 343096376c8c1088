//! What a hub says when it takes no more operations.

use drawspan_hub::ErrorCode;

/// The reason of a refusal by a rate, the quota or the tier, for a person.
pub fn throttled_text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::QUOTA_EXCEEDED => {
            "Total number of messages on IotHub exceeded the allocated quota. The quota resets at 00:00 UTC"
        }
        ErrorCode::OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER => {
            "The operation is not available in the current tier of the IotHub"
        }
        ErrorCode::THROTTLE_BACKLOG_LIMIT_EXCEEDED => {
            "The number of requests in the backlog has reached its limit. Wait and try again"
        }
        ErrorCode::THROTTLING_BACKLOG_TIMEOUT => {
            "The request would wait for too long in the backlog. Wait and try again"
        }
        _ => "Throttling limits on the IotHub were exceeded for this operation. Wait and try again",
    }
}
