//! What waits on one connection because its hub's rates have it wait.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::hub::{Hub, Room};
use crate::limits::THROTTLED_CONNECTION_BYTES_MAX;

/// Operations that wait, each until its time, within a bound of bytes. Those of the same time keep their order.
#[derive(Debug)]
pub struct Waiting<T> {
    by_time: BTreeMap<(Duration, u64), Entry<T>>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    what: T,
    bytes: usize,
    _room: Room,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            by_time: BTreeMap::new(),
            next: 0,
            bytes: 0,
        }
    }
}

impl<T> Waiting<T> {
    /// Holds an operation of so many bytes until `at`, by the hub's clock. False, and nothing is held, if too much waits.
    #[must_use]
    pub fn hold(&mut self, hub: &Hub, at: Duration, bytes: usize, what: T) -> bool {
        let Some(_room) = hub.room(bytes) else {
            return false;
        };
        // One that is alone may have any size that its protocol allows.
        let all = self.bytes.saturating_add(bytes);
        if all > THROTTLED_CONNECTION_BYTES_MAX && !self.by_time.is_empty() {
            return false;
        }
        self.bytes = all;
        let entry = Entry { what, bytes, _room };
        self.by_time.insert((at, self.next), entry);
        self.next += 1;
        true
    }

    /// Takes out the first operation, if its time is `by` or earlier.
    pub fn take_due(&mut self, by: Duration) -> Option<T> {
        let first = self.by_time.first_entry()?;
        if first.key().0 > by {
            return None;
        }
        let entry = first.remove();
        self.bytes -= entry.bytes;
        Some(entry.what)
    }

    /// When the first operation is due.
    pub fn first_at(&self) -> Option<Duration> {
        self.by_time.keys().next().map(|(at, _)| *at)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_hub::hub;

    #[test]
    fn operations_come_out_at_their_time_and_in_order() {
        let hub = hub(&[]);
        let at = Duration::from_secs;
        let mut waiting = Waiting::default();
        for (time, name) in [(2, "c"), (1, "a"), (2, "d"), (1, "b")] {
            assert!(waiting.hold(&hub, at(time), 1, name));
        }
        assert_eq!(waiting.take_due(at(0)), None);
        assert_eq!(waiting.first_at(), Some(at(1)));
        let all = std::iter::from_fn(|| waiting.take_due(at(2)));
        assert_eq!(all.collect::<String>(), "abcd");
        assert_eq!(waiting.bytes, 0);
    }

    #[test]
    fn bytes_are_bounded_on_a_connection_and_at_a_hub() {
        let hub = hub(&[]);
        let part = THROTTLED_CONNECTION_BYTES_MAX / 2;
        let mut all: Vec<Waiting<()>> = Vec::new();
        let full = loop {
            let mut waiting = Waiting::default();
            let fits = waiting.hold(&hub, Duration::ZERO, part, ())
                && waiting.hold(&hub, Duration::ZERO, part, ());
            if !fits {
                break waiting;
            }
            assert!(
                !waiting.hold(&hub, Duration::ZERO, 1, ()),
                "a full connection"
            );
            all.push(waiting);
        };
        assert_eq!(all.len() * 2 * part, crate::limits::THROTTLED_BYTES_MAX);
        drop((all.pop(), full));
        let mut waiting = Waiting::default();
        assert!(waiting.hold(&hub, Duration::ZERO, part, ()), "room again");
        assert!(waiting.take_due(Duration::ZERO).is_some());
    }
}
