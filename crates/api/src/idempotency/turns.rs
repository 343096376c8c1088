//! Turns of requests with the same key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drawspan_gateway::limits::RETRY_AFTER_S;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::{Hash, Key, mismatch};
use crate::limits::MAX_IDEMPOTENT_UNDER_WAY;
use crate::problem::{Kind, Problem};

/// Keys of requests under way. An entry is there while somebody has or awaits its turn.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Key, UnderWay>>);

#[derive(Debug)]
struct UnderWay {
    fingerprint: Hash,
    /// One permit, given to those who wait in the order of their coming.
    turn: Arc<Semaphore>,
    /// The number of requests that hold or await the turn.
    users: usize,
}

/// A request's turn.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    // Given back before the membership is.
    _permit: OwnedSemaphorePermit,
    _membership: Membership<'a>,
}

/// A membership among those who have or await a turn.
#[derive(Debug)]
struct Membership<'a> {
    turns: &'a Turns,
    key: Key,
}

impl Turns {
    /// Waits for the turn.
    ///
    /// # Errors
    /// See [`Idempotency::claim`](super::Idempotency::claim).
    pub(super) async fn take(
        &self,
        key: Key,
        fingerprint: Hash,
        deadline: Instant,
    ) -> Result<Turn<'_>, Problem> {
        let turn = self.enter(key, fingerprint)?;
        let membership = Membership { turns: self, key };
        match timeout_at(deadline, turn.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn {
                _permit: permit,
                _membership: membership,
            }),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Problem::new(
                Kind::NotSent,
                "A request with this Idempotency-Key is still under way; nothing was sent for this one.",
            )
            .retry_after(RETRY_AFTER_S)),
        }
    }

    fn enter(&self, key: Key, fingerprint: Hash) -> Result<Arc<Semaphore>, Problem> {
        let mut known = self.known();
        let full = known.len() >= MAX_IDEMPOTENT_UNDER_WAY;
        match known.entry(key) {
            Entry::Occupied(entry) if entry.get().fingerprint != fingerprint => Err(mismatch()),
            Entry::Occupied(mut entry) => {
                let under_way = entry.get_mut();
                under_way.users += 1;
                Ok(Arc::clone(&under_way.turn))
            }
            Entry::Vacant(_) if full => Err(Problem::new(
                Kind::QueueFull,
                "Too many requests with an Idempotency-Key are under way; nothing was sent.",
            )
            .retry_after(RETRY_AFTER_S)),
            Entry::Vacant(entry) => {
                let under_way = entry.insert(UnderWay {
                    fingerprint,
                    turn: Arc::new(Semaphore::new(1)),
                    users: 1,
                });
                Ok(Arc::clone(&under_way.turn))
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, UnderWay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.known().is_empty()
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let mut known = self.turns.known();
        if let Entry::Occupied(mut entry) = known.entry(self.key) {
            let under_way = entry.get_mut();
            under_way.users -= 1;
            if under_way.users == 0 {
                entry.remove();
            }
        }
    }
}
