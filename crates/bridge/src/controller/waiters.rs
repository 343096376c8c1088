//! Callers who wait for a device to be connected. A caller whose wait is hopeless is refused at once, with the reason.

use std::sync::Arc;
use std::time::Duration;

use drawspan_fleet::device::FailureReason;
use drawspan_fleet::limits::{BREAKER_UNTRIED_PROBE_INTERVAL, PROBES_PER_CALLER};
use drawspan_fleet::{ServiceId, State};
use drawspan_hub::{
    ConnectionStatus, ConnectionStatusReason, DeviceId, Failure, FailureKind, HostName,
};

use super::Controller;
use super::context::Noted;
use super::platform::Platform;
use super::response::{Refusal, Response};

/// The reason of a device's wait, when its caller's time ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Delay {
    /// The device is not known, or does not wait.
    Unknown,
    /// DPS has not answered.
    Dps(HostName),
    /// The hub has not answered the device's connection.
    Hub(HostName),
    /// Other devices connect before it.
    Turn {
        /// The hub, or DPS.
        host: HostName,
        /// How many wait there.
        queue: usize,
    },
    /// It was refused.
    Refused(Refusal),
}

impl<P: Platform> Controller<P> {
    /// Refuses the callers of a device who wait in vain.
    pub(super) fn refuse_hopeless(&mut self, index: u32) {
        let now = self.now;
        let waiters = self.fleet.context(index).map(|it| it.waiters.len());
        if waiters.unwrap_or(0) == 0 {
            return;
        }
        if let Some(failure) = self.fleet.refusal(index, now) {
            let refusal = self.refusal_by_service(index, failure);
            return self.refuse_waiters(index, &refusal);
        }
        if let Some(refusal) = self.refusal_standing_back(index) {
            return self.refuse_waiters(index, &refusal);
        }
        let Some(machine) = self.fleet.machine(index).cloned() else {
            return;
        };
        let after_probe = self.fleet.after_quota_probe(index);
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        let last = context.last_failure.clone();
        let refused = context.take_refused(|deadline| {
            let hopeless = machine.hopeless(deadline, now)?;
            Some(Refusal {
                failure: remembered(hopeless.why, last.as_ref()),
                retry_in: Some(retry_in(hopeless.next_try, after_probe, now.monotonic)),
            })
        });
        for (caller, refusal) in refused {
            self.answer(caller, Response::NotConnected(refusal));
        }
    }

    /// The refusal for callers of a device that waits in vain for a service, regardless of which device met the failure. Callers
    /// may return when the next device has found out whether the failure lasts.
    fn refusal_by_service(&self, index: u32, failure: &Failure) -> Refusal {
        let service = self.fleet.waits_for(index);
        let probe = service.and_then(|service| self.fleet.next_probe(service, self.now));
        Refusal {
            retry_in: probe.or_else(|| Refusal::from(failure.clone()).retry_in),
            failure: failure.clone(),
        }
    }

    /// The refusal for callers of a refused device that queues behind others: its own refusal.
    fn refusal_standing_back(&self, index: u32) -> Option<Refusal> {
        let wait = self.fleet.stands_back(index, self.now)?;
        let last = self.fleet.context(index)?.last_failure.as_ref();
        Some(Refusal {
            failure: remembered(self.fleet.machine(index)?.last_failure(), last),
            retry_in: Some(wait),
        })
    }

    /// Refuses the callers of a device that is not to be tried soon, since the service refuses everyone.
    pub(super) fn turn_away_device(&mut self, index: u32) {
        if let Some(service) = self.fleet.queues_at(index) {
            let refusal = self.untried(service);
            self.refuse_waiters(index, &refusal);
        }
    }

    /// The refusal for callers whose device was not tried, since the service refused others.
    pub(super) fn untried(&self, service: ServiceId) -> Refusal {
        let host = self.fleet.host(service).map_or("DPS", HostName::as_str);
        let text = format!(
            "{host} refuses the credentials of all devices that tried lately, so that one device at a time finds out whether it still does. \
             This one has not been tried yet: others were before it. GET /readyz says what to check"
        );
        // By then its turn will have come, whether its caller asks again or not.
        let others = self.fleet.queue_of(service).max(PROBES_PER_CALLER);
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        let wait = BREAKER_UNTRIED_PROBE_INTERVAL.saturating_mul(others);
        Refusal {
            failure: Failure {
                retry_after_s: u32::try_from(wait.as_secs()).ok(),
                ..Failure::local(FailureKind::Unauthorized, &text)
            },
            retry_in: Some(wait),
        }
    }

