//! The words in which hubs and DPS refuse, read by the production tables.

use drawspan_hub::{Failure, FailureKind};

/// A refusal with a code, as hubs write it in AMQP errors.
pub(crate) fn amqp(condition: &str, code: u32) -> Failure {
    Failure::from_amqp(condition, Some(&description(code)))
}

/// A refused put-token.
pub(crate) fn cbs(status: i32, code: u32) -> Failure {
    Failure::from_cbs(status, &description(code))
}

/// The refusal of another token on a connection.
pub(crate) fn token_limit(coded: bool) -> Failure {
    if coded {
        cbs(403, 403_005)
    } else {
        let text = "The maximum number of tokens per connection has been reached";
        Failure::from_cbs(500, text)
    }
}

/// A refusal of a hub that asks to be left alone for a while.
pub(crate) fn throttled(retry_after_s: Option<u32>) -> Failure {
    Failure {
        retry_after_s,
        ..amqp("com.microsoft:device-container-throttled", 429_001)
    }
}

/// No way to a hub, or to DPS.
pub(crate) fn unreachable() -> Failure {
    Failure::local(FailureKind::HubUnreachable, "no route")
}

/// What stood has broken.
pub(crate) fn lost() -> Failure {
    Failure::local(FailureKind::ConnectionLost, "the connection broke")
}

fn description(code: u32) -> String {
    format!("{{\"errorCode\":{code},\"trackingId\":\"t\",\"message\":\"no\"}}")
}
