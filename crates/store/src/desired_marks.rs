//! The delivered versions of desired properties.

use std::path::Path;
use std::sync::Arc;

use drawspan_hub::DeviceId;

use crate::change::Change;
use crate::database::{self, desired_marks as table};
use crate::error::StoreError;
use crate::loss_counter::Loss;
use crate::queue::Queue;

/// How far a device's receiver is with desired properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesiredMark {
    /// The `$version` that it has.
    pub version: i64,
    /// Fingerprint of the full state at that version; `None` if only a change of it is known.
    pub fingerprint: Option<i64>,
    /// A number for the receiver that has it.
    pub receiver: i64,
}

/// The versions of desired properties that receivers have. Cheap to clone. Losing an entry costs one extra event, so writing is
/// best effort and blocks nothing.
#[derive(Debug, Clone)]
pub struct DesiredMarks {
    queue: Queue,
    path: Arc<Path>,
    loss: Arc<Loss>,
}

impl DesiredMarks {
    pub(crate) fn new(queue: Queue, path: Arc<Path>, loss: Arc<Loss>) -> Self {
        Self { queue, path, loss }
    }

    /// All marks written so far, in no order. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load_all(&self) -> Result<Vec<(DeviceId, DesiredMark)>, StoreError> {
        table::load(&database::open_to_read(&self.path)?)
    }

    /// Remembers a device's mark, soon. Lost and counted when more waits than is good.
    pub fn put(&self, device: DeviceId, mark: DesiredMark) {
        if let Err(error) = self.queue.try_send(Change::PutDesired(device, mark)) {
            self.loss.add(1, &error);
        }
    }

    /// Forgets a device's mark, soon. As [`put`](Self::put).
    pub fn remove(&self, device: DeviceId) {
        if let Err(error) = self.queue.try_send(Change::RemoveDesired(device)) {
            self.loss.add(1, &error);
        }
    }

    /// How many changes were lost since the store was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.loss.total()
    }
}
