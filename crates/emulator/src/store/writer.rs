//! The thread that writes.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use drawspan_hub::HostName;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{Database, StoreError, Write, schema};
use crate::limits::{STORE_GROUP, STORE_QUEUE};

/// The way to the writing thread.
#[derive(Debug)]
pub(crate) struct Store {
    /// `None` once closed.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A place in the writing thread's queue.
#[derive(Debug)]
pub(crate) struct Slot(mpsc::OwnedPermit<Job>);

/// A write that is under way.
#[derive(Debug)]
pub(crate) struct Written(oneshot::Receiver<Result<(), StoreError>>);

#[derive(Debug)]
struct Job {
    hub: HostName,
    writes: Vec<Write>,
    done: Done,
}

/// Told once what became of a write, on the writing thread, whatever happens to the job.
struct Done(Option<Told>);

type Told = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Why there is no place in the queue at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// All are taken.
    Full,
    /// Nothing is written any more.
    Closed,
}

impl Store {
    pub(crate) fn start(database: Database) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(STORE_QUEUE);
        let thread = std::thread::Builder::new()
            .name("registry-writer".into())
            .spawn(move || run(database, jobs))
            .map_err(StoreError::Thread)?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits for a place in the queue. Taken before the registry changes, so that a full queue holds changes back.
    pub(crate) async fn slot(&self) -> Result<Slot, StoreError> {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let slot = queue.ok_or(StoreError::Closed)?.reserve_owned().await;
        slot.map(Slot).map_err(|_| StoreError::Closed)
    }

    /// A place in the queue, if there is one now: for those who cannot wait.
    pub(crate) fn try_slot(&self) -> Result<Slot, NoSlot> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.clone().ok_or(NoSlot::Closed)?;
        queue
            .try_reserve_owned()
            .map(Slot)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => NoSlot::Full,
                mpsc::error::TrySendError::Closed(_) => NoSlot::Closed,
            })
    }

    /// Takes nothing more, and waits until everything that was handed over is written. Blocks.
    pub(crate) fn close(&self) {
        drop(
            self.queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic there was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Slot {
    /// Hands changes over, to be written together. Changes are written in the order of these calls.
    pub(crate) fn send(self, hub: HostName, writes: Vec<Write>) -> Written {
        let (done, written) = oneshot::channel();
        self.send_then(hub, writes, move |result| {
            // Nobody may be waiting any more: the change is made all the same.
            let _ = done.send(result);
        });
        Written(written)
    }

    /// As [`send`](Self::send); `done` is called on the writing thread, so it must be short and must not block.
    pub(crate) fn send_then(
        self,
        hub: HostName,
        writes: Vec<Write>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let done = Done(Some(Box::new(done)));
        self.0.send(Job { hub, writes, done });
    }
}

impl Written {
    /// Waits until the changes will survive the end of the process.
    pub(crate) async fn wait(self) -> Result<(), StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Closed))
    }
}

fn run(database: Database, mut jobs: mpsc::Receiver<Job>) {
    let Database {
        mut connection,
        path,
    } = database;
    while let Some(first) = jobs.blocking_recv() {
        let mut group = vec![first];
        while group.len() < STORE_GROUP {
            let Ok(job) = jobs.try_recv() else {
                break;
            };
            group.push(job);
        }
        if let Err(error) = write(&mut connection, &group) {
            give_up(error, group, &path);
            return;
        }
        for job in group {
            job.done.tell(Ok(()));
        }
    }
}

fn write(connection: &mut Connection, group: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        for write in &job.writes {
            schema::apply(&transaction, &job.hub, write)?;
        }
    }
    transaction.commit()
}

/// The registry in memory is ahead of the file now, so writing on would store changes that build on a lost one.
fn give_up(cause: rusqlite::Error, group: Vec<Job>, path: &std::path::Path) {
    tracing::error!(error = %cause, registry = %path.display(), "the registry cannot be written; it takes no more changes");
    let mut failure = Some(StoreError::Sqlite {
        doing: "write",
        path: PathBuf::from(path),
        cause,
    });
    for job in group {
        job.done
            .tell(Err(failure.take().unwrap_or(StoreError::Closed)));
    }
}

impl Done {
    fn tell(mut self, result: Result<(), StoreError>) {
        if let Some(done) = self.0.take() {
            done(result);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done(Err(StoreError::Closed));
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}
