//! The state of a device, and its failures.

use std::time::Duration;

use drawspan_hub::{ErrorCode, Failure, FailureKind};

/// The state of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing, and nothing is wanted.
    Idle,
    /// Waiting for a permit.
    Queued,
    /// Asking DPS for its hub.
    Provisioning,
    /// Opening.
    Connecting,
    /// Connected.
    Connected {
        /// Since when, monotonic.
        since: Duration,
    },
    /// Waiting for the next attempt.
    Waiting {
        /// Until when, monotonic.
        until: Duration,
        /// The failure.
        why: FailureReason,
        /// Whether nothing helps before `until`, so that requests do not cut it short.
        firm: bool,
    },
    /// Another client holds the device.
    Yielded {
        /// Until when, monotonic.
        until: Duration,
        /// The hub's failure.
        why: FailureReason,
    },
    /// Closing the connection.
    Closing,
}

/// The essence of a [`Failure`], small enough to keep per device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureReason {
    /// The kind of failure.
    pub kind: FailureKind,
    /// The hub's code, if it gave one.
    pub code: Option<ErrorCode>,
}

impl From<&Failure> for FailureReason {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind,
            code: failure.code,
        }
    }
}
