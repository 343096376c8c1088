//! The queue of the writing thread.

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::change::Change;
use crate::error::StoreError;
use crate::writer::Job;

/// Keeps no store open: only the store itself holds the writing thread.
#[derive(Debug, Clone)]
pub(crate) struct Queue(mpsc::WeakSender<Job>);

impl Queue {
    pub(crate) fn new(sender: &mpsc::Sender<Job>) -> Self {
        Self(sender.downgrade())
    }

    /// Hands a change over now, or fails.
    pub(crate) fn try_send(&self, change: Change) -> Result<(), StoreError> {
        self.try_job(Job::Change(change, None))
    }

    /// Hands a change over now, or fails; the result is the number of changed rows.
    pub(crate) fn try_ask(&self, change: Change) -> Result<ChangedRows, StoreError> {
        let (done, written) = oneshot::channel();
        self.try_job(Job::Change(change, Some(done)))?;
        Ok(written)
    }

    /// Waits for room, and for the change to be written; returns how many rows it changed.
    pub(crate) async fn ask(&self, change: Change) -> Result<usize, StoreError> {
        let (done, written) = oneshot::channel();
        self.send(Job::Change(change, Some(done))).await?;
        written.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Waits for room.
    pub(crate) async fn send(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.0.upgrade().ok_or(StoreError::Closed)?;
        queue.send(job).await.map_err(|_| StoreError::Closed)
    }

    pub(crate) fn try_job(&self, job: Job) -> Result<(), StoreError> {
        let queue = self.0.upgrade().ok_or(StoreError::Closed)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::Closed,
        })
    }
}

/// How many rows a change changed.
pub(crate) type ChangedRows = oneshot::Receiver<Result<usize, StoreError>>;
