//! Callers who wait for a device to be connected. Whoever waits in vain is refused at once, with the reason.

use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::State;
use drawspan_bridge::device::Why;
use drawspan_bridge::fleet::ServiceId;
use drawspan_hub::{DeviceId, Failure, FailureKind};

use super::Shell;
use crate::devices::{Delay, DeviceError};
use crate::runtime::beside::{Beside, Noted, Refusal};
use crate::runtime::request::Registration;

impl Shell {
    /// Refuses the callers of a device who wait in vain.
    pub(super) fn refuse_hopeless(&mut self, index: u32) {
        let now = self.now();
        let is_waited_for = |beside: &Beside| !beside.waiters.is_empty();
        if !self.fleet.beside(index).is_some_and(is_waited_for) {
            return;
        }
        if let Some(failure) = self.fleet.refusal(index, now) {
            let refusal = Refusal::from(failure.clone());
            if let Some(beside) = self.fleet.beside_mut(index) {
                beside.refuse_waiters(|_| Some(refusal.clone()));
            }
            return;
        }
        let Some(machine) = self.fleet.machine(index).cloned() else {
            return;
        };
        let Some(beside) = self.fleet.beside_mut(index) else {
            return;
        };
        let last = beside.last_failure.clone();
        beside.refuse_waiters(|deadline| {
            let hopeless = machine.hopeless(deadline, now)?;
            Some(Refusal {
                failure: remembered(hopeless.why, last.as_ref()),
                retry_in: Some(hopeless.next_try - now.monotonic),
            })
        });
    }

    /// Refuses the callers of all devices that queue for a hub, or for DPS, in vain.
    pub(super) fn turn_away(&mut self, service: ServiceId) {
        let queued = |index: &u32| self.fleet.queues_at(*index) == Some(service);
        let devices = self.fleet.iter().map(|(index, ..)| index);
        let devices: Vec<_> = devices.filter(queued).collect();
        for index in devices {
            self.refuse_hopeless(index);
        }
        if service == ServiceId::DPS
            && let Some(failure) = self.fleet.refusal_of(service, self.now())
        {
            self.parts.registrations.refuse_asked(failure);
        }
    }

    /// A caller asks for a registration.
    pub(super) fn register(&mut self, registration: Registration) {
        if let Some(failure) = self.fleet.refusal_of(ServiceId::DPS, self.now()) {
            // The caller may have given up; nothing is owed then.
            let _ = registration.reply.send(Err(failure.clone()));
        } else if let Some(number) = self.parts.registrations.ask(registration) {
            self.fleet.register(number);
        }
    }

    /// What a device is waiting for, now that its caller's time is up.
    pub(super) fn delay_of(&self, id: &DeviceId) -> DeviceError {
        let now = self.now();
        let found = self.fleet.find(id);
        let Some((index, machine)) =
            found.and_then(|index| Some((index, self.fleet.machine(index)?)))
        else {
            return DeviceError::NotWritten;
        };
        let hub = || machine.hub().cloned();
        let delay = match machine.state() {
            State::Queued => return self.delay_in_queue(index),
            State::Provisioning => self.fleet.host(ServiceId::DPS).cloned().map(Delay::Dps),
            State::Connecting => hub().map(Delay::Hub),
            State::Waiting { why, until, .. } | State::Yielded { why, until } => {
                let last = self
                    .fleet
                    .beside(index)
                    .and_then(|it| it.last_failure.as_ref());
                return DeviceError::from(Refusal {
                    failure: remembered(why, last),
                    retry_in: Some(until.saturating_sub(now.monotonic)),
                });
            }
            State::Idle | State::Connected { .. } | State::Closing => None,
        };
        delay.map_or(DeviceError::NotWritten, DeviceError::Delayed)
    }

    fn delay_in_queue(&self, index: u32) -> DeviceError {
        let Some(service) = self.fleet.queues_at(index) else {
            return DeviceError::NotWritten;
        };
        let trouble = self.fleet.trouble_of(service);
        if let Some(failure) = trouble
            && self.fleet.stops_everybody(service)
        {
            return DeviceError::from(Refusal::from(failure.clone()));
        }
        let host = self.fleet.host(service).cloned();
        let delay = host.map(|host| Delay::Turn {
            host,
            queue: self.fleet.queue_of(service),
        });
        delay.map_or(DeviceError::NotWritten, DeviceError::Delayed)
    }
}

/// A refusal that came earlier: with all that was said, if that is still kept.
fn remembered(why: Why, last: Option<&Arc<Noted>>) -> Failure {
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

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            retry_in: None,
        }
    }
}

/// What a caller is answered whose device could not be connected. Nothing of the request was sent.
impl From<Refusal> for DeviceError {
    fn from(refusal: Refusal) -> Self {
        use FailureKind as Kind;
        let Refusal { failure, retry_in } = refusal;
        let retry_after_s = retry_in.map(seconds);
        match failure.kind {
            Kind::QueueFull if failure.code.is_none() => crate::runtime::handle::QUEUE_FULL,
            Kind::HubUnreachable => Self::HubUnreachable {
                retry_after_s: crate::limits::RETRY_AFTER_S,
                why: Some(failure.message),
            },
            Kind::ConnectionLost | Kind::Timeout | Kind::ServerError | Kind::Unknown => {
                Self::Delayed(Delay::Failing(failure))
            }
            _ => match retry_after_s {
                Some(retry_after_s) => Self::RefusedUntil {
                    failure,
                    retry_after_s,
                },
                None => Self::Refused(failure),
            },
        }
    }
}

/// Whole seconds, at least one: when it is worth asking again.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0).max(u64::from(wait.is_zero()))
}
