//! What the devices could not do, as a problem document.

use drawspan_hub::limits::THROTTLED_WAIT_MIN_S;
use drawspan_hub::{Failure, FailureKind};

use super::problem::{Kind, Problem};
use crate::devices::DeviceError;
use crate::limits::RETRY_AFTER_S;

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Refused(failure) => refused(failure),
            DeviceError::TooLarge => Self::new(Kind::TooLarge, "The message is larger than the hub accepts."),
            DeviceError::Throttled { retry_after_s } => {
                Self::new(Kind::Throttled, "Too many messages for the hub; send again later.").retry_after(retry_after_s)
            }
            DeviceError::HubUnreachable { retry_after_s } => {
                Self::new(Kind::HubUnreachable, "The hub cannot be reached; nothing was sent.").retry_after(retry_after_s)
            }
            DeviceError::QueueFull { retry_after_s } => {
                Self::new(Kind::QueueFull, "Too many messages wait for the hub; nothing was sent.").retry_after(retry_after_s)
            }
            DeviceError::IdNotForDps(error) => Self::new(
                Kind::InvalidDeviceId,
                format!("The device id cannot be registered at DPS, through which devices find their hub: {error}."),
            ),
            DeviceError::NotListed => Self::new(
                Kind::UnknownDevice,
                "The device is not in the list of devices that this bridge was given.",
            ),
            DeviceError::NotReady => {
                Self::new(Kind::NotReady, "The bridge is starting or stopping; nothing was sent.").retry_after(RETRY_AFTER_S)
            }
            DeviceError::NotWritten => {
                Self::new(Kind::NotSentInTime, "The message could not be sent in time; it is not at the hub.")
                    .retry_after(RETRY_AFTER_S)
            }
            DeviceError::FateUnknown => Self::new(
                Kind::FateUnknown,
                "The message was sent, and the hub did not answer in time; it may or may not have it. Sending it again may double it.",
            )
            .retry_after(RETRY_AFTER_S),
        }
    }
}

/// The hub's own words, under the status that tells the caller what to do.
fn refused(failure: Failure) -> Problem {
    let (kind, wait_s) = match failure.kind {
        FailureKind::MessageTooLarge => (Kind::TooLarge, None),
        FailureKind::Throttled => (Kind::Throttled, Some(THROTTLED_WAIT_MIN_S.into())),
        FailureKind::HubUnreachable | FailureKind::ConnectionLost | FailureKind::HubMaintenance => {
            (Kind::HubUnreachable, Some(RETRY_AFTER_S))
        }
        FailureKind::Timeout => (Kind::FateUnknown, Some(RETRY_AFTER_S)),
        // Our connections are full: another one is on its way.
        FailureKind::TokenLimit => (Kind::NotReady, Some(RETRY_AFTER_S)),
        FailureKind::HubSuspended
        | FailureKind::HubNotFound
        | FailureKind::Unauthorized
        | FailureKind::DeviceNotFound
        | FailureKind::DeviceDisabled
        | FailureKind::LinkStolen
        | FailureKind::QuotaExceeded
        | FailureKind::QueueFull
        | FailureKind::Forbidden
        | FailureKind::NotFound
        | FailureKind::DeviceNotOnline
        | FailureKind::LockLost
        | FailureKind::InvalidRequest
        | FailureKind::Protocol
        | FailureKind::ServerError
        | FailureKind::Unknown => (Kind::HubRefused, None),
    };
    let wait_s = wait_s.map(|least| {
        failure
            .retry_after_s
            .map_or(least, |asked| u64::from(asked).max(least))
    });
    let problem = Problem::new(kind, failure.message)
        .from_hub(failure.code.map(|code| code.number()), failure.tracking_id);
    match wait_s {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    }
}
