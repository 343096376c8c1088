//! The thread that writes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use drawspan_hub::HostName;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{Database, StoreError, schema};
use crate::limits::{STORE_GROUP, STORE_QUEUE};
use crate::model::registry::Change;

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
    changes: Vec<Change>,
    done: oneshot::Sender<Result<(), StoreError>>,
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
    pub(crate) fn send(self, hub: HostName, changes: Vec<Change>) -> Written {
        let (done, written) = oneshot::channel();
        self.0.send(Job { hub, changes, done });
        Written(written)
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
            // Nobody may be waiting any more: the change is made all the same.
            let _ = job.done.send(Ok(()));
        }
    }
}

fn write(connection: &mut Connection, group: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        for change in &job.changes {
            schema::apply(&transaction, &job.hub, change)?;
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
        let _ = job
            .done
            .send(Err(failure.take().unwrap_or(StoreError::Closed)));
    }
}
