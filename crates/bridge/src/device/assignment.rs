//! Which hub a device belongs to, and how often DPS may be asked.

use std::time::Duration;

use drawspan_hub::{Failure, FailureKind, HostName};

use crate::limits::{REGISTRATION_INTERVAL_MAX, REGISTRATION_INTERVAL_MIN, STABLE_AFTER};
use crate::mutation::{Mutation, planted};

/// Which hub a device belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// Always this one, by configuration; DPS is never asked.
    Fixed(HostName),
    /// As DPS says.
    Dps(Dps),
}

/// What DPS has said, and when it may be asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dps {
    hub: Option<HostName>,
    /// Ask before the next attempt although a hub is known.
    ask: bool,
    /// Not before that, monotonic.
    not_before: Duration,
    /// How long to wait after the next registration.
    interval_s: u16,
}

impl Assignment {
    /// By DPS; `cached` is the hub it named before, if that is known.
    #[must_use]
    pub const fn dps(cached: Option<HostName>) -> Self {
        Self::Dps(Dps {
            hub: cached,
            ask: false,
            not_before: Duration::ZERO,
            interval_s: INTERVAL_MIN_S,
        })
    }

    /// The hub, as far as known.
    #[must_use]
    pub const fn hub(&self) -> Option<&HostName> {
        match self {
            Self::Fixed(hub) => Some(hub),
            Self::Dps(dps) => dps.hub.as_ref(),
        }
    }

    /// Whether the next attempt starts at DPS.
    pub(super) const fn must_register(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Dps(dps) => dps.ask || dps.hub.is_none(),
        }
    }

    /// Makes the next attempt start at DPS. False where there is none.
    pub(super) const fn ask(&mut self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Dps(dps) => {
                dps.ask = true;
                true
            }
        }
    }

    /// Whether the budget allows a registration.
    pub(super) fn may_register(&self, now: Duration) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Dps(dps) => now >= dps.not_before,
        }
    }

    /// If the next attempt starts at DPS and the budget does not allow that yet: when it will.
    pub(super) fn must_wait_to_register(&self, now: Duration) -> Option<Duration> {
        match self {
            Self::Dps(dps) if self.must_register() && !self.may_register(now) => {
                Some(dps.not_before)
            }
            _ => None,
        }
    }

    /// A registration starts: it is charged.
    pub(super) fn registering(&mut self, now: Duration) {
        if let Self::Dps(dps) = self
            && !planted(Mutation::RegistrationFree)
        {
            dps.not_before = now + Duration::from_secs(dps.interval_s.into());
            dps.interval_s = dps.interval_s.saturating_mul(2).min(INTERVAL_MAX_S);
        }
    }

    /// DPS has named the hub.
    pub(super) fn assigned(&mut self, hub: HostName) {
        if let Self::Dps(dps) = self {
            dps.hub = Some(hub);
            dps.ask = false;
        }
    }

    /// A registration outside of any attempt named the hub; it is charged like any other. False where there is no DPS.
    pub(super) fn registered(&mut self, hub: HostName, now: Duration) -> bool {
        self.registering(now);
        self.assigned(hub);
        matches!(self, Self::Dps(_))
    }

    /// Until when a registration counts, if one does.
    pub(super) fn remembered_until(&self) -> Option<Duration> {
        match self {
            Self::Dps(dps) if !dps.not_before.is_zero() => Some(dps.not_before),
            _ => None,
        }
    }

    /// What no longer counts is forgotten.
    pub(super) fn forget_until(&mut self, now: Duration) {
        if let Self::Dps(dps) = self
            && now >= dps.not_before
        {
            dps.not_before = Duration::ZERO;
        }
    }

    /// DPS has named no hub: a known one is tried again first. What DPS did not take up is not charged.
    pub(super) fn failed(&mut self, failure: &Failure) {
        let Self::Dps(dps) = self else { return };
        dps.ask = false;
        if matches!(
            failure.kind,
            FailureKind::HubUnreachable
                | FailureKind::ConnectionLost
                | FailureKind::Timeout
                | FailureKind::ServerError
                | FailureKind::Throttled
        ) {
            dps.not_before = Duration::ZERO;
            dps.interval_s = (dps.interval_s / 2).max(INTERVAL_MIN_S);
        }
    }

    /// A connection stood that long: long enough, and the next registration is a new matter.
    pub(super) fn stood(&mut self, length: Duration) {
        if let Self::Dps(dps) = self
            && length >= STABLE_AFTER
        {
            dps.interval_s = INTERVAL_MIN_S;
        }
    }
}

// Half an hour of seconds fits.
const INTERVAL_MIN_S: u16 = REGISTRATION_INTERVAL_MIN.as_secs() as u16;
const INTERVAL_MAX_S: u16 = REGISTRATION_INTERVAL_MAX.as_secs() as u16;
