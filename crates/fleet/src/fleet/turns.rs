//! Turns that rotate among callers.

use std::collections::{HashMap, VecDeque};

use super::admission::{Position, Ticket};

/// The requester, for instance the holder of an API key. Permits are divided evenly among callers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallerId(pub u32);

/// A set of callers, by the last five bits of their numbers. Two callers that share these count as one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Callers(u32);

impl Callers {
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// False if the caller was in the set already.
    pub(super) const fn insert(&mut self, caller: CallerId) -> bool {
        let before = self.0;
        self.0 |= 1 << (caller.0 % u32::BITS);
        self.0 != before
    }
}

/// A queue of tickets for each caller, of which one after the other has its turn. A caller's queue exists only while
/// something is in it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queues: HashMap<CallerId, VecDeque<Ticket>>,
    /// Callers with a queue.
    turns: VecDeque<CallerId>,
    len: usize,
}

impl Turns {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a ticket at the end of a caller's queue, or before its others.
    pub(super) fn push(&mut self, caller: CallerId, ticket: Ticket, first: bool) {
        let queue = self.queues.entry(caller).or_default();
        if queue.is_empty() {
            self.turns.push_back(caller);
        }
        if first {
            queue.push_front(ticket);
        } else {
            queue.push_back(ticket);
        }
        self.len += 1;
    }

    pub(super) fn pop(&mut self) -> Option<Ticket> {
        self.take(VecDeque::pop_front)
    }

    /// The last ticket of the caller whose turn it is.
    pub(super) fn pop_newest(&mut self) -> Option<Ticket> {
        self.take(VecDeque::pop_back)
    }

    /// The oldest ticket for an attempt of a caller who has more than so many tickets.
    pub(super) fn surplus(&mut self, most: usize) -> Option<Position> {
        if self.len <= most {
            return None;
        }
        let mut queues = self.queues.values_mut().filter(|queue| queue.len() > most);
        let (queue, at, position) = queues.find_map(|queue| {
            let mut attempts = queue.iter().enumerate();
            let (at, position) = attempts.find_map(|(at, ticket)| match ticket {
                Ticket::Attempt(position) => Some((at, *position)),
                Ticket::Registration(_) => None,
            })?;
            Some((queue, at, position))
        })?;
        queue.remove(at);
        self.len -= 1;
        Some(position)
    }

    fn take(&mut self, pop: impl Fn(&mut VecDeque<Ticket>) -> Option<Ticket>) -> Option<Ticket> {
        let caller = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&caller)?;
        let ticket = pop(queue);
        if queue.is_empty() {
            self.queues.remove(&caller);
        } else {
            self.turns.push_back(caller);
        }
        self.len = self.len.saturating_sub(usize::from(ticket.is_some()));
        ticket
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Ticket) -> bool) {
        self.queues.retain(|_, queue| {
            queue.retain(&keep);
            !queue.is_empty()
        });
        self.turns.retain(|caller| self.queues.contains_key(caller));
        self.len = self.queues.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: CallerId = CallerId(1);
    const B: CallerId = CallerId(2);

    #[test]
    fn turns_go_round_and_nothing_stays_of_a_caller_that_waits_no_more() {
        let mut turns = Turns::default();
        for number in 0..500 {
            turns.push(A, Ticket::Registration(number), false);
        }
        turns.push(B, Ticket::Registration(1_000), false);
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).take(3).collect();
        let expected = [0, 1_000, 1].map(Ticket::Registration);
        assert_eq!(order, expected);
        assert_eq!((turns.len(), turns.queues.len()), (498, 1));
        turns.retain(|ticket| *ticket == Ticket::Registration(499));
        assert_eq!((turns.len(), turns.queues.len()), (1, 1));
        assert_eq!(turns.pop(), Some(Ticket::Registration(499)));
        assert_eq!(turns.pop(), None);
        assert!(turns.queues.is_empty() && turns.turns.is_empty());
    }

    #[test]
    fn a_caller_is_in_a_set_once() {
        let mut callers = Callers::default();
        assert!(callers.is_empty());
        assert!(callers.insert(A));
        assert!(!callers.insert(A));
        assert!(callers.insert(B));
        assert!(!callers.is_empty());
    }
}
