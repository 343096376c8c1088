//! The hub that a device belongs to, and the budget of requests to DPS.

use std::time::Duration;

use drawspan_hub::{Failure, FailureKind, HostName};

use crate::limits::{
    REGISTRATION_INTERVAL_MAX, REGISTRATION_INTERVAL_MIN, REQUEST_ATTEMPT_INTERVAL, STABLE_AFTER,
};
use crate::mutation::{Mutation, planted};

/// The hub that a device belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assignment {
    /// Always this one, by configuration; DPS is never asked.
    Fixed(HostName),
    /// As DPS says.
    Dps(Dps),
}

/// The last answer of DPS, and when it may be asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dps {
    hub: Option<HostName>,
    /// Ask before an attempt although a hub is known, as soon as the budget allows that.
    ask: bool,
    /// The attempt that is being made starts at DPS.
    via: bool,
    /// Not before that, monotonic.
    not_before: Duration,
    /// How long to wait after the next registration.
    interval_s: u16,
    /// How long the wait until `not_before` is.
    charged_s: u16,
    early: Early,
}

/// Whether a request may have a registration before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Early {
    /// One may.
    Available,
    /// One does: the next registration starts as soon as it can.
    Asked,
    /// One did. The next one may after a registration in its time.
    Used,
}

impl Assignment {
    /// By DPS; `cached` is the hub it named before, if that is known.
    #[must_use]
    pub const fn dps(cached: Option<HostName>) -> Self {
        Self::Dps(Dps {
            hub: cached,
            ask: false,
            via: false,
            not_before: Duration::ZERO,
            interval_s: INTERVAL_MIN_S,
            charged_s: 0,
            early: Early::Available,
        })
    }

    /// An attempt begins: it starts at DPS if that must be asked. While the budget does not allow that, a hub that is known is tried.
    pub(super) fn begin(&mut self, now: Duration) {
        let may = self.may_register(now);
        if let Self::Dps(dps) = self {
            dps.via = dps.hub.is_none() || (dps.ask && may);
        }
    }

    /// Whether DPS names the hub.
    pub(super) const fn is_by_dps(&self) -> bool {
        matches!(self, Self::Dps(_))
    }

    /// Configuration names this hub. False when that is no news, or DPS names the hub.
    pub(super) fn fix(&mut self, hub: HostName) -> bool {
        match self {
            Self::Fixed(known) if *known != hub => {
                *known = hub;
                true
            }
            Self::Fixed(_) | Self::Dps(_) => false,
        }
    }

    /// The hub, as far as known.
    #[must_use]
    pub const fn hub(&self) -> Option<&HostName> {
        match self {
            Self::Fixed(hub) => Some(hub),
            Self::Dps(dps) => dps.hub.as_ref(),
        }
    }

