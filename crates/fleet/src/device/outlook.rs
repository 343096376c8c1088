//! The outlook of a device: whether a caller should wait for it, and when it will be tried again.

use std::time::Duration;

use drawspan_hub::FailureKind;

use super::{Device, FailureReason, State};
use crate::time::Now;

/// Why a device will not be connected within a caller's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hopeless {
    /// The last failure.
    pub why: FailureReason,
    /// When a request makes it try again at the earliest, monotonic.
    pub next_try: Duration,
}

impl Device {
    /// Whether a caller whose time ends at `deadline` waits in vain: the device was refused, or does not try again by then.
    ///
    /// A throttled device does not count if its wait ends in time, nor does one that tries another key, or DPS, in a moment.
    #[must_use]
    pub fn hopeless(&self, deadline: Duration, now: Now) -> Option<Hopeless> {
        let (until, why, waits_in_vain) = match self.state {
            State::Waiting { .. } if self.retry.another_way => return None,
            State::Waiting { until, why, .. } => (until, why, !may_pass(why.kind)),
            State::Yielded { until, why } => (until, why, true),
            _ => return None,
        };
        // A request that comes as the wait ends waits for the next attempt.
        let is_over = until <= now.monotonic;
        if is_over || !waits_in_vain && until <= deadline {
            return None;
        }
        // Where no hub is known, it starts at DPS, whose interval a request cuts short only once.
        let dps = self.assignment.must_wait_to_register(now.monotonic);
        let dps = match (dps, self.assignment.early_from()) {
            (Some(in_time), Some(early)) => Some(in_time.min(early)),
            (in_time, _) => in_time,
        };
        let next_try = match self.state {
            State::Waiting { firm: true, .. } if dps.is_none() => until,
            State::Waiting { .. } => until.min(self.next_request_attempt),
            _ => until,
        };
        Some(Hopeless {
            why,
            next_try: next_try.max(dps.unwrap_or_default()).max(now.monotonic),
        })
    }
}

/// Whether the next attempt may succeed without an operator's help.
const fn may_pass(kind: FailureKind) -> bool {
    use FailureKind as Kind;
    match kind {
        Kind::HubUnreachable
        | Kind::ConnectionLost
        | Kind::Timeout
        | Kind::ServerError
        | Kind::HubMaintenance
        | Kind::TokenLimit
        | Kind::ResourceLimit
        | Kind::Throttled
        | Kind::Unknown => true,
        Kind::HubSuspended
        | Kind::HubNotFound
        | Kind::Unauthorized
        | Kind::DeviceNotFound
        | Kind::DeviceDisabled
        | Kind::LinkStolen
        | Kind::QuotaExceeded
        | Kind::ConnectionsFull
        | Kind::QueueFull
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::DeviceNotOnline
        | Kind::LockLost
        | Kind::MessageTooLarge
        | Kind::InvalidRequest
        | Kind::Protocol => false,
    }
}
