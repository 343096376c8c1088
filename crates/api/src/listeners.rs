//! The places of those who listen to a stream that does not end: in all, and of one API key, so that each key finds one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drawspan_gateway::limits::RETRY_AFTER_S;
use tokio::sync::watch;

use super::problem::{Kind, Problem};
use crate::limits::{MAX_LISTENERS, MAX_LISTENERS_PER_KEY};

/// Listeners by the number of their API key.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    by_key: Mutex<HashMap<u32, usize>>,
    ends: watch::Sender<()>,
}

/// The place of one, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    listeners: Arc<Listeners>,
    key: u32,
    ends: watch::Receiver<()>,
}

impl Listeners {
    /// A place for a listener with this key, if there is one.
    pub(super) fn admit(self: &Arc<Self>, key: u32) -> Result<Place, Problem> {
        let mut by_key = self.lock();
        let all: usize = by_key.values().sum();
        let of_key = by_key.get(&key).copied().unwrap_or_default();
        if of_key >= MAX_LISTENERS_PER_KEY || all >= MAX_LISTENERS {
            let detail = format!(
                "There are {all} listeners, {of_key} of them with this API key; at most {MAX_LISTENERS}, and {MAX_LISTENERS_PER_KEY} \
                 with one key, are served. Share one stream."
            );
            let problem = Problem::new(Kind::TooManyListeners, detail);
            return Err(problem.retry_after(RETRY_AFTER_S));
        }
        by_key.insert(key, of_key + 1);
        Ok(Place {
            listeners: Arc::clone(self),
            key,
            ends: self.ends.subscribe(),
        })
    }

    /// Ends all streams: API keys have changed, and each listener is to show its key again.
    pub(super) fn end_all(&self) {
        self.ends.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, usize>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Resolves when the stream is to end.
    pub(super) async fn ended(&mut self) {
        // The sender lives as long as this place.
        let _ = self.ends.changed().await;
    }

    /// Whether it is to end.
    pub(super) fn is_ended(&self) -> bool {
        self.ends.has_changed().unwrap_or(true)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_key = self.listeners.lock();
        let left = by_key.get(&self.key).copied().unwrap_or_default();
        match left {
            0 | 1 => by_key.remove(&self.key),
            more => by_key.insert(self.key, more - 1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_takes_all_places_and_each_place_is_given_back() {
        let listeners = Arc::new(Listeners::default());
        let take = |key: u32| -> Vec<_> {
            let places = std::iter::from_fn(|| listeners.admit(key).ok());
            places.collect()
        };
        let first = take(1);
        assert_eq!(first.len(), MAX_LISTENERS_PER_KEY);
        const { assert!(MAX_LISTENERS_PER_KEY < MAX_LISTENERS) };
        let problem = listeners.admit(1).unwrap_err();
        assert_eq!(problem.kind(), Kind::TooManyListeners);
        let others: Vec<_> = (2..100).flat_map(take).collect();
        assert_eq!(first.len() + others.len(), MAX_LISTENERS);
        drop((first, others));
        assert!(listeners.lock().is_empty());
    }
}
