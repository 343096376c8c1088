//! Hubs whose daily quota is used up. Their devices wait for the next day. One device at a time tries earlier, less and less often,
//! in case units were added; when one is accepted, all others try again.
//!
//! Devices that are connected stay connected when their messages are refused for the quota. [`SendQuota`](crate::SendQuota)
//! decides, outside the fleet, which messages are sent then; an accepted message brings back the devices as well. A device that
//! connects proves nothing about messages.

use std::time::Duration;

use drawspan_hub::{Failure, FailureKind, HostName};

use super::{Context, Fleet, News, ServiceId};
use crate::limits::{QUOTA_PROBE_MAX, QUOTA_PROBE_MIN, QUOTA_PROBE_TIME};
use crate::time::{Now, seconds_to_midnight};
use crate::{Device, Input, State};

/// When a device of a hub tries before the day is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Quota {
    /// Not known to be used up.
    #[default]
    Lasts,
    /// It is used up.
    Exceeded {
        /// When the next device tries.
        probe_at: Duration,
        /// How long until the one after that.
        wait: Duration,
    },
    /// A device was accepted again.
    Restored {
        /// When.
        at: Duration,
        /// The next wait, should the quota be used up again soon.
        wait: Duration,
    },
}

impl Quota {
    /// The hub refused a device for its quota.
    pub(crate) fn exceeded(&mut self, now: Duration) {
        let wait = match *self {
            Self::Exceeded { .. } => return,
            Self::Restored { at, wait } if now.saturating_sub(at) < QUOTA_PROBE_MAX => wait,
            Self::Restored { .. } | Self::Lasts => QUOTA_PROBE_MIN,
        };
        *self = Self::Exceeded {
            probe_at: now + wait,
            wait: longer(wait),
        };
    }

    /// The hub took a device. True if the quota was used up.
    pub(crate) fn accepted(&mut self, now: Duration) -> bool {
        let Self::Exceeded { wait, .. } = *self else {
            return false;
        };
        // The one that the next device was to wait, had this one been refused.
        *self = Self::Restored {
            at: now,
            wait: wait / 2,
        };
        true
    }

    /// Whether a device shall try now, which is assumed to be refused.
    fn is_due(&mut self, now: Duration) -> bool {
        let Self::Exceeded { probe_at, wait } = self else {
            return false;
        };
        if *probe_at > now {
            return false;
        }
        (*probe_at, *wait) = (now + *wait, longer(*wait));
        true
    }

    /// Whether a message may be sent that is not expected to be refused; the next one follows after `lasts` if there is no answer.
    pub(crate) fn lets_one_go(&mut self, now: Duration, lasts: Duration) -> bool {
        match self {
            Self::Exceeded { probe_at, .. } if *probe_at <= now => {
                *probe_at = now + lasts;
                true
            }
            _ => false,
        }
    }

    /// A probe's message was refused.
    pub(crate) fn probe_failed(&mut self, now: Duration) {
        match self {
            Self::Exceeded { probe_at, wait } => {
                (*probe_at, *wait) = (now + *wait, longer(*wait));
            }
            Self::Lasts | Self::Restored { .. } => self.exceeded(now),
        }
    }

    /// The next one goes by then.
    pub(crate) fn probes_before(&mut self, at: Duration) {
        if let Self::Exceeded { probe_at, .. } = self {
            *probe_at = at.min(*probe_at);
        }
    }

    pub(crate) const fn probe_at(self) -> Option<Duration> {
        match self {
            Self::Exceeded { probe_at, .. } => Some(probe_at),
            Self::Lasts | Self::Restored { .. } => None,
        }
    }
}

fn longer(wait: Duration) -> Duration {
    (wait * 2).min(QUOTA_PROBE_MAX)
}

impl<B: Context> Fleet<B> {
    /// When a device that waits for its hub's quota should ask again: after the next probe, of any device.
    #[must_use]
    pub fn after_quota_probe(&self, device: u32) -> Option<Duration> {
        let machine = self.machine(device).filter(|it| waits_for_quota(it))?;
        let hub = self.service(self.known_hub(machine.hub()?)?)?;
        Some(hub.quota.probe_at()?.saturating_add(QUOTA_PROBE_TIME))
    }

