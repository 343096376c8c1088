//! What callers are told, in the words of the HTTP side.

use std::time::Duration;

use drawspan_bridge::controller::{self, Refusal, RequestError};
use drawspan_client::SendFailure;
use drawspan_hub::FailureKind;
use drawspan_store::StoreFault;

use super::handle::QUEUE_FULL;
use crate::devices::{Delay, DeviceError};
use crate::limits::RETRY_AFTER_S;

impl From<RequestError<StoreFault>> for DeviceError {
    fn from(error: RequestError<StoreFault>) -> Self {
        match error {
            RequestError::Refused(failure) => Self::Refused(failure),
            RequestError::QueueFull => QUEUE_FULL,
            RequestError::Subscribed => Self::Subscribed,
            RequestError::LockLost => Self::LockLost,
            RequestError::FateUnknown => Self::FateUnknown,
            RequestError::NoSubscription => Self::NoSubscription,
            RequestError::NotStored(fault) => Self::NotStored(fault),
        }
    }
}

/// Why the outcome of a message is not certain.
pub(super) fn not_settled(failure: SendFailure) -> RequestError<StoreFault> {
    match failure {
        SendFailure::Full => RequestError::QueueFull,
        SendFailure::Stale | SendFailure::NotSent => RequestError::LockLost,
        SendFailure::Unsettled => RequestError::FateUnknown,
        SendFailure::Refused(failure) if failure.kind == FailureKind::LockLost => {
            RequestError::LockLost
        }
        SendFailure::Refused(failure) => RequestError::Refused(failure),
    }
}

/// What a caller is answered whose device could not be connected. Nothing of the request was sent.
impl From<Refusal> for DeviceError {
    fn from(refusal: Refusal) -> Self {
        use FailureKind as Kind;
        let Refusal { failure, retry_in } = refusal;
        let retry_after_s = retry_in.map(seconds);
        match failure.kind {
            Kind::QueueFull if failure.code.is_none() => QUEUE_FULL,
            Kind::HubUnreachable => Self::HubUnreachable {
                retry_after_s: RETRY_AFTER_S,
                why: Some(failure.message),
            },
            Kind::ConnectionLost
            | Kind::Timeout
            | Kind::ServerError
            | Kind::ResourceLimit
            | Kind::Unknown => Self::Delayed(Delay::Failing(failure)),
            _ => match retry_after_s {
                Some(retry_after_s) => Self::RefusedUntil {
                    failure,
                    retry_after_s,
                },
                None => Self::Refused(failure),
            },
        }
    }
}

impl From<controller::Delay> for DeviceError {
    fn from(delay: controller::Delay) -> Self {
        use controller::Delay as Why;
        match delay {
            Why::Unknown => Self::NotWritten,
            Why::Dps(host) => Self::Delayed(Delay::Dps(host)),
            Why::Hub(host) => Self::Delayed(Delay::Hub(host)),
            Why::Turn { host, queue } => Self::Delayed(Delay::Turn { host, queue }),
            Why::Refused(refusal) => refusal.into(),
        }
    }
}

/// Whole seconds, at least one: when it is worth asking again.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0).max(u64::from(wait.is_zero()))
}
