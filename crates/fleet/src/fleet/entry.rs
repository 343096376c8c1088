//! One device of a fleet.

use std::time::Duration;

use drawspan_hub::DeviceId;

use super::action::ServiceId;
use super::queue::Standing;
use super::turns::{CallerId, Callers};
use crate::Device;
use crate::device::Epoch;

/// Data that the owner of a fleet keeps for each device.
pub trait Context: Default {
    /// The callers that wait for the device, so that it goes before those that come back by themselves. One may be named
    /// several times.
    fn callers(&self) -> impl Iterator<Item = CallerId>;

    /// Whether a caller waits for the device.
    fn is_waited_for(&self) -> bool {
        self.callers().next().is_some()
    }

    /// Whether nothing would be lost with it.
    fn may_be_forgotten(&self) -> bool;

    /// When the device was last used without a report to the fleet, monotonic.
    fn last_use(&self) -> Option<Duration>;
}

#[derive(Debug)]
pub(super) struct Entry<B> {
    pub(super) id: DeviceId,
    pub(super) machine: Device,
    pub(super) attempt: Option<Running>,
    /// Number of its last position in a queue.
    pub(super) position: u32,
    /// The callers in whose turns it has that place. Empty for a device without a waiting caller.
    pub(super) callers: Callers,
    pub(super) standing: Standing,
    /// The hub that counts it as connected.
    pub(super) connected_at: Option<ServiceId>,
    /// The earliest timer that is set.
    pub(super) timer: Option<Duration>,
    pub(super) context: B,
}

/// A request to the caller that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) serial: u32,
    pub(super) epoch: Epoch,
    pub(super) hub: ServiceId,
    /// Since when.
    pub(super) since: Duration,
    /// When the hub was asked: the connection may have had to be made first.
    pub(super) asked: Duration,
}

impl<B: Context> Entry<B> {
    pub(super) fn new(id: DeviceId, machine: Device) -> Self {
        Self {
            id,
            machine,
            attempt: None,
            position: 0,
            callers: Callers::default(),
            standing: Standing::default(),
            connected_at: None,
            timer: None,
            context: B::default(),
        }
    }

    /// Its standing in the queue of a service, which has devices or is `empty`. At an empty one its other key finds out whether all
    /// are refused there: it goes first.
    pub(super) fn standing_at(&self, empty: bool) -> Standing {
        let first = empty && self.standing.doubtful && self.machine.has_another_way();
        Standing {
            first,
            doubtful: self.standing.doubtful && !first,
            ..self.standing
        }
    }
}
