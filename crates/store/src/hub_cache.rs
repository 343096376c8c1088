//! Which hub each device belongs to.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName};
use tokio::sync::{mpsc, oneshot};

use crate::database;
use crate::error::StoreError;
use crate::limits::HUB_CACHE_LIFE_S;
use crate::loss::Loss;
use crate::writer::Job;

/// What DPS said about a device.
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

/// Which hub each device belongs to. Cheap to clone. Losing an entry costs one call of DPS, so writing is best effort
/// and holds nobody up.
#[derive(Debug, Clone)]
pub struct HubCache {
    queue: mpsc::WeakSender<Job>,
    path: Arc<Path>,
    loss: Arc<Loss>,
}

impl HubCache {
    pub(crate) fn new(queue: &mpsc::Sender<Job>, path: Arc<Path>, loss: Arc<Loss>) -> Self {
        Self {
            queue: queue.downgrade(),
            path,
            loss,
        }
    }

    /// All entries that were written so far, in no order. Blocks; about 0.2 s for a million.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load_all(&self) -> Result<Vec<CachedHub>, StoreError> {
        let (entries, broken) = database::load(&database::open_to_read(&self.path)?)?;
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
        self.try_send(Job::Put(entry), 1);
    }

    /// These devices are in use; entries that are not there stay away. Best effort.
    pub fn renew(&self, devices: Vec<DeviceId>, now_unix_s: u64) {
        self.try_send(
            Job::Renew {
                devices,
                now_unix_s,
            },
            0,
        );
    }

    /// Removes a device's entry, and returns when that will survive the end of the process. Whatever was put before is
    /// gone, too.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn forget(&self, device: DeviceId) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        self.send(Job::Forget { device, done }).await?;
        written.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Deletes entries that were not renewed for a week, but for those of `keep`, and says how many.
    ///
    /// # Errors
    /// When it could not be written; some may be gone then.
    pub async fn collect(
        &self,
        now_unix_s: u64,
        keep: HashSet<DeviceId>,
    ) -> Result<usize, StoreError> {
        let (done, collected) = oneshot::channel();
        self.send(Job::Collect {
            before_unix_s: now_unix_s.saturating_sub(HUB_CACHE_LIFE_S),
            keep,
            done,
        })
        .await?;
        collected.await.unwrap_or(Err(StoreError::Closed))
    }

    /// How many entries were lost since the store was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.loss.total()
    }

    fn try_send(&self, job: Job, entries: u64) {
        let Some(queue) = self.queue.upgrade() else {
            return;
        };
        if queue.try_send(job).is_err() && entries > 0 {
            self.loss.add(entries, &"too many changes wait");
        }
    }

    async fn send(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.queue.upgrade().ok_or(StoreError::Closed)?;
        queue.send(job).await.map_err(|_| StoreError::Closed)
    }
}
