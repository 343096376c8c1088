//! The last changes of all devices, in one row.
//!
//! A listener keeps its own position. When the changes after that position have been overwritten, reading returns how many they were.

use std::collections::VecDeque;

use drawspan_hub::DeviceId;

use super::Change;
use crate::limits::FEED_CHANGES;

/// A ring of changes, which are numbered from 0.
#[derive(Debug, Default)]
pub struct Feed {
    changes: VecDeque<Entry>,
    /// The number of the next change.
    next: u64,
}

/// The change of a device, by its name here and by the one at its hub, if that is another.
type Entry = (DeviceId, Option<DeviceId>, Change);

/// A change, and its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Its number.
    pub number: u64,
    /// The device.
    pub device: DeviceId,
    /// The change.
    pub change: Change,
}

/// What a listener gets at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// Changes before the first one that were forgotten before the listener came for them, of any device.
    pub missed: u64,
    /// The next ones that it wants, oldest first.
    pub changes: Vec<Published>,
    /// Where to go on.
    pub next: u64,
}

impl Feed {
    /// Adds a change, and forgets the oldest if there are too many. `assigned`: the device's name at its hub, if that is another one.
    pub fn push(&mut self, device: DeviceId, assigned: Option<DeviceId>, change: Change) {
        if self.changes.len() >= FEED_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back((device, assigned, change));
        self.next += 1;
    }

    /// The number of the next change.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Up to `most` changes from that number on, of devices that are wanted by their name here and by that at their hub.
    pub fn read(
        &self,
        from: u64,
        most: usize,
        wants: impl Fn(&DeviceId, &DeviceId) -> bool,
    ) -> Passage {
        let oldest = self.next - self.changes.len() as u64;
        let first = from.clamp(oldest, self.next);
        let missed = first.saturating_sub(from);
        let mut passage = Passage {
            missed,
            changes: Vec::new(),
            next: self.next,
        };
        let skipped = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        for ((device, assigned, change), number) in self.changes.iter().skip(skipped).zip(first..) {
            if passage.changes.len() >= most {
                passage.next = number;
                break;
            }
            if wants(device, assigned.as_ref().unwrap_or(device)) {
                passage.changes.push(Published {
                    number,
                    device: device.clone(),
                    change: change.clone(),
                });
            }
        }
        passage
    }
}
