//! Who waits for a permit of one service, and who is next.
//!
//! Devices with a waiting caller go first, but every fourth permit goes to a device without one. In both groups, devices
//! whose credentials were refused last time ("doubtful" ones) come after the others, except for every fourth turn: a
//! thousand devices with a wrong key do not hold up one with a right one.

use std::collections::VecDeque;

use super::admission::{Position, Ticket};
use super::turns::{CallerId, Turns};
use crate::time::Jitter;

/// One permit in this many goes to a device without a waiting caller, and one turn in this many to doubtful devices.
const TURN_OF_OTHERS: u64 = 4;

/// What is known about a device's credentials from earlier answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// They were accepted once.
    pub(super) proven: bool,
    /// They were refused last time, or the hub did not know the device.
    pub(super) doubtful: bool,
    /// It goes before all others of its kind.
    pub(super) first: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    hopeful: Lines,
    doubtful: Lines,
    /// Tickets for registrations by request.
    registrations: usize,
    turns: u64,
}

/// Tickets by who waits for the device, and whether it was ever accepted.
#[derive(Debug, Default)]
struct Lines {
    asked: Turns,
    /// Registrations by request whose callers have hung up.
    forsaken: VecDeque<u64>,
    proven: VecDeque<Position>,
    unproven: VecDeque<Position>,
}

impl Queue {
    /// A ticket for a device without a waiting caller.
    pub(super) fn push(&mut self, position: Position, standing: Standing) {
        let lines = self.lines(standing.doubtful);
        let line = if standing.proven {
            &mut lines.proven
        } else {
            &mut lines.unproven
        };
        if standing.first {
            line.push_front(position);
        } else {
            line.push_back(position);
        }
    }

    /// A ticket for a registration whose caller waits no more.
    pub(super) fn push_back(&mut self, registration: u64) {
        self.registrations += 1;
        self.hopeful.forsaken.push_back(registration);
    }

    /// A ticket that a caller waits for.
    pub(super) fn push_asked(&mut self, ticket: Ticket, standing: Standing, caller: CallerId) {
        self.registrations += usize::from(matches!(ticket, Ticket::Registration(_)));
        let asked = &mut self.lines(standing.doubtful).asked;
        asked.push(caller, ticket, standing.first);
    }

    pub(super) fn len(&self) -> usize {
        self.hopeful.len() + self.doubtful.len()
    }

    /// Those for devices' attempts.
    pub(super) fn attempts(&self) -> usize {
        self.len() - self.registrations
    }

    /// Tickets for registrations by request.
    pub(super) const fn registrations(&self) -> usize {
        self.registrations
    }

    /// Takes out the oldest ticket of a caller who has more than so many devices in the queue that are not doubtful.
    pub(super) fn surplus(&mut self, most: usize) -> Option<Position> {
        self.hopeful.asked.surplus(most)
    }

    /// Whether there is a ticket of a device that is not doubtful.
    pub(super) fn is_hopeful(&self) -> bool {
        self.hopeful.len() > 0
    }

    /// Throws out tickets for attempts. Those for registrations are all wanted.
    pub(super) fn retain(&mut self, keep: impl Fn(&Position) -> bool) {
        self.hopeful.retain(&keep);
        self.doubtful.retain(&keep);
    }

    /// Whose turn it is.
    pub(super) fn next(&mut self) -> Option<Ticket> {
        self.turns += 1;
        let others_first = self.turns.is_multiple_of(TURN_OF_OTHERS);
        let doubtful_first = self.turns / TURN_OF_OTHERS % TURN_OF_OTHERS == TURN_OF_OTHERS - 1;
        let (first, second) = if doubtful_first {
            (&mut self.doubtful, &mut self.hopeful)
        } else {
            (&mut self.hopeful, &mut self.doubtful)
        };
        let next = if others_first {
            let others = first.other().or_else(|| second.other());
            others.or_else(|| first.asked.pop().or_else(|| second.asked.pop()))
        } else {
            let asked = first.asked.pop().or_else(|| second.asked.pop());
            asked.or_else(|| first.other().or_else(|| second.other()))
        };
        self.count(next)
    }

    /// The ticket whose turn it was is not used: the turn is another one's.
    pub(super) const fn pass(&mut self) {
        self.turns = self.turns.saturating_sub(1);
    }

    /// Chooses the device that finds out whether the service still refuses everybody: the one that a caller asked for last,
    /// but every fourth time one without a waiting caller, which was accepted before if there is such a one. The others that
    /// callers asked for may all be bad ones, and whoever asks again is not behind them. Doubtful ones come after the others,
    /// and each kind of them has its turn.
    pub(super) fn probe(&mut self, jitter: Jitter) -> Option<Ticket> {
        self.turns += 1;
        let hopeful = &mut self.hopeful;
        let next = if self.turns.is_multiple_of(TURN_OF_OTHERS) {
            None
        } else {
            hopeful.asked.pop_newest()
        };
        let next = next
            .or_else(|| hopeful.proven())
            .or_else(|| hopeful.any(jitter))
            .or_else(|| hopeful.asked.pop_newest())
            .or_else(|| hopeful.forsaken());
        if next.is_some() {
            return self.count(next);
        }
        let doubtful = &mut self.doubtful;
        let next = match self.turns % 4 {
            1 => doubtful.asked.pop(),
            3 => doubtful.any(jitter),
            _ => None,
        };
        let next = next
            .or_else(|| doubtful.proven())
            .or_else(|| doubtful.asked.pop())
            .or_else(|| doubtful.any(jitter));
        self.count(next)
    }

    fn count(&mut self, next: Option<Ticket>) -> Option<Ticket> {
        self.registrations -= usize::from(matches!(next, Some(Ticket::Registration(_))));
        next
    }

    const fn lines(&mut self, doubtful: bool) -> &mut Lines {
        if doubtful {
            &mut self.doubtful
        } else {
            &mut self.hopeful
        }
    }
}

impl Lines {
    fn len(&self) -> usize {
        self.asked.len() + self.forsaken.len() + self.proven.len() + self.unproven.len()
    }

    fn retain(&mut self, keep: impl Fn(&Position) -> bool) {
        self.asked.retain(|ticket| match ticket {
            Ticket::Registration(_) => true,
            Ticket::Attempt(position) => keep(position),
        });
        self.proven.retain(&keep);
        self.unproven.retain(&keep);
    }

    /// The device without a waiting caller that has been in the queue longest.
    fn other(&mut self) -> Option<Ticket> {
        let proven_first = match (self.proven.front(), self.unproven.front()) {
            (Some(proven), Some(unproven)) => proven.is_before(unproven),
            (first, _) => first.is_some(),
        };
        let line = if proven_first {
            &mut self.proven
        } else {
            &mut self.unproven
        };
        let next = line.pop_front().map(Ticket::Attempt);
        next.or_else(|| self.forsaken())
    }

    fn proven(&mut self) -> Option<Ticket> {
        self.proven.pop_front().map(Ticket::Attempt)
    }

    fn forsaken(&mut self) -> Option<Ticket> {
        self.forsaken.pop_front().map(Ticket::Registration)
    }

    /// One at random: the good ones may all stand behind the bad ones.
    fn any(&mut self, jitter: Jitter) -> Option<Ticket> {
        let index = jitter.below(self.unproven.len());
        self.unproven.swap_remove_front(index).map(Ticket::Attempt)
    }
}
