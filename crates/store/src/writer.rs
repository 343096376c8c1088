//! The thread that writes.

use std::collections::HashSet;
use std::sync::Arc;

use drawspan_hub::DeviceId;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::database;
use crate::error::StoreError;
use crate::hub_cache::CachedHub;
use crate::limits::STORE_GROUP;
use crate::loss::Loss;

/// A change, or several.
#[derive(Debug)]
pub(crate) enum Job {
    Put(CachedHub),
    Renew {
        devices: Vec<DeviceId>,
        now_unix_s: u64,
    },
    Forget {
        device: DeviceId,
        done: oneshot::Sender<Result<(), StoreError>>,
    },
    Collect {
        before_unix_s: u64,
        keep: HashSet<DeviceId>,
        done: oneshot::Sender<Result<usize, StoreError>>,
    },
}

/// Writes in the order of the queue until its last sender is gone. A write that fails is told or counted, and the next
/// one is tried: room may have been made meanwhile.
pub(crate) fn run(mut connection: Connection, mut jobs: mpsc::Receiver<Job>, loss: &Arc<Loss>) {
    let mut left = None;
    while let Some(first) = left.take().or_else(|| jobs.blocking_recv()) {
        if let Job::Collect {
            before_unix_s,
            keep,
            done,
        } = first
        {
            let collected = database::collect(&mut connection, before_unix_s, &keep);
            // Nobody may be waiting any more.
            let _ = done.send(collected.map_err(StoreError::from));
            continue;
        }
        let mut group = vec![first];
        while group.len() < STORE_GROUP {
            match jobs.try_recv() {
                // Has transactions of its own, after this one.
                Ok(job @ Job::Collect { .. }) => {
                    left = Some(job);
                    break;
                }
                Ok(job) => group.push(job),
                Err(_) => break,
            }
        }
        let written = write(&mut connection, &group).map_err(StoreError::from);
        tell(group, &written, loss);
    }
}

fn write(connection: &mut Connection, group: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in group {
        match job {
            Job::Put(entry) => database::put(&transaction, entry)?,
            Job::Renew {
                devices,
                now_unix_s,
            } => database::renew(&transaction, devices, *now_unix_s)?,
            Job::Forget { device, .. } => database::forget(&transaction, device)?,
            Job::Collect { .. } => {}
        }
    }
    transaction.commit()
}

fn tell(group: Vec<Job>, written: &Result<(), StoreError>, loss: &Loss) {
    if let Err(error) = written {
        let puts = group.iter().filter(|job| matches!(job, Job::Put(_)));
        // Counted before anybody who waits goes on.
        loss.add(puts.count() as u64, error);
    }
    for job in group {
        if let Job::Forget { done, .. } = job {
            let _ = done.send(written.clone());
        }
    }
}
