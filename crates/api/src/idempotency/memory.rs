//! Memory of results by idempotency key: in the state directory, or in memory without one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_gateway::limits::RETRY_AFTER_S;
use drawspan_gateway::log_limit::{Leave, STORE_FAILURES};
use drawspan_store::{Idempotency as Stored, StoreError, StoredAnswer};
use tokio::time::Instant;
use tracing::warn;

use super::{Done, Hash, Key, mismatch};
use crate::limits::{IDEMPOTENCY_LIFE_S, MAX_IDEMPOTENCY_KEYS_IN_MEMORY};
use crate::problem::{Kind, Problem};

/// Requests that succeeded, for a day. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    stored: Option<Stored>,
    /// All where nothing is stored; else what could not be.
    recent: Arc<Mutex<Recent>>,
}

/// The newest ones.
#[derive(Debug, Default)]
struct Recent {
    found: HashMap<Key, (Hash, Done)>,
    order: VecDeque<(Instant, Key)>,
}

impl Memory {
    /// One that survives the end of the process.
    #[must_use]
    pub fn stored(stored: Stored) -> Self {
        Self {
            stored: Some(stored),
            recent: Arc::default(),
        }
    }

    /// The result under a key; an error if it is for another body, or cannot be read.
    pub(super) async fn recall(
        &self,
        key: Key,
        fingerprint: Hash,
    ) -> Result<Option<Done>, Problem> {
        let recent = self.recent().recall(key, Instant::now());
        let found = match (recent, &self.stored) {
            (Some(found), _) => Some(found),
            (None, None) => None,
            (None, Some(stored)) => stored
                .get(key.0)
                .await
                .map_err(|error| unreadable(&error))?
                .map(|answer| (answer.fingerprint, Done::of_status(answer.status))),
        };
        match found {
            Some((known, _)) if known != fingerprint => Err(mismatch()),
            Some((_, done)) => Ok(Some(done)),
            None => Ok(None),
        }
    }

    /// Remembers. What cannot be written is remembered until the process ends: it was done, and its caller must hear that.
    pub(super) async fn keep(&self, key: Key, fingerprint: Hash, done: Done) {
        if let Some(stored) = &self.stored {
            let answer = StoredAnswer {
                fingerprint,
                status: done.status(),
                at_unix_s: unix_s(),
            };
            match stored.put(key.0, answer).await {
                Ok(()) => return,
                Err(error) => {
                    if let Some(Leave { left_out }) = STORE_FAILURES.pass("put answer") {
                        warn!(%error, left_out, "an idempotency key could not be stored; it is remembered until the end of this process");
                    }
                }
            }
        }
        self.recent().keep(key, fingerprint, done, Instant::now());
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn recall(&mut self, key: Key, now: Instant) -> Option<(Hash, Done)> {
        self.clear(now);
        self.found.get(&key).copied()
    }

    fn keep(&mut self, key: Key, fingerprint: Hash, done: Done, now: Instant) {
        self.clear(now);
        if self.found.insert(key, (fingerprint, done)).is_none() {
            self.order.push_back((now, key));
        }
        if self.order.len() > MAX_IDEMPOTENCY_KEYS_IN_MEMORY {
            self.drop_oldest();
        }
    }

    fn clear(&mut self, now: Instant) {
        let life = Duration::from_secs(IDEMPOTENCY_LIFE_S);
        while self
            .order
            .front()
            .is_some_and(|(kept, _)| now.duration_since(*kept) >= life)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.found.remove(&key);
        }
    }
}

impl Done {
    /// The stored status.
    const fn status(self) -> u16 {
        match self {
            Self::All => 200,
            Self::Some => 207,
        }
    }

    const fn of_status(status: u16) -> Self {
        match status {
            207 => Self::Some,
            _ => Self::All,
        }
    }
}

fn unreadable(error: &StoreError) -> Problem {
    if let Some(Leave { left_out }) = STORE_FAILURES.pass("get answer") {
        warn!(%error, left_out, "an idempotency key could not be looked up");
    }
    Problem::new(
        Kind::NotStored,
        "It could not be determined whether this was sent before, so nothing was sent. The bridge's log says why.",
    )
    .retry_after(RETRY_AFTER_S)
}

fn unix_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
