//! The writing thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use drawspan_hub::HostName;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::{Database, StoreError, Write, commit, schema};
use crate::limits::{STORE_GROUP, STORE_QUEUE, STORE_RETRY_MS};

/// The way to the writing thread.
#[derive(Debug)]
pub struct Store {
    /// `None` once closed.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    failing: Arc<Failing>,
}

/// A place in the writing thread's queue.
#[derive(Debug)]
pub struct Slot(mpsc::OwnedPermit<Job>);

/// A write that is under way.
#[derive(Debug)]
pub struct Written(oneshot::Receiver<Result<(), StoreError>>);

enum Job {
    Write(WriteJob),
    /// Something that is no change: done after everything that was handed over before it.
    Work(Work),
}

struct WriteJob {
    hub: HostName,
    writes: Vec<Write>,
    done: Done,
    /// Called when writes that failed were written after all.
    later: Option<Later>,
}

type Work = Box<dyn FnOnce(&mut Database) + Send>;

/// Called once with the result of a write, on the writing thread, even if the job is dropped.
struct Done(Option<OnWritten>);

type OnWritten = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

type Later = Box<dyn FnOnce() + Send>;

/// Why there is no place in the queue at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSlot {
    /// All are taken.
    Full,
    /// Writes fail at the moment.
    Failing,
    /// No more writes are accepted.
    Closed,
}

