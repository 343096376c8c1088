//! Limits on what may be in progress on a connection: permits of several kinds, of which every device has a share.
//!
//! A permit is taken when a request is made, before the connection's task gets it, and returned with the answer. So the queue to
//! the task is bounded, commands that open and close devices always find room in it, and no device fills it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use crate::limits;

/// Permits of all kinds on one connection.
#[derive(Debug)]
pub(super) struct Room {
    /// Messages and twin requests.
    pub(super) sends: Arc<Permits>,
    /// Outcomes of cloud-to-device messages, and answers to methods.
    pub(super) outcomes: Arc<Permits>,
    /// Changes of what a device receives.
    pub(super) wants: Arc<Permits>,
    /// Requests for a cloud-to-device message.
    pub(super) pulls: Arc<Permits>,
}

/// Permits of one kind.
#[derive(Debug)]
pub(super) struct Permits {
    taken: AtomicUsize,
    /// By the channel of the device's session. Devices whose channels are [`CHANNELS`] apart share one entry; that takes more
    /// channels than the hub's limit of tokens allows, except where many sessions are ending.
    of_device: Box<[AtomicU16]>,
    /// A device may have so many in any case, …
    guaranteed: u16,
    /// … and so many while fewer than `common` are taken in all.
    most: u16,
    common: usize,
}

/// A permit. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    permits: Arc<Permits>,
    channel: u16,
}

/// As many as one connection has devices, rounded up.
const CHANNELS: usize = limits::DEVICES_PER_CONNECTION.next_power_of_two();

impl Default for Room {
    fn default() -> Self {
        let few = |count: usize| {
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            Permits::new(count, count, 0)
        };
        let most = u16::try_from(limits::SENDS_PER_DEVICE).unwrap_or(u16::MAX);
        let guaranteed = u16::try_from(limits::SENDS_GUARANTEED).unwrap_or(u16::MAX);
        Self {
            sends: Permits::new(guaranteed, most, limits::SENDS_IN_COMMON),
            outcomes: few(limits::OUTCOMES_PER_DEVICE),
            wants: few(limits::WANTS_PER_DEVICE),
            pulls: few(1),
        }
    }
}

impl Room {
    /// The capacity of the queue of commands to a connection's task.
    pub(super) const QUEUE: usize = limits::SENDS_IN_COMMON
        + CHANNELS
            * (limits::SENDS_GUARANTEED
                + limits::OUTCOMES_PER_DEVICE
                + limits::WANTS_PER_DEVICE
                + 1)
        + limits::CONTROL_PER_CONNECTION;
}

impl Permits {
    fn new(guaranteed: u16, most: u16, common: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicUsize::new(0),
            of_device: (0..CHANNELS).map(|_| AtomicU16::new(0)).collect(),
            guaranteed,
            most,
            common,
        })
    }

    /// A permit for the device on `channel`, if it may have one more.
    pub(super) fn take(self: &Arc<Self>, channel: usize) -> Option<Permit> {
        let channel = channel % CHANNELS;
        let own = self.of_device.get(channel)?.fetch_add(1, Ordering::Relaxed);
        let all = self.taken.fetch_add(1, Ordering::Relaxed);
        let permit = Permit {
            permits: Arc::clone(self),
            channel: u16::try_from(channel).unwrap_or_default(),
        };
        let allowed = own < self.guaranteed || (own < self.most && all < self.common);
        allowed.then_some(permit)
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.taken.fetch_sub(1, Ordering::Relaxed);
        if let Some(own) = self.permits.of_device.get(usize::from(self.channel)) {
            own.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(permits: &Arc<Permits>, channel: usize) -> Vec<Permit> {
        std::iter::repeat_with(|| permits.take(channel))
            .map_while(|permit| permit)
            .collect()
    }

    #[test]
    fn a_device_has_its_share_while_there_is_room_and_a_few_places_in_any_case() {
        let permits = Permits::new(2, 10, 25);
        let counts: Vec<_> = (0..5).map(|channel| take_all(&permits, channel)).collect();
        let lens: Vec<_> = counts.iter().map(Vec::len).collect();
        assert_eq!(lens, [10, 10, 5, 2, 2]);
        drop(counts);
        assert_eq!(permits.taken(), 0);
        assert_eq!(take_all(&permits, 4).len(), 10);
    }

    #[test]
    fn what_is_refused_takes_no_place() {
        let permits = Permits::new(1, 1, 0);
        let permit = permits.take(7);
        assert!(permit.is_some());
        for _ in 0..100_000 {
            assert!(permits.take(7).is_none());
        }
        drop(permit);
        assert!(permits.take(7 + CHANNELS).is_some());
    }
}
