//! One device of a fleet.

use std::time::Duration;

use drawspan_hub::DeviceId;

use super::action::ServiceId;
use crate::Device;
use crate::device::Epoch;

/// What the owner of a fleet keeps beside each device.
pub trait Beside: Default {
    /// Whether a caller waits for the device, so that it goes before those that come back by themselves.
    fn is_waited_for(&self) -> bool;

    /// Whether nothing would be lost with it.
    fn may_be_forgotten(&self) -> bool;

    /// When the device was last used without the fleet being told, monotonic.
    fn last_use(&self) -> Option<Duration>;
}

#[derive(Debug)]
pub(super) struct Entry<B> {
    pub(super) id: DeviceId,
    pub(super) machine: Device,
    pub(super) attempt: Option<Running>,
    /// Number of its last place in a queue.
    pub(super) place: u32,
    /// The earliest timer that is set.
    pub(super) timer: Option<Duration>,
    pub(super) beside: B,
}

/// What was asked of the caller and is not over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) serial: u32,
    pub(super) epoch: Epoch,
    pub(super) hub: ServiceId,
}

impl<B: Beside> Entry<B> {
    pub(super) fn new(id: DeviceId, machine: Device) -> Self {
        Self {
            id,
            machine,
            attempt: None,
            place: 0,
            timer: None,
            beside: B::default(),
        }
    }
}
