//! The public words for a device's connection.

use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, FailureKind};

use super::{Device, Effect, Effects, State};

/// The status of a device, with its reason.
pub(super) type Words = (ConnectionStatus, ConnectionStatusReason);

/// The status of a device whose credentials are refused.
pub(super) const REFUSED: Words = (
    ConnectionStatus::Disconnected,
    ConnectionStatusReason::BadCredential,
);

/// The status of a device that is not wanted.
pub(super) const DISABLED: Words = (
    ConnectionStatus::Disabled,
    ConnectionStatusReason::ClientClose,
);

impl Device {
    /// Publishes that the credentials of a device were refused that waits to try again.
    pub(super) fn show_refusal(&mut self) -> Effects {
        let waits = matches!(self.state, State::Queued | State::Waiting { .. });
        if waits && self.retry.last_failure().kind == FailureKind::Unauthorized {
            return self.show(REFUSED);
        }
        Effects::NONE
    }

    /// Publishes a status, unless it is the last one that was published.
    pub(super) fn show(&mut self, status: Words) -> Effects {
        if self.status.replace(status) == Some(status) {
            return Effects::NONE;
        }
        let (status, reason) = status;
        Effect::StatusChanged { status, reason }.into()
    }
}