    /// Whether the attempt that is being made starts at DPS.
    pub(super) const fn must_register(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Dps(dps) => dps.via,
        }
    }

    /// Whether DPS is to be asked because the hub that is known has refused the device.
    pub(super) const fn asks(&self) -> bool {
        matches!(self, Self::Dps(Dps { ask: true, .. }))
    }

    /// Whether the next attempt will start at DPS because the hub that is known has refused the device.
    pub(super) fn will_ask(&self, now: Duration) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Dps(dps) => dps.ask && now >= dps.not_before,
        }
    }

    /// Makes the next attempt start at DPS, if the budget allows that by then. False if there is no DPS.
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
            Self::Dps(dps) => now >= dps.not_before || dps.early == Early::Asked,
        }
    }

    /// Whether no registration counts against the budget any more.
    pub(super) fn is_free(&self, now: Duration) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Dps(dps) => now >= dps.not_before,
        }
    }

    /// If no hub is known and the budget does not allow a registration yet: when it will.
    pub(super) fn must_wait_to_register(&self, now: Duration) -> Option<Duration> {
        match self {
            Self::Dps(dps) if dps.hub.is_none() && !self.may_register(now) => Some(dps.not_before),
            _ => None,
        }
    }

    /// The time from which a request may bring the next registration forward; `None` if it may not. A device that must register
    /// because its hub is unknown, or refused it, need not keep a caller waiting for the whole interval.
    pub(super) fn early_from(&self) -> Option<Duration> {
        let Self::Dps(dps) = self else { return None };
        let registers = dps.hub.is_none() || dps.ask;
        let interval = Duration::from_secs(dps.charged_s.into());
        (registers && dps.early == Early::Available)
            .then(|| dps.not_before.saturating_sub(interval) + REQUEST_ATTEMPT_INTERVAL)
    }

    /// A request waits for the device: the next registration may start before its time, if that is possible.
    pub(super) fn hurry(&mut self, now: Duration) {
        let possible = self.early_from().is_some_and(|from| from <= now);
        if let Self::Dps(dps) = self
            && possible
            && now < dps.not_before
        {
            dps.early = Early::Asked;
        }
    }

    /// A retry was requested, regardless of earlier failures.
    pub(super) const fn forgive(&mut self) {
        if let Self::Dps(dps) = self {
            dps.not_before = Duration::ZERO;
            dps.early = Early::Available;
        }
    }

    /// The device is removed, and what was known of it.
    pub(super) fn forget(&mut self) {
        if let Self::Dps(_) = self {
            *self = Self::dps(None);
        }
    }

    /// A registration starts: it is charged.
    pub(super) fn registering(&mut self, now: Duration) {
        if let Self::Dps(dps) = self
            && !planted(Mutation::RegistrationFree)
        {
            // One before its time counts from the end of that.
            let in_time = now >= dps.not_before;
            let early = !in_time && dps.early == Early::Asked;
            let from = if early { dps.not_before } else { now };
            if early {
                dps.early = Early::Used;
            } else if in_time {
                dps.early = Early::Available;
            }
            dps.not_before = from + Duration::from_secs(dps.interval_s.into());
            dps.charged_s = dps.interval_s;
            dps.interval_s = dps.interval_s.saturating_mul(2).min(INTERVAL_MAX_S);
        }
    }

    /// DPS has named the hub.
    pub(super) fn assigned(&mut self, hub: HostName) {
        if let Self::Dps(dps) = self {
            dps.hub = Some(hub);
            dps.ask = false;
            dps.via = false;
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

    /// Expired entries are removed.
    pub(super) fn forget_until(&mut self, now: Duration) {
        if let Self::Dps(dps) = self
            && now >= dps.not_before
        {
            dps.not_before = Duration::ZERO;
        }
    }

    /// The known hub took the device: there is nothing to ask.
    pub(super) const fn accepted(&mut self) {
        if let Self::Dps(dps) = self {
            dps.ask = false;
        }
    }

    /// DPS has named no hub: a known one is tried again first. What DPS did not take up is not charged.
    pub(super) fn failed(&mut self, failure: &Failure) {
        let Self::Dps(dps) = self else { return };
        dps.ask = false;
        dps.via = dps.hub.is_none();
        if matches!(
            failure.kind,
            FailureKind::HubUnreachable
                | FailureKind::ConnectionLost
                | FailureKind::Timeout
                | FailureKind::ServerError
                | FailureKind::Throttled
        ) {
            dps.not_before = Duration::ZERO;
            dps.early = Early::Available;
            dps.interval_s = (dps.interval_s / 2).max(INTERVAL_MIN_S);
        }
    }

    /// A connection stood that long: long enough, and the next registration is a new matter.
    pub(super) fn stood(&mut self, length: Duration) {
        if let Self::Dps(dps) = self
            && length >= STABLE_AFTER
        {
            dps.interval_s = INTERVAL_MIN_S;
            dps.early = Early::Available;
        }
    }
}

// Half an hour of seconds fits.
const INTERVAL_MIN_S: u16 = REGISTRATION_INTERVAL_MIN.as_secs() as u16;
const INTERVAL_MAX_S: u16 = REGISTRATION_INTERVAL_MAX.as_secs() as u16;
