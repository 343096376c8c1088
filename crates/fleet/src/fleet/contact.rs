//! The first contact with a service. If a hub, or DPS, has not answered for a while since the first permit, its callers are refused
//! with that reason, since the answer may never come. The attempts continue.

use std::time::Duration;

use drawspan_hub::{Failure, FailureKind, HostName};

use super::service::Service;
use super::{Action, Context, Fleet, ServiceId};
use crate::State;
use crate::limits::{FIRST_ANSWER_PATIENCE, FIRST_CONTACT_PATIENCE};
use crate::time::Now;

/// Whether a service has ever answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Contact {
    /// It was not asked yet.
    #[default]
    Untried,
    /// It was asked, and has not answered yet.
    Awaited {
        /// When the first permit was given.
        since: Duration,
    },
    /// It has not answered for [`FIRST_ANSWER_PATIENCE`], which was said.
    Overdue,
    /// It answered.
    Made,
}

impl Contact {
    /// A permit was given.
    pub(super) fn begins(&mut self, now: Duration) {
        if *self == Self::Untried {
            *self = Self::Awaited { since: now };
        }
    }

    /// Whether callers should not wait for the first answer. A service that cannot be reached has less time.
    pub(super) fn is_given_up(self, is_down: bool, now: Duration) -> bool {
        match self {
            Self::Awaited { since } => {
                is_down && now.saturating_sub(since) >= FIRST_CONTACT_PATIENCE
            }
            Self::Overdue => true,
            Self::Untried | Self::Made => false,
        }
    }

    const fn deadline(self) -> Option<Duration> {
        match self {
            Self::Awaited { since } => Some(since.saturating_add(FIRST_ANSWER_PATIENCE)),
            Self::Untried | Self::Overdue | Self::Made => None,
        }
    }
}

impl<B: Context> Fleet<B> {
    /// Refuses the callers of services whose first answer is overdue, and says when the next one will be.
    pub(super) fn give_up_first_contacts(&mut self, now: Now) -> Option<Duration> {
        for number in (0..self.services.len()).filter_map(|number| u16::try_from(number).ok()) {
            self.give_up_first_contact(ServiceId(number), now.monotonic);
        }
        let contacts = self.services.iter().map(|service| service.record.contact);
        contacts.filter_map(Contact::deadline).min()
    }

    fn give_up_first_contact(&mut self, id: ServiceId, now: Duration) {
        let is_due = |service: &&Service| {
            let deadline = service.record.contact.deadline();
            deadline.is_some_and(|at| at <= now)
        };
        let Some(service) = self.service(id).filter(is_due) else {
            return;
        };
        // Why it cannot be reached is known, and was said.
        let is_down = service.governor.hub.down_for(now).is_some();
        let contact = match id {
            // A registration goes on even if nothing wants its device any more.
            ServiceId::DPS => Contact::Overdue,
            _ if is_down => Contact::Overdue,
            _ => self.contact_by_attempts(id, now),
        };
        let Some(service) = self.service_mut(id) else {
            return;
        };
        service.record.contact = contact;
        if contact != Contact::Overdue {
            return;
        }
        if !is_down {
            let news = service.record.silent(&no_answer(&service.host));
            self.announce(id, [news, None]);
        }
        self.actions.push_back(Action::TurnAway(id));
    }

    /// How a hub's first contact stands by the attempts that are under way: earlier ones may have been given up on this side.
    fn contact_by_attempts(&self, hub: ServiceId, now: Duration) -> Contact {
        let entries = self.entries.iter().flatten();
        let opening = entries.filter(|entry| entry.machine.state() == State::Connecting);
        let attempts = opening.filter_map(|entry| entry.attempt);
        let oldest = attempts.filter(|attempt| attempt.hub == hub);
        match oldest.map(|attempt| attempt.since).min() {
            None => Contact::Untried,
            Some(since) if now.saturating_sub(since) < FIRST_ANSWER_PATIENCE => {
                Contact::Awaited { since }
            }
            Some(_) => Contact::Overdue,
        }
    }
}

fn no_answer(host: &HostName) -> Failure {
    let text = format!(
        "no answer from {host} for {} s: it takes connections and says nothing, or the way there (name look-up, proxy) hangs",
        FIRST_ANSWER_PATIENCE.as_secs()
    );
    Failure::local(FailureKind::HubUnreachable, &text)
}
