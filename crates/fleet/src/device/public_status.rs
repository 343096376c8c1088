//! The public words for a device's connection.

use drawspan_hub::{ConnectionCause, ConnectionStatus, ConnectionStatusReason, FailureKind};

use super::cause::Why;
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
        if !self.waits_refused() {
            return Effects::NONE;
        }
        let cause = match self.cause {
            Some(cause @ ConnectionCause::ClockSkew) => cause,
            _ => ConnectionCause::CredentialsRefused,
        };
        self.show(REFUSED, Why::Failed(cause))
    }

    /// Publishes that the credentials of a device were refused because of its hub's clock, or this machine's.
    pub(super) fn show_clock(&mut self) -> Effects {
        match self.status {
            Some(words) if self.waits_refused() => {
                self.show(words, Why::Failed(ConnectionCause::ClockSkew))
            }
            _ => Effects::NONE,
        }
    }

    fn waits_refused(&self) -> bool {
        let waits = matches!(self.state, State::Queued | State::Waiting { .. });
        waits && self.retry.last_failure().kind == FailureKind::Unauthorized
    }

    /// Publishes a status, unless it is the last one that was published, and for the same cause.
    pub(super) fn show(&mut self, words: Words, why: Why) -> Effects {
        let is_new = self.status.replace(words) != Some(words);
        let cause = why.cause();
        let is_news = std::mem::replace(&mut self.cause, cause) != cause;
        if !(is_new || is_news) {
            return Effects::NONE;
        }
        let (status, reason) = words;
        Effect::StatusChanged {
            status,
            reason,
            why,
            is_new,
        }
        .into()
    }
}