impl Store {
    /// Starts the thread that writes into `database`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(database: Database) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(STORE_QUEUE);
        let failing = Arc::<Failing>::default();
        let writer = Writer {
            database,
            backlog: Vec::new(),
            failing: Arc::clone(&failing),
        };
        let thread = std::thread::Builder::new()
            .name("registry-writer".into())
            .spawn(move || writer.run(jobs))
            .map_err(StoreError::Thread)?;
        Ok(Self {
            failing,
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits for a place in the queue. Taken before the registry changes, so that a full queue, or a disk that fails, holds changes
    /// back.
    ///
    /// # Errors
    /// When nothing can be written: see [`StoreError::Failing`] and [`StoreError::Closed`].
    pub async fn slot(&self) -> Result<Slot, StoreError> {
        self.failing.check()?;
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let slot = queue.ok_or(StoreError::Closed)?.reserve_owned().await;
        let slot = slot.map_err(|_| StoreError::Closed)?;
        // It may have begun to fail meanwhile.
        self.failing.check()?;
        Ok(Slot(slot))
    }

    /// A place in the queue, if there is one now: for those who cannot wait.
    ///
    /// # Errors
    /// When there is none.
    pub fn try_slot(&self) -> Result<Slot, NoSlot> {
        self.failing.check().map_err(|_| NoSlot::Failing)?;
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

    /// Does `work` on the writing thread, after everything that was handed over before. Nothing is written meanwhile.
    ///
    /// # Errors
    /// Those of `work`, and those of [`Self::slot`].
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let slot = self.slot().await?;
        let (done, result) = oneshot::channel();
        slot.0.send(Job::Work(Box::new(move |database| {
            // The caller may be gone.
            let _ = done.send(work(database));
        })));
        match result.await {
            Ok(result) => result,
            Err(_) => {
                self.failing.check()?;
                Err(StoreError::Closed)
            }
        }
    }

    /// Takes nothing more, and waits until everything that was handed over is written. Blocks.
    pub fn close(&self) {
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
    pub fn send(self, hub: HostName, writes: Vec<Write>) -> Written {
        let (done, written) = oneshot::channel();
        self.send_then(hub, writes, move |result| {
            // The caller may be gone: the change is made in any case.
            let _ = done.send(result);
        });
        Written(written)
    }

    /// As [`send`](Self::send); `done` is called on the writing thread, so it must be short and must not block.
    pub fn send_then(
        self,
        hub: HostName,
        writes: Vec<Write>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let done = Done(Some(Box::new(done)));
        let later = None;
        self.0.send(Job::Write(WriteJob {
            hub,
            writes,
            done,
            later,
        }));
    }

    /// As [`send_then`](Self::send_then); `later` is called when the changes failed to be written, and were written after that.
    pub fn send_then_later(
        self,
        hub: HostName,
        writes: Vec<Write>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
        later: impl FnOnce() + Send + 'static,
    ) {
        let done = Done(Some(Box::new(done)));
        self.0.send(Job::Write(WriteJob {
            hub,
            writes,
            done,
            later: Some(Box::new(later)),
        }));
    }
}

impl Written {
    /// Waits until the changes will survive the end of the process.
    ///
    /// # Errors
    /// When they could not be written.
    pub async fn wait(self) -> Result<(), StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Owns the file.
struct Writer {
    database: Database,
    /// Writes that failed, in their order: memory is ahead of the file by them, so they come before anything else.
    backlog: Vec<(HostName, Vec<Write>, Option<Later>)>,
    failing: Arc<Failing>,
}

/// Why nothing is taken at the moment, for those who would change the registry.
#[derive(Debug, Default)]
struct Failing {
    is: AtomicBool,
    why: Mutex<String>,
}

impl Writer {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut open = true;
        while open {
            let (mut group, mut work) = (Vec::new(), None);
            if self.backlog.is_empty() {
                match jobs.blocking_recv() {
                    Some(Job::Write(job)) => group.push(job),
                    Some(Job::Work(first)) => work = Some(first),
                    None => return,
                }
            } else {
                std::thread::sleep(Duration::from_millis(STORE_RETRY_MS));
            }
            while work.is_none() && group.len() < STORE_GROUP {
                match jobs.try_recv() {
                    Ok(Job::Write(job)) => group.push(job),
                    Ok(Job::Work(next)) => work = Some(next),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        open = false;
                        break;
                    }
                }
            }
            self.write(group);
            if let Some(work) = work {
                self.work(work);
            }
        }
        // The queue was drained by then.
        while let Ok(job) = jobs.try_recv() {
            match job {
                Job::Write(job) => self.write(vec![job]),
                Job::Work(work) => self.work(work),
            }
        }
        if !self.backlog.is_empty() {
            tracing::error!(changes = self.backlog.len(), registry = %self.database.path.display(), "changes of the registry are lost: they could not be written until the end");
        }
    }

    /// Does something else, unless changes wait to be written: its caller then learns that it is not done.
    fn work(&mut self, work: Work) {
        if self.backlog.is_empty() {
            work(&mut self.database);
        }
    }

    /// Writes what failed before, and this group, in one transaction. A group that fails joins what failed.
    fn write(&mut self, group: Vec<WriteJob>) {
        if group.is_empty() && self.backlog.is_empty() {
            return;
        }
        if let Err(why) = self.database.check_whole() {
            return self.failed(why, group);
        }
        let before = self.backlog.iter().map(|(hub, writes, _)| (hub, writes));
        let now = group.iter().map(|job| (&job.hub, &job.writes));
        let all: Vec<_> = before.chain(now).collect();
        let written = commit(&mut self.database.connection, |transaction| {
            for (hub, writes) in &all {
                for write in *writes {
                    schema::apply(transaction, hub, write)?;
                }
            }
            Ok(())
        });
        let written = written.map_err(|cause| cause.to_string());
        // A file that was cut meanwhile may not have it.
        let kept = |stored| self.database.check_whole().map(|()| stored);
        match written.and_then(|stored| kept(stored).map_err(str::to_owned)) {
            Ok(stored) => {
                self.database.commits.committed(stored);
                self.recovered();
                for job in group {
                    job.done.tell(Ok(()));
                }
            }
            Err(why) => self.failed(&why, group),
        }
    }

    fn recovered(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        let changes = self.backlog.len();
        for (_, _, later) in self.backlog.drain(..) {
            if let Some(later) = later {
                later();
            }
        }
        self.failing.end();
        tracing::info!(
            changes,
            "the registry is written again, with the changes that waited"
        );
    }

    fn failed(&mut self, why: &str, group: Vec<WriteJob>) {
        if self.failing.begin(why) {
            tracing::error!(error = %why, registry = %self.database.path.display(), "the registry cannot be written; it takes no changes until it can");
        }
        for job in group {
            job.done.tell(Err(StoreError::Failing(why.to_owned())));
            self.backlog.push((job.hub, job.writes, job.later));
        }
    }
}

impl Failing {
    /// Whether it began now.
    fn begin(&self, why: &str) -> bool {
        why.clone_into(&mut self.why.lock().unwrap_or_else(PoisonError::into_inner));
        !self.is.swap(true, Ordering::AcqRel)
    }

    fn end(&self) {
        self.is.store(false, Ordering::Release);
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.is.load(Ordering::Acquire) {
            false => Ok(()),
            true => {
                let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
                Err(StoreError::Failing(why.clone()))
            }
        }
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

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Job");
        if let Self::Write(job) = self {
            shown.field("hub", &job.hub);
        }
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Done")
    }
}
