//! The hub of each device.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName};
use tokio::sync::oneshot;

use crate::change::Change;
use crate::database;
use crate::error::StoreError;
use crate::limits::HUB_CACHE_LIFE_S;
use crate::loss_counter::Loss;
use crate::queue::Queue;
use crate::writer::Job;

/// The hub of a device, which DPS assigned, or where it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedHub {
    /// The device, by the name that callers use.
    pub device: DeviceId,
    /// Its hub.
    pub hub: HostName,
    /// Its name at the hub, if that is another one.
    pub assigned: Option<DeviceId>,
    /// When it was last known to be in use, in seconds since 1970.
    pub renewed_unix_s: u64,
}

/// The hub of each device. Cheap to clone. Losing an entry costs one call of DPS, or the device's next use makes it known again, so
/// writing is best effort and blocks nothing.
#[derive(Debug, Clone)]
pub struct HubCache {
    queue: Queue,
    path: Arc<Path>,
    loss: Arc<Loss>,
}

impl HubCache {
    pub(crate) fn new(queue: Queue, path: Arc<Path>, loss: Arc<Loss>) -> Self {
        Self { queue, path, loss }
    }

    /// All entries that were written so far, in no order. Blocks; about 0.2 s for a million.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load_all(&self) -> Result<Vec<CachedHub>, StoreError> {
        let (entries, broken) = database::hub_cache::load(&database::open_to_read(&self.path)?)?;
        if broken > 0 {
            tracing::warn!(
                broken,
                store = %self.path.display(),
                "entries of the hub cache make no sense and are ignored"
            );
        }
        Ok(entries)
    }

    /// Remembers a device's hub, soon. Lost and counted when more waits than is good.
    pub fn put(&self, entry: CachedHub) {
        // A store that is closed forgets nothing that anybody could still ask it for.
        if let Err(error @ StoreError::Busy) = self.queue.try_send(Change::PutHub(entry)) {
            self.loss.add(1, &error);
        }
    }

    /// These devices are in use; entries that are not there stay away. Best effort.
    pub fn renew(&self, devices: Vec<DeviceId>, now_unix_s: u64) {
        // Entries that are not renewed now are renewed next time.
        let _ = self.queue.try_send(Change::RenewHubs {
            devices,
            now_unix_s,
        });
    }

    /// Removes a device's entry. The result resolves when that survives the end of the process. Earlier writes of the entry are
    /// gone, too.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn forget(&self, device: DeviceId) -> Result<(), StoreError> {
        self.queue.ask(Change::ForgetHub(device)).await.map(drop)
    }

    /// Deletes entries that were not renewed for a week, with their versions of desired properties, and says how many. Those of
    /// `keep` stay, those of devices that have a subscription, and those of devices that a subscription of the fleet keeps
    /// connected.
    ///
    /// # Errors
    /// When it could not be written; some may be gone then.
    pub async fn collect(
        &self,
        now_unix_s: u64,
        keep: HashSet<DeviceId>,
    ) -> Result<usize, StoreError> {
        let (done, collected) = oneshot::channel();
        let job = Job::Collect {
            before_unix_s: now_unix_s.saturating_sub(HUB_CACHE_LIFE_S),
            keep,
            done,
        };
        self.queue.send(job).await?;
        collected.await.unwrap_or(Err(StoreError::Closed))
    }

    /// How many entries were lost since the store was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.loss.total()
    }
}
