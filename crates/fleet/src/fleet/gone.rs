//! Hubs that may be permanently gone. After a while, or at once on a resync, DPS is asked for one device of the hub. If DPS names
//! another hub, it is asked for the other devices as well, as fast as each one's budget and DPS's governor allow.

use std::time::Duration;

use drawspan_hub::HostName;

use super::{Context, Fleet, ServiceId};
use crate::Input;
use crate::limits::REGISTRATION_INTERVAL_MIN;
use crate::time::Now;

/// The progress with a hub that cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Gone {
    /// Nothing.
    #[default]
    Unasked,
    /// DPS is asked for this device, if there is one, and for another one at that time, or once the hub was away for long.
    Asked {
        device: Option<u32>,
        next: Option<Duration>,
    },
    /// DPS named another hub: it is asked for all, again at that time for those whose budget did not allow it.
    Moved { next: Duration },
}

impl<B: Context> Fleet<B> {
    /// Asks DPS where it is time to, and says when the next time is.
    pub(super) fn ask_for_gone_hubs(&mut self, now: Now) -> Option<Duration> {
        let mut due: Option<Duration> = None;
        for number in 1..self.services.len() {
            let Some(mut at) = self.asks_at(number, now) else {
                continue;
            };
            if at <= now.monotonic {
                at = self.ask_for_gone_hub(number, now);
            }
            due = Some(due.map_or(at, |due| due.min(at)));
        }
        due
    }

    /// A resync of a device: if its hub cannot be reached, DPS is asked first.
    pub(super) fn ask_for(&mut self, index: u32, now: Now) {
        let Some(machine) = self.machine(index) else {
            return;
        };
        let hub = machine.hub().and_then(|hub| self.known_hub(hub));
        let Some(service) = hub.and_then(|hub| self.service_mut(hub)) else {
            return;
        };
        if service.governor.hub.down_for(now.monotonic).is_none() {
            return;
        }
        if !matches!(service.gone, Gone::Moved { .. }) {
            let next = service.gone.next();
            service.gone = Gone::Asked {
                device: Some(index),
                next,
            };
        }
        self.feed(index, Input::AskDps { anyway: true }, now);
    }

    /// A device is about to queue at a hub whose devices have moved. True if it asks DPS instead.
    pub(super) fn asks_instead(&mut self, index: u32, now: Now) -> bool {
        let Some(machine) = self.machine(index) else {
            return false;
        };
        let hub = machine.hub().and_then(|hub| self.known_hub(hub));
        let service = hub.and_then(|hub| self.service(hub));
        let moved = service.is_some_and(|service| matches!(service.gone, Gone::Moved { .. }));
        if !moved || !machine.may_ask_dps(false, now) {
            return false;
        }
        self.feed(index, Input::AskDps { anyway: false }, now);
        true
    }

    /// DPS named a device's hub. Others follow if it had another one, which is gone.
    pub(super) fn note_move(&mut self, index: u32, to: &HostName, now: Now) {
        let from = self.machine(index).and_then(|machine| machine.hub());
        let Some(from) = from.filter(|from| *from != to) else {
            return;
        };
        let after = self.config.hub_gone_after;
        let hub = self.known_hub(from);
        let Some(service) = hub.and_then(|hub| self.service_mut(hub)) else {
            return;
        };
        let Some(down_for) = service.governor.hub.down_for(now.monotonic) else {
            return;
        };
        let asked = matches!(service.gone, Gone::Asked { device, .. } if device == Some(index));
        let moved = matches!(service.gone, Gone::Moved { .. });
        if !moved && (asked || down_for >= after) {
            service.gone = Gone::Moved {
                next: now.monotonic,
            };
        }
    }

    /// When DPS is to be asked about a hub; not while that can be reached.
    fn asks_at(&self, number: usize, now: Now) -> Option<Duration> {
        let service = self.services.get(number)?;
        let down_for = service.governor.hub.down_for(now.monotonic)?;
        let first = now.monotonic.saturating_sub(down_for) + self.config.hub_gone_after;
        Some(service.gone.next().unwrap_or(first))
    }

    /// Asks for one device or for all, and says when to ask again.
    fn ask_for_gone_hub(&mut self, number: usize, now: Now) -> Duration {
        let soon = now.monotonic + REGISTRATION_INTERVAL_MIN;
        let gone = self.services.get(number).map(|service| service.gone);
        if let Some(Gone::Moved { .. }) = gone {
            self.note_gone(number, Gone::Moved { next: soon });
            self.ask_for_all(number, now);
            return soon;
        }
        let device = self.one_to_ask_for(number, now);
        let next = match device {
            Some(_) => now.monotonic + self.config.hub_gone_after,
            None => soon,
        };
        let asked = Gone::Asked {
            device,
            next: Some(next),
        };
        self.note_gone(number, asked);
        if let Some(device) = device {
            self.feed(device, Input::AskDps { anyway: false }, now);
        }
        next
    }

    fn note_gone(&mut self, number: usize, gone: Gone) {
        if let Some(service) = self.services.get_mut(number) {
            service.gone = gone;
        }
    }

    fn ask_for_all(&mut self, number: usize, now: Now) {
        for index in 0..self.entries.len() as u32 {
            if self.may_ask_for(index, number, now) {
                self.feed(index, Input::AskDps { anyway: false }, now);
            }
        }
    }

    /// One with a waiting caller, else a random one.
    fn one_to_ask_for(&mut self, number: usize, now: Now) -> Option<u32> {
        let count = self.entries.len();
        let start = self.chance.draw().below(count) as u32;
        let candidates = || {
            let indexes = (start..count as u32).chain(0..start);
            indexes.filter(|index| self.may_ask_for(*index, number, now))
        };
        let is_waited_for = |index: &u32| self.context(*index).is_some_and(Context::is_waited_for);
        candidates()
            .find(is_waited_for)
            .or_else(|| candidates().next())
    }

    fn may_ask_for(&self, index: u32, number: usize, now: Now) -> bool {
        let host = self.services.get(number).map(|service| &service.host);
        let machine = self.machine(index);
        machine.is_some_and(|it| it.may_ask_dps(false, now) && it.hub() == host)
    }

    /// A device is forgotten: another one may have its index from now on.
    pub(super) fn ask_for_no_more(&mut self, index: u32) {
        for service in &mut self.services {
            if let Gone::Asked { device, .. } = &mut service.gone {
                device.take_if(|device| *device == index);
            }
        }
    }

    /// The hub answered.
    pub(super) fn is_not_gone(&mut self, hub: ServiceId) {
        if let Some(service) = self.service_mut(hub) {
            service.gone = Gone::Unasked;
        }
    }
}

impl Gone {
    const fn next(self) -> Option<Duration> {
        match self {
            Self::Unasked => None,
            Self::Asked { next, .. } => next,
            Self::Moved { next } => Some(next),
        }
    }
}
