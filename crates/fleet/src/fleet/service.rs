//! A hub, or DPS: its governor and who queues for its permits.

use std::time::Duration;

use drawspan_hub::{Failure, HostName};

use super::admission::Ticket;
use super::gone::Gone;
use super::queue::Queue;
use super::quota::Quota;
use super::record::Record;
use crate::credential_breaker::Probe;
use crate::credential_scope::CredentialScope;
use crate::governor::{Governor, Pace};
use crate::mutation::{Mutation, planted};
use crate::time::Jitter;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) host: HostName,
    pub(super) governor: Governor,
    pub(super) record: Record,
    pub(super) queue: Queue,
    pub(super) quota: Quota,
    /// Messages of connected devices were refused for the quota: until the end of that day, or until one is accepted.
    pub(super) refuses_messages_until: Option<Duration>,
    /// Whether it was told that its quota is used up.
    pub(super) told_over_quota: bool,
    pub(super) gone: Gone,
    /// Stale tickets are thrown out when there are more tickets for attempts than this.
    pub(super) most_attempts: usize,
    /// Devices that are connected to it; for DPS, those that found their hub through it and are connected there.
    pub(super) connected: usize,
    credentials: CredentialScope,
}

impl Service {
    pub(super) fn new(host: HostName, pace: Pace, credentials: CredentialScope) -> Self {
        Self {
            host,
            governor: Governor::new(pace),
            record: Record::default(),
            queue: Queue::default(),
            quota: Quota::default(),
            refuses_messages_until: None,
            told_over_quota: false,
            gone: Gone::default(),
            most_attempts: 0,
            connected: 0,
            credentials,
        }
    }

    /// Whether it has not answered since the start, though it was tried for a while.
    pub(super) fn never_reached(&self, now: Duration) -> bool {
        let is_down = self.governor.hub.down_for(now).is_some();
        self.record.contact.is_given_up(is_down, now)
    }

    /// How long a device that was refused waits, because only probes get permits. One that has `another_way` is a probe like those
    /// that were not refused.
    pub(super) fn stands_back(&self, another_way: bool, now: Duration) -> Option<Duration> {
        let probe = match another_way {
            true => Probe::Untried,
            false => Probe::Refused,
        };
        self.governor.breaker.check(now, probe).err()
    }

    /// What the next attempt is, if it refuses everyone.
    pub(super) fn next_probe(&self) -> Probe {
        match (self.queue.is_hopeful(), self.refuses_shared()) {
            (false, _) => Probe::Refused,
            (true, true) => Probe::Shared,
            (true, false) => Probe::Untried,
        }
    }

    /// Whether it refuses everyone for what all devices share, so that none has to be tried to know what it would be told.
    pub(super) fn refuses_shared(&self) -> bool {
        self.governor.breaker.is_open() && self.credentials.concerns_all()
    }

    /// What went wrong with it, if callers should not wait for an answer.
    pub(super) fn refusal(&self, now: Duration) -> Option<&Failure> {
        let waits_in_vain = self.never_reached(now) || self.refuses_shared();
        self.record.last().filter(|_| waits_in_vain)
    }

    /// Who is next; `Err` says when to ask again, `None` that nobody waits.
    pub(super) fn next(
        &mut self,
        now: Duration,
        jitter: Jitter,
    ) -> Result<Option<Ticket>, Duration> {
        if self.queue.len() == 0 {
            return Ok(None);
        }
        self.governor.take(self.next_probe(), now)?;
        Ok(if self.governor.breaker.is_open() {
            self.queue.probe(jitter)
        } else {
            self.queue.next()
        })
    }

    /// The hub, or DPS, refused a device's credentials. True if it is thought to refuse everyone from now on.
    pub(super) fn refused(&mut self, device: u32, now: Duration) -> bool {
        let enough = self.credentials.devices_to_doubt();
        let connected = self.has_connected();
        let breaker = &mut self.governor.breaker;
        breaker.refused(device.into(), connected, enough, now)
    }

    /// When it is known whether devices that were refused soon after another one was accepted are refused with everyone.
    pub(super) fn refuses_everyone_from(&self) -> Option<Duration> {
        let enough = self.credentials.devices_to_doubt();
        self.governor.breaker.opens_at(enough)
    }

    /// The same, once that time has come. True if it is thought to refuse everyone from now on.
    pub(super) fn refuses_everyone_by(&mut self, now: Duration) -> bool {
        let is_due = self.refuses_everyone_from().is_some_and(|at| at <= now);
        let connected = self.has_connected();
        is_due && self.governor.breaker.open(connected, now)
    }

    fn has_connected(&self) -> bool {
        self.connected > 0 && !planted(Mutation::BreakerBlind)
    }
}
