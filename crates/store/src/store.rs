//! The open state directory.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc as threads};
use std::thread::JoinHandle;

use drawspan_state::Lock;
use tokio::sync::mpsc;

use crate::database;
use crate::dead_letters::DeadLetters;
use crate::desired_marks::DesiredMarks;
use crate::error::OpenError;
use crate::health::StoreHealth;
use crate::hub_cache::HubCache;
use crate::idempotency::Idempotency;
use crate::limits::STORE_QUEUE;
use crate::loss_counter::Scale;
use crate::queue::Queue;
use crate::reader::{self, Question};
use crate::scheduler;
use crate::state_files::{self, Loss, Opened};
use crate::subscriptions::Subscriptions;
use crate::watch::Watch;
use crate::writer::{Bounds, Commits, Job, Losses, Writer};

/// The database in a state directory.
pub(crate) const FILE: &str = "drawspan.db";
/// File name of the mark, which records how much was committed.
pub(crate) const MARK_FILE: &str = "drawspan.mark";
/// File name of the lock.
pub(crate) const LOCK_FILE: &str = "drawspan.lock";

/// The key ring of a state directory for which no other file is named.
#[must_use]
pub fn default_keyring(directory: &Path) -> PathBuf {
    directory.join("keyring")
}

/// A state directory that this process has opened. Dropping it writes what was handed over, and lets go of the
/// directory; that may take a moment.
#[derive(Debug)]
pub struct Store {
    /// `None` once closed, like the next two.
    queue: Option<mpsc::Sender<Job>>,
    questions: Option<mpsc::Sender<Question>>,
    alive: Option<threads::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    hub_cache: HubCache,
    subscriptions: Subscriptions,
    dead_letters: DeadLetters,
    desired_marks: DesiredMarks,
    idempotency: Idempotency,
    health: StoreHealth,
    /// Closed after every connection.
    _watch: Arc<Watch>,
    /// Released last.
    _lock: Arc<Lock>,
}

impl Store {
    /// Opens a directory, creating it if need be, with the key ring that its rows are encrypted with. The key ring is made when
    /// neither it nor an encrypted row is there. Blocks.
    ///
    /// # Errors
    /// When another process has it, its file is not ours, is damaged, or holds less than was stored (so far as that can be told), or the
    /// key ring does not have every key that is needed. Nothing is changed then.
    pub fn open(directory: &Path, keyring: &Path) -> Result<Self, OpenError> {
        Self::open_with(directory, keyring, Loss::Refused, Bounds::default())
    }

    /// The same, but a store that is empty, damaged or holds less than was stored is no reason to refuse: what can be used is used,
    /// and what cannot is kept under other names. Blocks.
    ///
    /// # Errors
    /// When another process has it, or the key ring does not have every key that is needed.
    pub fn open_accepting_loss(directory: &Path, keyring: &Path) -> Result<Self, OpenError> {
        Self::open_with(directory, keyring, Loss::Accepted, Bounds::default())
    }

    pub(crate) fn open_with(
        directory: &Path,
        keyring: &Path,
        loss: Loss,
        bounds: Bounds,
    ) -> Result<Self, OpenError> {
        let lock = Arc::new(state_files::take(directory)?);
        let (health, losses) = (StoreHealth::new(), Losses::default());
        let Opened {
            path,
            connection,
            keys,
            mark,
            stored,
        } = state_files::open(directory, keyring, loss, &health, &losses)?;
        let watch = Watch::new(&path, keyring, Arc::clone(&lock), health.clone());
        let watch = Arc::new(watch.map_err(|cause| OpenError::Read {
            path: path.clone(),
            cause,
        })?);
        let path: Arc<Path> = path.into();
        let keys = Arc::new(keys);
        let failed = |error| OpenError::sqlite(&path, error);
        let reading = database::open_to_read(&path).map_err(failed)?;
        let waiting = Scale::new(bounds.waiting_bytes);
        let (lost, dropped) = (Arc::clone(&losses.letters), Arc::clone(&losses.dropped));
        let (hubs, desired) = (Arc::clone(&losses.hubs), Arc::clone(&losses.desired));
        let commits = Commits {
            mark,
            stored,
            health: health.clone(),
            watch: Arc::clone(&watch),
        };
        let writer = Writer::new(connection, Arc::clone(&keys), losses, bounds, commits);
        let writer = writer.map_err(failed)?;

        let (sender, jobs) = mpsc::channel(STORE_QUEUE);
        let queue = Queue::new(&sender);
        let writing = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(jobs))
            .map_err(OpenError::Thread)?;
        let (questions, reader, read) = reader::start(
            reading,
            Arc::clone(&keys),
            Arc::clone(&path),
            health.clone(),
        )?;
        let (alive, keeping) = scheduler::start(
            queue.clone(),
            Arc::clone(&keys),
            Arc::clone(&watch),
            health.clone(),
        )?;
        Ok(Self {
            hub_cache: HubCache::new(queue.clone(), Arc::clone(&path), hubs),
            subscriptions: Subscriptions::new(queue.clone(), Arc::clone(&path), keys),
            dead_letters: DeadLetters::new(queue.clone(), reader.clone(), waiting, lost, dropped),
            desired_marks: DesiredMarks::new(queue.clone(), path, desired),
            idempotency: Idempotency::new(queue, reader),
            queue: Some(sender),
            questions: Some(questions),
            alive: Some(alive),
            threads: vec![writing, read, keeping],
            health,
            _watch: watch,
            _lock: lock,
        })
    }

    /// The hubs of devices.
    #[must_use]
    pub fn hub_cache(&self) -> HubCache {
        self.hub_cache.clone()
    }

    /// The subscriptions of callers.
    #[must_use]
    pub fn subscriptions(&self) -> Subscriptions {
        self.subscriptions.clone()
    }

    /// Events that their receivers did not take.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        self.dead_letters.clone()
    }

    /// The delivered versions of desired properties.
    #[must_use]
    pub fn desired_marks(&self) -> DesiredMarks {
        self.desired_marks.clone()
    }

    /// How the store is: read it whenever it is asked for.
    #[must_use]
    pub fn health(&self) -> StoreHealth {
        self.health.clone()
    }

    /// The requests that were answered already.
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
