//! Requests that wait for their turn at a hub, so that a device that sends much waits for itself only.
//!
//! Requests of devices that send no more than their share go first. The others go in turns that go round devices: one that has many
//! waiting gets as many turns as one that has few.

use std::collections::{HashMap, VecDeque};

use crate::limits::QUEUED_PER_DEVICE;

/// A queue of requests `T` of devices, each known by a number.
#[derive(Debug)]
pub struct FairQueue<T> {
    /// Within their device's share, in order.
    first: VecDeque<T>,
    /// The devices whose requests wait, in the order of their turns.
    turns: VecDeque<u32>,
    /// The requests of each, in order.
    of_device: HashMap<u32, VecDeque<T>>,
    waiting: usize,
    most: usize,
}

/// A request for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    /// How many requests go before there is room for it.
    pub turns: usize,
}

impl<T> FairQueue<T> {
    /// With room for so many requests.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            first: VecDeque::new(),
            turns: VecDeque::new(),
            of_device: HashMap::new(),
            waiting: 0,
            most,
        }
    }

    /// Requests that wait; some may have given up.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.waiting
    }

    /// Whether no request waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether the next request is within its device's share.
    #[must_use]
    pub fn next_is_first(&self) -> bool {
        !self.first.is_empty()
    }

    /// Adds a request of a device.
    ///
    /// # Errors
    /// `NoRoom` if the device, or all devices, have as many requests waiting as they may.
    pub fn push(&mut self, device: u32, is_within_share: bool, request: T) -> Result<(), NoRoom> {
        if self.waiting >= self.most {
            return Err(NoRoom { turns: 1 });
        }
        if is_within_share {
            self.first.push_back(request);
            self.waiting += 1;
            return Ok(());
        }
        let own = self.of_device.entry(device).or_default();
        if own.len() >= QUEUED_PER_DEVICE {
            // One of its own goes once each device has had a turn.
            let turns = self.first.len() + self.turns.len();
            return Err(NoRoom { turns });
        }
        if own.is_empty() {
            self.turns.push_back(device);
        }
        own.push_back(request);
        self.waiting += 1;
        Ok(())
    }

    /// Takes the next request. One that has given up is left out, and takes no turn.
    pub fn pop(&mut self, has_given_up: impl Fn(&T) -> bool) -> Option<T> {
        while let Some(request) = self.first.pop_front() {
            self.waiting -= 1;
            if !has_given_up(&request) {
                return Some(request);
            }
        }
        while let Some(device) = self.turns.pop_front() {
            let Some(own) = self.of_device.get_mut(&device) else {
                continue;
            };
            let mut taken = None;
            while let Some(request) = own.pop_front() {
                self.waiting -= 1;
                if !has_given_up(&request) {
                    taken = Some(request);
                    break;
                }
            }
            match own.is_empty() {
                true => _ = self.of_device.remove(&device),
                false => self.turns.push_back(device),
            }
            if taken.is_some() {
                return taken;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop(|request| request.starts_with('x'))).collect()
    }

    #[test]
    fn devices_take_turns_and_each_keeps_its_order() {
        let mut queue = FairQueue::new(100);
        for request in ["a1", "a2", "a3", "a4"] {
            queue.push(1, false, request).unwrap();
        }
        for request in ["b1", "b2"] {
            queue.push(2, false, request).unwrap();
        }
        queue.push(3, true, "c1").unwrap();
        assert!(queue.next_is_first());
        assert_eq!(queue.len(), 7);
        assert_eq!(all(&mut queue), ["c1", "a1", "b1", "a2", "b2", "a3", "a4"]);
        assert!(queue.is_empty() && queue.of_device.is_empty());
    }

    #[test]
    fn those_who_gave_up_take_no_turn() {
        let mut queue = FairQueue::new(100);
        for (device, request) in [(1, "x1"), (1, "a2"), (2, "x3"), (3, "c4")] {
            queue.push(device, false, request).unwrap();
        }
        queue.push(4, true, "x5").unwrap();
        assert_eq!(all(&mut queue), ["a2", "c4"]);
        assert_eq!(queue.len(), 0);
        queue.push(1, false, "x").unwrap();
        assert_eq!(all(&mut queue), [""; 0]);
    }

    #[test]
    fn a_device_has_so_many_places_and_all_together_so_many() {
        let mut queue = FairQueue::new(QUEUED_PER_DEVICE + 2);
        queue.push(9, false, "i").unwrap();
        for _ in 0..QUEUED_PER_DEVICE {
            queue.push(1, false, "a").unwrap();
        }
        assert_eq!(queue.push(1, false, "a"), Err(NoRoom { turns: 2 }));
        queue.push(2, false, "b").unwrap();
        assert_eq!(queue.push(3, true, "c"), Err(NoRoom { turns: 1 }));
        assert_eq!(all(&mut queue).len(), QUEUED_PER_DEVICE + 2);
    }
}
