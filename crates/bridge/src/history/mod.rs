//! The last changes of devices' connections, for those who ask why a device comes and goes.
//!
//! [`History`] has the last changes of each device that changed lately. Its bytes are bounded: the device whose last change is longest ago
//! is forgotten first, with all its changes, so that a device that changes often pushes out nothing but its own. [`Feed`] has the last
//! changes of all devices in one row, for listeners that follow them.

mod detail;
mod feed;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use drawspan_hub::{ConnectionCause, ConnectionStatus, ConnectionStatusReason, DeviceId, UtcTime};

use crate::limits::{HISTORY_BYTES, HISTORY_CHANGES, HISTORY_DEVICE_BYTES};

pub(crate) use detail::detail_of;
pub use feed::{Feed, Passage, Published};

/// A change of a device's connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When.
    pub at: UtcTime,
    /// The public status from then on.
    pub status: ConnectionStatus,
    /// Its public reason.
    pub reason: ConnectionStatusReason,
    /// Why it changed; `None` if the device is connected and nothing is wrong.
    pub cause: Option<ConnectionCause>,
    /// Who caused it and by what, in one line; of a device that is connected, its hub. Without a secret, a token, a payload or a
    /// callback URL.
    pub detail: Option<Arc<str>>,
    /// How long the session lasted that ended by this change, if one did.
    pub session: Option<Duration>,
}

/// The last changes of the devices that changed lately.
#[derive(Debug, Default)]
pub struct History {
    devices: HashMap<DeviceId, Record>,
    /// Devices by the number of their last change.
    order: BTreeMap<u64, DeviceId>,
    next: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Record {
    /// The number of the last change.
    last: u64,
    /// Oldest first.
    changes: Vec<Change>,
}

impl Change {
    /// Whether the device is connected, and nothing is wrong.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.status == ConnectionStatus::Connected && self.cause.is_none()
    }
}

impl History {
    /// Keeps a change, and forgets what there is no room for any more. That a device connects which has no history is not kept: it would
    /// cost memory for each quiet device, and the device's state says it.
    pub fn record(&mut self, device: &DeviceId, change: Change) {
        if change.is_fine() && !self.devices.contains_key(device) {
            return;
        }
        let number = self.next;
        self.next += 1;
        let record = match self.devices.get_mut(device) {
            Some(record) => {
                self.order.remove(&record.last);
                self.bytes -= record.bytes();
                record
            }
            None => self.devices.entry(device.clone()).or_insert(Record {
                last: number,
                changes: Vec::new(),
            }),
        };
        record.last = number;
        record.push(change);
        self.bytes += record.bytes();
        self.order.insert(number, device.clone());
        while self.bytes > HISTORY_BYTES {
            let Some((_, device)) = self.order.pop_first() else {
                return;
            };
            let record = self.devices.remove(&device);
            self.bytes -= record.map_or(0, |record| record.bytes());
        }
    }

    /// The changes of a device, the newest first.
    pub fn of(&self, device: &DeviceId) -> impl Iterator<Item = &Change> {
        let record = self.devices.get(device);
        record.into_iter().flat_map(|it| it.changes.iter().rev())
    }

    /// The bytes that it takes, at most; see [`HISTORY_BYTES`].
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Record {
    fn push(&mut self, change: Change) {
        if self.changes.len() >= HISTORY_CHANGES {
            self.changes.remove(0);
        }
        if self.changes.len() == self.changes.capacity() {
            // Most devices have one or two: a vector of its own accord begins with four.
            self.changes.reserve_exact(self.changes.len().max(1));
        }
        self.changes.push(change);
    }

    fn bytes(&self) -> usize {
        let changes = self.changes.capacity() * size_of::<Change>();
        let details = self.changes.iter().filter_map(|it| it.detail.as_ref());
        // Devices of one connection share theirs, which is counted for each: the bound is an upper one. Counts and the allocator's
        // rounding were measured to take 40 bytes.
        let details: usize = details.map(|it| it.len() + 5 * size_of::<usize>()).sum();
        HISTORY_DEVICE_BYTES + changes + details
    }
}

#[cfg(test)]
mod tests;
