//! Why a device's connection changed: the one table.
//!
//! The hub's code and condition decide through the kind of failure, which both have been read into; condition and text are looked at again
//! where the kind is coarser than the cause.

use drawspan_hub::failure::Ending;
use drawspan_hub::{ConnectionCause as Cause, ErrorCode, Failure, FailureKind};

/// Why a device's public status is another than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing is wrong: it is connected.
    Connected,
    /// Something failed.
    Failed(Cause),
    /// The bridge did it.
    Act(Act),
}

/// What the bridge itself does to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It ends the connection of a device that was not used for a while, and that has no subscription.
    EndsUnused,
    /// It ends the connection of a device that a caller removed, or that is no longer listed.
    Removes,
    /// It moves a device to another connection to the same hub.
    Replaces,
    /// It moves a device to the hub that the configuration names now.
    MovesAsListed,
    /// It moves a device to the hub that DPS names now.
    MovesAsAssigned,
    /// It asks DPS for the device's hub later, since it has asked not long ago.
    AsksLater,
}

impl Why {
    /// A failure of a device whose session was open (`live`), or of an attempt.
    #[must_use]
    pub fn failed(failure: &Failure, live: bool) -> Self {
        Self::Failed(cause_of(failure, live))
    }

    /// The public word; `None` while the device is connected.
    #[must_use]
    pub const fn cause(self) -> Option<Cause> {
        match self {
            Self::Connected => None,
            Self::Failed(cause) => Some(cause),
            Self::Act(act) => Some(act.cause()),
        }
    }
}

impl Act {
    /// The public word.
    #[must_use]
    pub const fn cause(self) -> Cause {
        match self {
            Self::EndsUnused => Cause::IdleTimeout,
            Self::Removes | Self::Replaces | Self::AsksLater => Cause::ClosedByBridge,
            Self::MovesAsListed | Self::MovesAsAssigned => Cause::HubMoved,
        }
    }

    /// One line for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::EndsUnused => {
                "bridge: nothing has used the device for about ten minutes, and it has no subscription"
            }
            Self::Removes => {
                "bridge: the device was removed by a caller, or is not listed any more"
            }
            Self::Replaces => {
                "bridge: the device moves to another connection to its hub, since most places on its own belong to devices that left"
            }
            Self::MovesAsListed => "bridge: the list of devices names another hub for it",
            Self::MovesAsAssigned => "DPS: the device is assigned to another hub than before",
            Self::AsksLater => {
                "bridge: DPS was asked for the device's hub not long ago, and is asked again later"
            }
        }
    }
}

/// The cause of a failure. `live`: the device's session was open.
#[must_use]
pub fn cause_of(failure: &Failure, live: bool) -> Cause {
    use Ending as By;
    use FailureKind as Kind;
    match (failure.kind, failure.ending) {
        (_, By::ClocksDiffer) => Cause::ClockSkew,
        (_, By::Silence) => Cause::KeepAliveMissed,
        (Kind::Unauthorized, _) => cause_of_refusal(failure, live),
        (Kind::DeviceDisabled, _) => Cause::Disabled,
        (Kind::DeviceNotFound, _) => Cause::Deleted,
        // Why the hub did not take the next one is in the text.
        (_, By::TokenRanOut) => Cause::TokenExpired,
        (Kind::LinkStolen, _) => Cause::OtherClient,
        (Kind::QuotaExceeded, _) => Cause::QuotaExceeded,
        (Kind::Throttled | Kind::ResourceLimit | Kind::QueueFull, _)
        | (Kind::TokenLimit, By::Told) => Cause::Throttled,
        (Kind::ConnectionsFull, _) | (_, By::Own) => Cause::ClosedByBridge,
        (Kind::ConnectionLost, By::Told) => cause_of_close(failure),
        // A hub that refuses the connection itself says so; otherwise there was no way to it.
        (Kind::HubUnreachable, By::Told | By::Unexplained) => Cause::HubClosed,
        (Kind::HubUnreachable, _) => Cause::Network,
        // DPS knows no such scope or enrollment, or does not allow it: as much the device's credentials as its key.
        (Kind::Forbidden | Kind::NotFound, By::Told) => Cause::CredentialsRefused,
        (_, By::Told | By::Unexplained) => Cause::HubClosed,
        (Kind::ConnectionLost | Kind::Timeout | Kind::ServerError | Kind::Unknown, By::Found) => {
            Cause::Network
        }
        // What came from the hub made no sense, or the bridge has nothing to ask with.
        (_, By::Found) => Cause::ClosedByBridge,
    }
}

/// The hub, or DPS, took no token or certificate.
fn cause_of_refusal(failure: &Failure, live: bool) -> Cause {
    let text = failure.message.to_ascii_lowercase();
    let is_expired = text.contains("expired") && !text.contains("certificate");
    match is_expired {
        true if live && failure.ending != Ending::TokenRanOut => Cause::TokenExpired,
        // It was made a moment ago: it can only have expired by another clock.
        true => Cause::ClockSkew,
        false => Cause::CredentialsRefused,
    }
}

/// The hub closed a connection, session or link and named a reason that says nothing of the device.
fn cause_of_close(failure: &Failure) -> Cause {
    let text = failure.message.to_ascii_lowercase();
    let condition = failure.condition.as_deref().unwrap_or_default();
    let is_lapsed = failure.code == Some(ErrorCode::DEVICE_CONNECTION_CLOSED_REMOTELY);
    // The hub's words to a client that sent nothing for 240 s, and those of other AMQP peers.
    if is_lapsed || text.contains("inactive for more than") || text.contains("idle time") {
        return Cause::KeepAliveMissed;
    }
    match condition.ends_with(":redirect") {
        true => Cause::HubMoved,
        false => Cause::HubClosed,
    }
}

#[cfg(test)]
mod tests;