    /// Refuses all callers who wait for a device.
    pub(super) fn refuse_waiters(&mut self, index: u32, refusal: &Refusal) {
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        for (caller, refusal) in context.take_refused(|_| Some(refusal.clone())) {
            self.answer(caller, Response::NotConnected(refusal));
        }
    }

    /// Refuses the callers of all devices that wait for a hub, or for DPS, in vain.
    pub(super) fn turn_away(&mut self, service: ServiceId) {
        let waits = |index: &u32| self.fleet.waits_for(*index) == Some(service);
        let devices = self.fleet.iter().map(|(index, ..)| index);
        let devices: Vec<_> = devices.filter(waits).collect();
        for index in devices {
            self.refuse_hopeless(index);
        }
        if service == ServiceId::DPS
            && let Some(failure) = self.fleet.refusal_of(service, self.now).cloned()
        {
            let mut callers = self.registrations.take_asked();
            if self.fleet.never_reached(service, self.now) {
                callers.extend(self.registrations.take_started());
            }
            for caller in callers {
                self.answer(caller, Response::Registered(Err(failure.clone())));
            }
        }
    }

    /// The reason of a device's wait.
    #[must_use]
    pub fn delay_of(&self, id: &DeviceId, now: Duration) -> Delay {
        let found = self.fleet.find(id);
        let machine = found.and_then(|index| Some((index, self.fleet.machine(index)?)));
        let Some((index, machine)) = machine else {
            return Delay::Unknown;
        };
        let delay = match machine.state() {
            State::Queued => return self.delay_in_queue(index),
            State::Provisioning => self.fleet.host(ServiceId::DPS).cloned().map(Delay::Dps),
            State::Connecting => machine.hub().cloned().map(Delay::Hub),
            State::Waiting { why, until, .. } | State::Yielded { why, until } => {
                let context = self.fleet.context(index);
                let last = context.and_then(|context| context.last_failure.as_ref());
                let after_probe = self.fleet.after_quota_probe(index);
                return Delay::Refused(Refusal {
                    failure: remembered(why, last),
                    retry_in: Some(retry_in(until, after_probe, now)),
                });
            }
            State::Idle | State::Connected { .. } | State::Closing => None,
        };
        delay.unwrap_or(Delay::Unknown)
    }

    fn delay_in_queue(&self, index: u32) -> Delay {
        let Some(service) = self.fleet.queues_at(index) else {
            return Delay::Unknown;
        };
        if let Some(refusal) = self.refusal_standing_back(index) {
            return Delay::Refused(refusal);
        }
        if self.fleet.refuses_everyone(service) {
            return Delay::Refused(self.untried(service));
        }
        if let Some(failure) = self.fleet.last_failure_of(service)
            && self.fleet.stops_everybody(service)
        {
            return Delay::Refused(Refusal::from(failure.clone()));
        }
        let host = self.fleet.host(service).cloned();
        host.map_or(Delay::Unknown, |host| Delay::Turn {
            host,
            queue: self.fleet.queue_of(service),
        })
    }

    /// The public words for a device's connection; `None` if it never tried to connect.
    #[must_use]
    pub fn status_of(&self, id: &DeviceId) -> Option<(ConnectionStatus, ConnectionStatusReason)> {
        const UNANSWERED: (ConnectionStatus, ConnectionStatusReason) = (
            ConnectionStatus::DisconnectedRetrying,
            ConnectionStatusReason::CommunicationError,
        );
        const AT_REST: (ConnectionStatus, ConnectionStatusReason) = (
            ConnectionStatus::Disabled,
            ConnectionStatusReason::ClientClose,
        );
        let known = self.fleet.find(id);
        let machine = known.and_then(|index| self.fleet.machine(index));
        let cached = || self.cache.get(id).map(|_| AT_REST);
        let unanswered = || {
            let service = self.fleet.waits_for(known?)?;
            self.fleet.refusal_of(service, self.now).map(|_| UNANSWERED)
        };
        let status = machine.and_then(|machine| machine.status());
        status.or_else(unanswered).or_else(cached)
    }
}

/// How long until it is worth asking again.
fn retry_in(next_try: Duration, after_probe: Option<Duration>, now: Duration) -> Duration {
    let at = after_probe.map_or(next_try, |at| at.min(next_try));
    at.saturating_sub(now)
}

/// A refusal that came earlier: with all that was said, if that is still kept.
fn remembered(why: FailureReason, last: Option<&Arc<Noted>>) -> Failure {
    if let Some(noted) = last
        && noted.failure.kind == why.kind
    {
        return noted.failure.clone();
    }
    let text = why
        .code
        .and_then(|code| code.name())
        .unwrap_or("the hub refused this device a moment ago");
    Failure {
        code: why.code,
        ..Failure::local(why.kind, text)
    }
}
