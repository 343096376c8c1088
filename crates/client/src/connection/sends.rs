//! Messages on their way: who waits for which outcome, until when.

use std::time::Duration;

use tokio::sync::oneshot;

use super::requests::SendFailure;

pub(crate) type Reply = oneshot::Sender<Result<(), SendFailure>>;

/// Replies by a small number that goes with the delivery and comes back with its outcome.
#[derive(Debug, Default)]
pub(crate) struct Sends {
    slots: Vec<Slot>,
    free: Vec<u32>,
    generation: u32,
}

#[derive(Debug)]
enum Slot {
    Free,
    Waiting {
        reply: Reply,
        channel: usize,
        deadline: Duration,
        generation: u32,
    },
}

impl Sends {
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Keeps `reply` until the outcome of a delivery on the session of `channel`. Returns the delivery's context.
    pub(crate) fn insert(&mut self, reply: Reply, channel: usize, deadline: Duration) -> u64 {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let slot = Slot::Waiting {
            reply,
            channel,
            deadline,
            generation,
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot::Free);
                u32::try_from(self.slots.len() - 1).unwrap_or_default()
            }
        };
        if let Some(place) = self.slots.get_mut(index as usize) {
            *place = slot;
        }
        u64::from(generation) << 32 | u64::from(index)
    }

    /// Takes the reply that waits for a delivery; none when it was answered already.
    pub(crate) fn take(&mut self, context: u64) -> Option<Reply> {
        let index = (context & u64::from(u32::MAX)) as usize;
        let wanted = context >> 32;
        match self.slots.get(index) {
            Some(Slot::Waiting { generation, .. }) if u64::from(*generation) == wanted => {
                self.free_slot(index)
            }
            _ => None,
        }
    }

    /// Answers everything for which `over` holds: sent, outcome unknown.
    pub(crate) fn give_up(&mut self, over: impl Fn(usize, Duration) -> bool) {
        for index in 0..self.slots.len() {
            let is_over = match self.slots.get(index) {
                Some(Slot::Waiting {
                    channel, deadline, ..
                }) => over(*channel, *deadline),
                _ => false,
            };
            if is_over && let Some(reply) = self.free_slot(index) {
                // Whoever asked may be gone; that changes nothing.
                let _ = reply.send(Err(SendFailure::Unsettled));
            }
        }
    }

    /// Gives memory back once nothing is on its way.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
    }

    fn free_slot(&mut self, index: usize) -> Option<Reply> {
        let slot = std::mem::replace(self.slots.get_mut(index)?, Slot::Free);
        self.free.push(u32::try_from(index).ok()?);
        match slot {
            Slot::Waiting { reply, .. } => Some(reply),
            Slot::Free => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(
        receiver: &mut oneshot::Receiver<Result<(), SendFailure>>,
    ) -> Option<Result<(), SendFailure>> {
        receiver.try_recv().ok()
    }

    #[test]
    fn an_outcome_reaches_its_sender_once_and_a_late_one_nobody() {
        let mut sends = Sends::default();
        let (reply, mut first) = oneshot::channel();
        let context = sends.insert(reply, 3, Duration::from_secs(1));
        sends.give_up(|channel, _| channel == 4);
        assert_eq!(answer(&mut first), None);
        sends.give_up(|_, deadline| deadline <= Duration::from_secs(1));
        assert_eq!(answer(&mut first), Some(Err(SendFailure::Unsettled)));

        let (reply, mut second) = oneshot::channel();
        let newer = sends.insert(reply, 3, Duration::from_secs(2));
        assert!(sends.take(context).is_none(), "the slot has a new owner");
        sends.take(newer).unwrap().send(Ok(())).unwrap();
        assert_eq!(answer(&mut second), Some(Ok(())));
        assert!(sends.is_empty());
    }
}
