//! A device registers at DPS only with a reason, and only so often.

use std::time::Duration;

use drawspan_fleet::limits::{
    REGISTRATION_INTERVAL_MAX, REGISTRATION_INTERVAL_MIN, REPROVISION_REFUSALS, STABLE_AFTER,
};
use drawspan_hub::{Failure, FailureKind};

use super::{Violation, ensure};

/// What one device has asked of DPS, and why.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// What the next registration costs.
    interval: Duration,
    not_before: Duration,
    /// The last one came before its time.
    used_early: bool,
    /// Its hub knows it no more, or not its key.
    refused: bool,
    /// Failures that may mean that it has moved.
    suspicions: u16,
    /// Its last failure, if that concerns its hub and not the device: no reason to register anew.
    of_hub: Option<FailureKind>,
}

impl Budget {
    /// A registration starts; `hub_known` if there is one to be tried, which is not gone. It may have been permitted so much earlier.
    pub(crate) fn starts(
        &mut self,
        device: u32,
        hub_known: bool,
        late: Duration,
        now: Duration,
    ) -> Result<(), Violation> {
        let reason = !hub_known || self.refused || self.suspicions >= REPROVISION_REFUSALS;
        let of_hub = self.of_hub.filter(|_| !reason);
        ensure(of_hub.is_none(), "REGISTRATION-STORM", || {
            format!(
                "device {device} registers anew because of {of_hub:?}, as all devices of its hub would"
            )
        })?;
        ensure(reason, "DPS-REASON", || {
            format!(
                "device {device} has a hub, which refused it {} times, and asks DPS",
                self.suspicions
            )
        })?;
        let early = self.not_before.saturating_sub(now);
        ensure(early.is_zero() || !self.used_early, "DPS-BUDGET", || {
            format!("device {device} registers {early:?} before its time")
        })?;
        // A request may have the next one before its time, which is charged from then on.
        self.used_early = !early.is_zero();
        self.charge_from(now.saturating_sub(late).max(self.not_before));
        self.refused = false;
        self.suspicions = 0;
        self.of_hub = None;
        Ok(())
    }

    /// Somebody asked for a registration, and it was made.
    pub(crate) fn charge(&mut self, now: Duration) {
        self.used_early &= now < self.not_before;
        self.charge_from(now);
    }

    fn charge_from(&mut self, from: Duration) {
        self.not_before = from + self.interval;
        self.interval = (2 * self.interval).min(REGISTRATION_INTERVAL_MAX);
    }

    /// DPS did not even look at it.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        use FailureKind as Kind;
        if matches!(
            failure.kind,
            Kind::HubUnreachable
                | Kind::ConnectionLost
                | Kind::Timeout
                | Kind::ServerError
                | Kind::Throttled
        ) {
            self.not_before = Duration::ZERO;
            self.used_early = false;
            self.interval = (self.interval / 2).max(REGISTRATION_INTERVAL_MIN);
        }
    }

    /// The device's hub refused it, or its connection ended after it had stood that long.
    pub(crate) fn ended(&mut self, failure: &Failure, stood: Option<Duration>) {
        use FailureKind as Kind;
        if stood.is_some_and(|stood| stood >= STABLE_AFTER) {
            self.interval = REGISTRATION_INTERVAL_MIN;
            self.used_early = false;
        }
        if matches!(
            failure.kind,
            Kind::Unauthorized | Kind::DeviceNotFound | Kind::DeviceDisabled
        ) {
            self.refused = true;
        }
        let of_hub = concerns_hub(failure);
        self.of_hub = of_hub.then_some(failure.kind);
        if failure.may_mean_moved() && !of_hub {
            self.suspicions = self.suspicions.saturating_add(1);
        }
    }

    /// A retry was requested, regardless of earlier failures.
    pub(crate) const fn forgiven(&mut self) {
        self.not_before = Duration::ZERO;
        self.used_early = false;
    }

    /// The process forgot the device.
    pub(crate) fn forgotten(&mut self) {
        self.interval = REGISTRATION_INTERVAL_MIN;
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            interval: REGISTRATION_INTERVAL_MIN,
            not_before: Duration::ZERO,
            used_early: false,
            refused: false,
            suspicions: 0,
            of_hub: None,
        }
    }
}

/// Whether a hub is throttling, out of quota, failing over or suspended, or cannot be reached: by its codes, whatever the bridge
/// makes of them.
fn concerns_hub(failure: &Failure) -> bool {
    let of_code = failure.code.map(|code| code.number());
    match of_code {
        Some(429_000..=429_999 | 403_002 | 404_012 | 400_029 | 400_030 | 503_000..=503_999) => true,
        Some(_) => false,
        None => failure.kind == FailureKind::HubUnreachable,
    }
}
