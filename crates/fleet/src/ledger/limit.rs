//! The number of identities that a hub accepts per connection, if it is lower than documented.
//!
//! A refusal teaches the limit of one connection. When two connections were refused, the larger of their limits is expected
//! of all others and of new ones, unless another connection holds more than that. When a further connection would be needed
//! and some time has passed since, one connection is tried with twice as many.

use std::time::Duration;

use super::{ConnectionKey, Ledger, Slots};
use crate::limits::TOKEN_LIMIT_HOLDS;

/// Number of connections that must have been refused before others are expected to have the same limit.
const REFUSED_CONNECTIONS: usize = 2;

/// How many identities a hub takes on any connection, as far as known.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) slots: usize,
    /// More may be tried from then on.
    grows_at: Duration,
    /// The connection on which more is tried.
    trial: Option<ConnectionKey>,
}

impl Limit {
    pub(super) const fn new(slots: usize) -> Self {
        Self {
            slots,
            grows_at: Duration::ZERO,
            trial: None,
        }
    }
}

impl Ledger {
    /// The hub said that a connection takes no more tokens: it gets no new identities, until slots of it expire. The device
    /// that was refused is still placed there; it leaves without a token.
    pub fn filled(&mut self, key: ConnectionKey, now: Duration) {
        self.change(key, Slots::fill);
        self.limit.grows_at = now + TOKEN_LIMIT_HOLDS;
        self.learn();
    }

    /// The limit that refused connections imply for all others.
    pub(super) fn learn(&mut self) {
        let (mut refused, mut learned, mut most) = (0, 1, 0);
        for slots in self.connections.values() {
            match slots.learned() {
                Some(limit) => {
                    refused += 1;
                    learned = limit.max(learned);
                }
                None => most = slots.used().max(most),
            }
        }
        // One alone may count identities that are not known here.
        if refused >= REFUSED_CONNECTIONS && learned >= most {
            self.expect(learned);
        }
    }

    fn expect(&mut self, slots: usize) {
        if self.limit.slots == slots {
            return;
        }
        self.limit.slots = slots;
        for key in self.keys() {
            self.change(key, |connection| connection.expect(slots));
        }
    }

    /// Makes room by trying more identities on one connection than the hub took last; on all, once that one has taken them.
    pub(super) fn grow(&mut self, now: Duration) {
        let most = self.config.slots_per_connection;
        if now < self.limit.grows_at || self.limit.slots >= most {
            return;
        }
        self.limit.grows_at = now + TOKEN_LIMIT_HOLDS;
        let tried = self.limit.trial.take();
        let tried = tried.and_then(|key| self.connections.get(&key));
        let taken = tried.filter(|slots| slots.learned().is_none());
        if let Some(taken) = taken.map(Slots::used)
            && taken > self.limit.slots
        {
            self.limit.slots = taken;
            for key in self.keys() {
                self.change(key, |connection| connection.doubt(taken));
            }
            return;
        }
        let draining = self.draining;
        let candidates = self.connections.iter();
        let candidates = candidates.filter(|(key, _)| Some(**key) != draining);
        let fullest = candidates.max_by_key(|(key, slots)| (slots.used(), **key));
        if let Some(key) = fullest.map(|(key, _)| *key) {
            let slots = (self.limit.slots * 2).min(most);
            self.limit.trial = Some(key);
            self.change(key, |connection| connection.doubt(slots));
        }
    }

    fn keys(&self) -> Vec<ConnectionKey> {
        self.connections.keys().copied().collect()
    }
}
