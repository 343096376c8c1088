//! Messages in flight: who waits for which outcome, until when.

use std::time::Duration;

use super::reply::Reply;

/// Replies by a small number that goes with the delivery and comes back with its outcome.
#[derive(Debug, Default)]
pub(crate) struct PendingSends {
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

impl PendingSends {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// Keeps `reply` until the outcome of a delivery on the session of `channel`. Returns the delivery's context.
    pub(crate) fn insert(&mut self, reply: Reply, channel: usize, deadline: Duration) -> u64 {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let slot = Slot::Waiting {
            reply: reply.sent(),
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
        context(generation, index as usize)
    }

    /// Takes the reply that waits for a delivery; `None` if it was answered already.
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

    /// The deliveries for which `over` holds, by their contexts and channels.
    pub(crate) fn over(&self, over: impl Fn(usize, Duration) -> bool) -> Vec<(u64, usize)> {
        let slots = self.slots.iter().enumerate();
        let found = slots.filter_map(|(index, slot)| match slot {
            Slot::Waiting {
                channel,
                deadline,
                generation,
                ..
            } if over(*channel, *deadline) => Some((context(*generation, index), *channel)),
            _ => None,
        });
        found.collect()
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

fn context(generation: u32, index: usize) -> u64 {
    u64::from(generation) << 32 | index as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::SendFailure;

    #[test]
    fn an_outcome_reaches_its_sender_once_and_a_late_one_nobody() {
        let mut sends = PendingSends::default();
        let (reply, mut first) = Reply::new(None);
        let context = sends.insert(reply, 3, Duration::from_secs(1));
        assert_eq!(sends.over(|channel, _| channel == 4), []);
        let late = sends.over(|_, deadline| deadline <= Duration::from_secs(1));
        assert_eq!(late, [(context, 3)]);
        sends
            .take(context)
            .unwrap()
            .send(Err(SendFailure::FateUnknown));
        assert_eq!(first.try_recv(), Ok(Err(SendFailure::FateUnknown)));

        let (reply, mut second) = Reply::new(None);
        let newer = sends.insert(reply, 3, Duration::from_secs(2));
        assert!(sends.take(context).is_none(), "the slot has a new owner");
        sends.take(newer).unwrap().send(Ok(()));
        assert_eq!(second.try_recv(), Ok(Ok(())));
        assert!(sends.is_empty());
    }
}
