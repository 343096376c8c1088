//! What is known of devices.

use std::ops::Bound;

use drawspan_hub::{AttemptId, DeviceId};

use super::{Context, Fleet};
use crate::Device;

impl<B: Context> Fleet<B> {
    /// A device that is known already.
    #[must_use]
    pub fn find(&self, id: &DeviceId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self, index: u32) -> Option<&DeviceId> {
        self.entry(index).map(|entry| &entry.id)
    }

    /// Its machine.
    #[must_use]
    pub fn machine(&self, index: u32) -> Option<&Device> {
        self.entry(index).map(|entry| &entry.machine)
    }

    /// The caller's data for it.
    #[must_use]
    pub fn context(&self, index: u32) -> Option<&B> {
        self.entry(index).map(|entry| &entry.context)
    }

    /// The caller's data for it.
    pub fn context_mut(&mut self, index: u32) -> Option<&mut B> {
        self.entry_mut(index).map(|entry| &mut entry.context)
    }

    /// The attempt that it makes, or the connection that it has.
    #[must_use]
    pub fn attempt(&self, index: u32) -> Option<AttemptId> {
        let attempt = self.entry(index)?.attempt.as_ref()?;
        Some(AttemptId {
            device: index,
            serial: attempt.serial,
        })
    }

    /// Whether an attempt is not over yet.
    #[must_use]
    pub fn is_current(&self, attempt: AttemptId) -> bool {
        self.attempt(attempt.device) == Some(attempt)
    }

    /// Most devices at a time.
    #[must_use]
    pub const fn max_devices(&self) -> usize {
        self.config.max_devices
    }

    /// Devices that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no device is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Timers that are set; those that are not needed any more count for a while.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// The devices from there on, in the order of their ids.
    pub fn devices_from(&self, from: Bound<&str>) -> impl Iterator<Item = &DeviceId> + use<'_, B> {
        let devices = self.by_id.range::<str, _>((from, Bound::Unbounded));
        devices.map(|(id, _)| id)
    }

    /// Every device that is known, with its machine.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &DeviceId, &Device)> {
        (0u32..).zip(&self.entries).filter_map(|(index, entry)| {
            let entry = entry.as_ref()?;
            Some((index, &entry.id, &entry.machine))
        })
    }
}
