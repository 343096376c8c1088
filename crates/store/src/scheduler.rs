//! The thread that triggers the writing thread when time requires it.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::clock;
use crate::error::OpenError;
use crate::health::{Health, StoreHealth};
use crate::keyring::Keys;
use crate::limits::{
    FOLD_INTERVAL_MS, IDEMPOTENCY_SWEEP_INTERVAL_S, KEY_RING_LOOK_INTERVAL_MS, PROBE_INTERVAL_MS,
};
use crate::queue::Queue;
use crate::watch::Watch;
use crate::writer::Job;

/// Starts the thread. It ends when what is returned with it is dropped.
pub(crate) fn start(
    queue: Queue,
    keys: Arc<Keys>,
    watch: Arc<Watch>,
    health: StoreHealth,
) -> Result<(Sender<()>, JoinHandle<()>), OpenError> {
    let (alive, ended) = channel::<()>();
    let thread = std::thread::Builder::new()
        .name("store-keeper".into())
        .spawn(move || {
            let mut keeper = Scheduler::new(queue, keys, watch, health);
            let look = Duration::from_millis(KEY_RING_LOOK_INTERVAL_MS);
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(look) {
                keeper.look(Instant::now());
            }
        })
        .map_err(OpenError::Thread)?;
    Ok((alive, thread))
}

struct Scheduler {
    queue: Queue,
    keys: Arc<Keys>,
    seen: crate::keyring::Stamp,
    watch: Arc<Watch>,
    health: StoreHealth,
    sweep_at: Instant,
    fold_at: Instant,
    probe_at: Instant,
}

impl Scheduler {
    fn new(queue: Queue, keys: Arc<Keys>, watch: Arc<Watch>, health: StoreHealth) -> Self {
        let seen = keys.stamp();
        // Some rows may have been left with an older key by a process that was ended.
        let _ = queue.try_job(Job::Keys);
        Self {
            queue,
            keys,
            seen,
            watch,
            health,
            sweep_at: Instant::now(),
            fold_at: Instant::now(),
            probe_at: Instant::now(),
        }
    }

    /// Runs the jobs that are due. A job that cannot be handed over now follows next time.
    fn look(&mut self, now: Instant) {
        let stamp = self.keys.stamp();
        if stamp != self.seen && self.queue.try_job(Job::Keys).is_ok() {
            self.seen = stamp;
        }
        self.watch.look();
        // After a failure, the next check finds out whether it persists.
        if now >= self.probe_at || matches!(self.health.now(), Health::Failing { .. }) {
            let _ = self.queue.try_job(Job::Probe);
            self.probe_at = now + Duration::from_millis(PROBE_INTERVAL_MS);
        }
        if now >= self.fold_at {
            let _ = self.queue.try_job(Job::Fold);
            self.fold_at = now + Duration::from_millis(FOLD_INTERVAL_MS);
        }
        if now >= self.sweep_at {
            let before_unix_s = clock::idempotent_since(clock::now_unix_s());
            let _ = self.queue.try_job(Job::Sweep { before_unix_s });
            self.sweep_at = now + Duration::from_secs(IDEMPOTENCY_SWEEP_INTERVAL_S);
        }
    }
}