    /// A hub refused a connected device's message for its quota; `None`: it accepted one again.
    pub fn message_quota(&mut self, hub: ServiceId, refused: Option<&Failure>, now: Now) {
        let Some(service) = self.service_mut(hub) else {
            return;
        };
        match refused {
            Some(failure) => {
                service.record.keep(failure);
                let day = Duration::from_secs(seconds_to_midnight(now.unix_s));
                service.refuses_messages_until = Some(now.monotonic + day);
                self.tell_quota(hub);
            }
            None => {
                service.refuses_messages_until = None;
                self.quota_restored(hub, now);
            }
        }
    }

    pub(super) fn quota_exceeded(&mut self, hub: ServiceId, failure: &Failure, now: Duration) {
        if let Some(service) = self.service_mut(hub) {
            service.quota.exceeded(now);
            service.record.keep(failure);
            self.tell_quota(hub);
        }
    }

    /// Reports when a hub's quota is used up, and when it is available again.
    fn tell_quota(&mut self, hub: ServiceId) {
        let Some(service) = self.service_mut(hub).filter(|_| hub != ServiceId::DPS) else {
            return;
        };
        let is_over =
            service.quota.probe_at().is_some() || service.refuses_messages_until.is_some();
        if std::mem::replace(&mut service.told_over_quota, is_over) != is_over {
            let news = match is_over {
                true => News::QuotaExceeded,
                false => News::QuotaRestored,
            };
            self.announce(hub, [Some(news), None]);
        }
    }

    /// A hub took a device, or a message. If its quota was used up, all that wait for it try again.
    pub(super) fn quota_restored(&mut self, hub: ServiceId, now: Now) {
        let Some(service) = self.service_mut(hub) else {
            return;
        };
        let was_exceeded = service.quota.accepted(now.monotonic);
        self.tell_quota(hub);
        let Some(service) = self.service_mut(hub).filter(|_| was_exceeded) else {
            return;
        };
        let host = service.host.clone();
        let indexes = 0..self.entries.len() as u32;
        for index in indexes {
            if self.waits_for_quota(index, &host) {
                self.feed(index, Input::TryAgain, now);
            }
        }
    }

    /// Lets one device try at each hub whose time has come, and says when the next one is due.
    pub(super) fn probe_quotas(&mut self, now: Now) -> Option<Duration> {
        for number in 1..self.services.len() {
            let Some(service) = self.services.get_mut(number) else {
                continue;
            };
            let day_is_over = |until: &mut Duration| *until <= now.monotonic;
            if service
                .refuses_messages_until
                .take_if(day_is_over)
                .is_some()
            {
                self.tell_quota(ServiceId(number as u16));
            }
            let Some(service) = self.services.get_mut(number) else {
                continue;
            };
            if !service.quota.is_due(now.monotonic) {
                continue;
            }
            let host = service.host.clone();
            match self.one_that_waits_for_quota(&host) {
                Some(index) => self.feed(index, Input::TryAgain, now),
                None => {
                    if let Some(service) = self.services.get_mut(number) {
                        service.quota = Quota::Lasts;
                    }
                    self.tell_quota(ServiceId(number as u16));
                }
            }
        }
        let dues = self.services.iter().flat_map(|service| {
            let probe = service.quota.probe_at();
            [probe, service.refuses_messages_until]
        });
        dues.flatten().min()
    }

    /// A random one, so that it differs each time.
    fn one_that_waits_for_quota(&mut self, host: &HostName) -> Option<u32> {
        let count = self.entries.len();
        let start = self.chance.draw().below(count) as u32;
        let mut indexes = (start..count as u32).chain(0..start);
        indexes.find(|index| self.waits_for_quota(*index, host))
    }

    fn waits_for_quota(&self, index: u32, host: &HostName) -> bool {
        let machine = self.machine(index);
        machine.is_some_and(|it| waits_for_quota(it) && it.hub() == Some(host))
    }
}

fn waits_for_quota(device: &Device) -> bool {
    matches!(device.state(), State::Waiting { why, .. } if why.kind == FailureKind::QuotaExceeded)
}
