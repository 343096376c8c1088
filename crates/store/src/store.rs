//! The open state directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc as threads};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::database;
use crate::dead_letters::DeadLetters;
use crate::desired_versions::DesiredVersions;
use crate::error::OpenError;
use crate::hub_cache::HubCache;
use crate::idempotency::Idempotency;
use crate::keeper;
use crate::keyring::Keys;
use crate::limits::STORE_QUEUE;
use crate::lock::Lock;
use crate::loss::Scale;
use crate::queue::Queue;
use crate::reader::{self, Question};
use crate::subscriptions::Subscriptions;
use crate::writer::{Bounds, Job, Losses, Writer};

/// The database in a state directory.
pub(crate) const FILE: &str = "drawspan.db";

/// The key ring of a state directory for which no other file is named.
#[must_use]
pub fn default_keyring(directory: &Path) -> PathBuf {
    directory.join("keyring")
}

/// A state directory that this process has opened. Dropping it writes what was handed over, and lets go of the
/// directory; that may take a moment.
#[derive(Debug)]
pub struct Store {
    /// `None` once closed, as the next two.
    queue: Option<mpsc::Sender<Job>>,
    questions: Option<mpsc::Sender<Question>>,
    alive: Option<threads::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    hub_cache: HubCache,
    subscriptions: Subscriptions,
    dead_letters: DeadLetters,
    desired_versions: DesiredVersions,
    idempotency: Idempotency,
    /// Given back last.
    _lock: Lock,
}

impl Store {
    /// Opens a directory, creating it if need be, with the key ring that its rows are encrypted with. The key ring is made when
    /// neither it nor an encrypted row is there. Blocks.
    ///
    /// # Errors
    /// When another process has it, its file is not ours or cannot be used, or the key ring does not have every key that is
    /// needed. Nothing is changed then.
    pub fn open(directory: &Path, keyring: &Path) -> Result<Self, OpenError> {
        Self::open_with(directory, keyring, Bounds::default())
    }

    pub(crate) fn open_with(
        directory: &Path,
        keyring: &Path,
        bounds: Bounds,
    ) -> Result<Self, OpenError> {
        fs::create_dir_all(directory).map_err(|cause| OpenError::Create {
            path: directory.to_path_buf(),
            cause,
        })?;
        let lock = Lock::take(directory)?;
        let path: Arc<Path> = directory.join(FILE).into();
        let failed = |error| OpenError::sqlite(&path, error);
        let mut connection = database::open(&path)?;
        let used = database::keys::in_use(&connection).map_err(failed)?;
        let keys = Arc::new(Keys::open(keyring, &used)?);
        database::prepare(&mut connection, &keys.ring()).map_err(failed)?;

        let reading = database::open_to_read(&path).map_err(failed)?;
        let waiting = Scale::new(bounds.waiting_bytes);
        let losses = Losses::default();
        let (lost, dropped) = (Arc::clone(&losses.letters), Arc::clone(&losses.dropped));
        let (hubs, desired) = (Arc::clone(&losses.hubs), Arc::clone(&losses.desired));
        let writer = Writer::new(connection, Arc::clone(&keys), losses, bounds).map_err(failed)?;

        let (sender, jobs) = mpsc::channel(STORE_QUEUE);
        let queue = Queue::new(&sender);
        let writing = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(jobs))
            .map_err(OpenError::Thread)?;
        let (questions, reader, read) =
            reader::start(reading, Arc::clone(&keys), Arc::clone(&path))?;
        let (alive, keeping) = keeper::start(queue.clone(), Arc::clone(&keys))?;
        Ok(Self {
            hub_cache: HubCache::new(queue.clone(), Arc::clone(&path), hubs),
            subscriptions: Subscriptions::new(queue.clone(), Arc::clone(&path), keys),
            dead_letters: DeadLetters::new(queue.clone(), reader.clone(), waiting, lost, dropped),
            desired_versions: DesiredVersions::new(queue.clone(), path, desired),
            idempotency: Idempotency::new(queue, reader),
            queue: Some(sender),
            questions: Some(questions),
            alive: Some(alive),
            threads: vec![writing, read, keeping],
            _lock: lock,
        })
    }

    /// The hubs of devices.
    #[must_use]
    pub fn hub_cache(&self) -> HubCache {
        self.hub_cache.clone()
    }

    /// What callers subscribed to.
    #[must_use]
    pub fn subscriptions(&self) -> Subscriptions {
        self.subscriptions.clone()
    }

    /// Events that their receivers did not take.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        self.dead_letters.clone()
    }

    /// Which desired properties were delivered.
    #[must_use]
    pub fn desired_versions(&self) -> DesiredVersions {
        self.desired_versions.clone()
    }

    /// Which requests were answered already.
    #[must_use]
    pub fn idempotency(&self) -> Idempotency {
        self.idempotency.clone()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop((self.alive.take(), self.questions.take(), self.queue.take()));
        for thread in self.threads.drain(..) {
            // A panic there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}
