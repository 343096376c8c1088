//! The open state directory.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::database;
use crate::error::OpenError;
use crate::hub_cache::HubCache;
use crate::limits::STORE_QUEUE;
use crate::lock::Lock;
use crate::loss::Loss;
use crate::writer::{self, Job};

const FILE: &str = "drawspan.db";

/// A state directory that this process has opened. Dropping it writes what was handed over, and lets go of the
/// directory; that may take a moment.
#[derive(Debug)]
pub struct Store {
    /// `None` once closed.
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    hub_cache: HubCache,
    /// Given back last.
    _lock: Lock,
}

impl Store {
    /// Opens a directory, creating it if need be. Blocks.
    ///
    /// # Errors
    /// When another process has it, or its file is not ours or cannot be used.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        fs::create_dir_all(directory).map_err(|cause| OpenError::Create {
            path: directory.to_path_buf(),
            cause,
        })?;
        let lock = Lock::take(directory)?;
        let path: Arc<Path> = directory.join(FILE).into();
        let connection = database::open(&path)?;
        let (queue, jobs) = mpsc::channel(STORE_QUEUE);
        let loss = Arc::new(Loss::default());
        let counted = Arc::clone(&loss);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer::run(connection, jobs, &counted))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            hub_cache: HubCache::new(&queue, path, loss),
            queue: Some(queue),
            thread: Some(thread),
            _lock: lock,
        })
    }

    /// The hubs of devices.
    #[must_use]
    pub fn hub_cache(&self) -> HubCache {
        self.hub_cache.clone()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}
