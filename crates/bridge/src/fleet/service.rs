//! A hub, or DPS: its governor and who queues for its permits.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_hub::{Failure, HostName};

use super::record::Record;
use super::tickets::Ticket;
use crate::governor::{Governor, Pace};
use crate::limits::FIRST_CONTACT_PATIENCE;

/// Every so many permits one goes to a device that nobody waits for.
const TURN_OF_OTHERS: u64 = 4;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) host: HostName,
    pub(super) governor: Governor,
    pub(super) record: Record,
    /// Those that a caller waits for, in turn.
    asked: VecDeque<Ticket>,
    /// The others, in turn.
    others: VecDeque<Ticket>,
    /// Those of both that are for registrations by request.
    registrations: usize,
    permits: u64,
    /// When the first permit was given.
    first_permit: Option<Duration>,
}

impl Service {
    pub(super) fn new(host: HostName, pace: Pace) -> Self {
        Self {
            host,
            governor: Governor::new(pace),
            record: Record::default(),
            asked: VecDeque::new(),
            others: VecDeque::new(),
            registrations: 0,
            permits: 0,
            first_permit: None,
        }
    }

    pub(super) fn push(&mut self, ticket: Ticket, waited_for: bool) {
        let queue = if waited_for {
            &mut self.asked
        } else {
            &mut self.others
        };
        queue.push_back(ticket);
        self.registrations += usize::from(matches!(ticket, Ticket::Registration(_)));
    }

    pub(super) fn len(&self) -> usize {
        self.asked.len() + self.others.len()
    }

    /// Those for devices' attempts.
    pub(super) fn attempts(&self) -> usize {
        self.len() - self.registrations
    }

    /// Throws out tickets for attempts. Those for registrations are all wanted.
    pub(super) fn retain(&mut self, keep: impl Fn(&Ticket) -> bool) {
        self.asked.retain(&keep);
        self.others.retain(&keep);
    }

    /// Whether it could not be reached since the start, though it was tried for a while.
    pub(super) fn never_reached(&self, now: Duration) -> bool {
        let is_down = self.governor.hub.down_for(now).is_some();
        let tried_for = |first| now.saturating_sub(first) >= FIRST_CONTACT_PATIENCE;
        is_down && !self.record.reached && self.first_permit.is_some_and(tried_for)
    }

    /// What went wrong with it, if only a probe gets a permit now and a caller should not wait for that.
    pub(super) fn refusal(&self, now: Duration) -> Option<&Failure> {
        let refuses = self.governor.breaker.check(now).is_err() || self.never_reached(now);
        self.record.last().filter(|_| refuses)
    }

    /// Who is next; `Err` says when to ask again, `None` that nobody waits.
    pub(super) fn next(&mut self, now: Duration) -> Result<Option<Ticket>, Duration> {
        if self.len() == 0 {
            return Ok(None);
        }
        self.governor.take(now)?;
        self.permits += 1;
        self.first_permit.get_or_insert(now);
        let (first, second) = if self.permits.is_multiple_of(TURN_OF_OTHERS) {
            (&mut self.others, &mut self.asked)
        } else {
            (&mut self.asked, &mut self.others)
        };
        let next = first.pop_front().or_else(|| second.pop_front());
        self.registrations -= usize::from(matches!(next, Some(Ticket::Registration(_))));
        Ok(next)
    }
}
