//! Conversion of failures to the gateway's errors.

use std::time::Duration;

use drawspan_bridge::controller::{self, Refusal, RequestError};
use drawspan_client::SendFailure;
use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_gateway::{Delay, DeviceError};
use drawspan_hub::FailureKind;
use drawspan_store::StoreFault;

/// Too much waits already.
pub(super) const QUEUE_FULL: DeviceError = DeviceError::QueueFull {
    retry_after_s: RETRY_AFTER_S,
};

/// The error for a caller whose request about subscriptions or messages failed.
pub(super) fn request_failed(error: RequestError<StoreFault>) -> DeviceError {
    match error {
        RequestError::Refused(failure) => DeviceError::Refused(failure),
        RequestError::QueueFull => QUEUE_FULL,
        RequestError::Subscribed => DeviceError::Subscribed,
        RequestError::LockLost => DeviceError::LockLost,
        RequestError::FateUnknown => DeviceError::FateUnknown,
        RequestError::NoSubscription => DeviceError::NoSubscription,
        RequestError::NotStored(fault) => DeviceError::NotStored(fault),
    }
}

/// Why the outcome of a message is not certain.
pub(super) fn not_settled(failure: SendFailure) -> RequestError<StoreFault> {
    match failure {
        SendFailure::Full => RequestError::QueueFull,
        SendFailure::Stale | SendFailure::NotSent => RequestError::LockLost,
        SendFailure::FateUnknown => RequestError::FateUnknown,
        SendFailure::Refused(failure) if failure.kind == FailureKind::LockLost => {
            RequestError::LockLost
        }
        SendFailure::Refused(failure) => RequestError::Refused(failure),
    }
}

/// The error for a caller whose device could not be connected. The request was not sent.
pub(super) fn not_connected(refusal: Refusal) -> DeviceError {
    use FailureKind as Kind;
    let Refusal { failure, retry_in } = refusal;
    let retry_after_s = retry_in.map(seconds);
    match failure.kind {
        Kind::QueueFull if failure.code.is_none() => QUEUE_FULL,
        Kind::HubUnreachable => DeviceError::HubUnreachable {
            retry_after_s: RETRY_AFTER_S,
            why: Some(failure.message),
        },
        Kind::ConnectionLost
        | Kind::Timeout
        | Kind::ServerError
        | Kind::ResourceLimit
        | Kind::Unknown => DeviceError::Delayed(Delay::Failing(failure)),
        _ => match retry_after_s {
            Some(retry_after_s) => DeviceError::RefusedUntil {
                failure,
                retry_after_s,
            },
            None => DeviceError::Refused(failure),
        },
    }
}

/// The error for a caller whose request ran out of time.
pub(super) fn delayed(delay: controller::Delay) -> DeviceError {
    use controller::Delay as Why;
    match delay {
        Why::Unknown => DeviceError::NotSent,
        Why::Dps(host) => DeviceError::Delayed(Delay::Dps(host)),
        Why::Hub(host) => DeviceError::Delayed(Delay::Hub(host)),
        Why::Turn { host, queue } => DeviceError::Delayed(Delay::Turn { host, queue }),
        Why::Refused(refusal) => not_connected(refusal),
    }
}

/// Whole seconds, at least one: when it is worth asking again.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0).max(u64::from(wait.is_zero()))
}
