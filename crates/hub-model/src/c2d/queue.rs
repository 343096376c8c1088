//! Messages in order, each delivered to at most one receiver at a time.

use std::collections::VecDeque;
use std::fmt;

use crate::limits::TIME_STEP_MS;

/// The id of one delivery of a message. Receivers see it as delivery tag; it cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockToken(pub [u8; 16]);

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued<T> {
    /// Its place in the order; grows with every message.
    pub sequence: u64,
    /// When it is not to be handed out any more, Unix milliseconds.
    pub expires_unix_ms: u64,
    /// How often a receiver has given it back.
    pub delivery_count: u32,
    /// The entry.
    pub item: T,
}

/// The receiver's time with the message is over, or there never was any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The lock on the message was lost")]
pub struct LockLost;

/// The result of abandoning a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Abandoned<T> {
    /// It waits again, in its old place.
    Waits {
        /// Its place.
        sequence: u64,
        /// How often it has been given back by now.
        delivery_count: u32,
    },
    /// It was given back too often, and is out.
    Exceeded(Queued<T>),
}

/// The effects of time on a queue.
#[derive(Debug)]
pub(crate) struct Swept<T> {
    /// Messages that have expired.
    pub(crate) expired: Vec<Queued<T>>,
    /// Whether messages wait again because their receivers were too slow.
    pub(crate) freed: bool,
}

/// Messages with locks. Every method takes the time; a lock whose time is over counts for nothing, swept or not.
#[derive(Clone, Debug)]
pub(crate) struct LockQueue<T> {
    slots: VecDeque<Slot<T>>,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    queued: Queued<T>,
    lock: Option<Lock>,
}

#[derive(Clone, Copy, Debug)]
struct Lock {
    token: LockToken,
    since_unix_ms: u64,
    until_unix_ms: u64,
}

impl<T> Default for LockQueue<T> {
    fn default() -> Self {
        Self {
            slots: VecDeque::new(),
        }
    }
}

impl<T: Clone> LockQueue<T> {
    /// How many messages there are, locked ones included.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All messages, in their order.
    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Queued<T>> {
        self.slots.iter().map(|slot| &slot.queued)
    }

    /// Adds a message behind all others; its sequence must be higher than theirs.
    pub(crate) fn push(&mut self, queued: Queued<T>) {
        self.slots.push_back(Slot { queued, lock: None });
    }

    /// Locks and returns the first unlocked message, until `until_unix_ms`.
    pub(crate) fn lock(
        &mut self,
        token: LockToken,
        now: u64,
        until_unix_ms: u64,
    ) -> Option<Queued<T>> {
        let free = |slot: &&mut Slot<T>| !slot.is_locked(now) && slot.queued.expires_unix_ms > now;
        let slot = self.slots.iter_mut().find(free)?;
        slot.lock = Some(Lock {
            token,
            since_unix_ms: now,
            until_unix_ms,
        });
        Some(slot.queued.clone())
    }

    /// Removes a message permanently.
    pub(crate) fn take(&mut self, token: LockToken, now: u64) -> Result<Queued<T>, LockLost> {
        let at = self.locked(token, now)?;
        self.slots
            .remove(at)
            .map(|slot| slot.queued)
            .ok_or(LockLost)
    }

    /// Has a message wait again and counts that, unless it is the `max`th time.
    pub(crate) fn abandon(
        &mut self,
        token: LockToken,
        now: u64,
        max: u32,
    ) -> Result<Abandoned<T>, LockLost> {
        let at = self.locked(token, now)?;
        let slot = self.slots.get_mut(at).ok_or(LockLost)?;
        slot.lock = None;
        slot.queued.delivery_count = slot.queued.delivery_count.saturating_add(1);
        if slot.queued.delivery_count < max {
            return Ok(Abandoned::Waits {
                sequence: slot.queued.sequence,
                delivery_count: slot.queued.delivery_count,
            });
        }
        let slot = self.slots.remove(at).ok_or(LockLost)?;
        Ok(Abandoned::Exceeded(slot.queued))
    }

    /// Has a message wait again as if it had not been handed out.
    pub(crate) fn release(&mut self, token: LockToken) {
        let held = |slot: &&mut Slot<T>| slot.lock.is_some_and(|lock| lock.token == token);
        if let Some(slot) = self.slots.iter_mut().find(held) {
            slot.lock = None;
        }
    }

    /// Applies the time. A message that a receiver has does not expire before its lock does.
    pub(crate) fn sweep(&mut self, now: u64) -> Swept<T> {
        let mut freed = false;
        for slot in &mut self.slots {
            if slot.lock.is_some() && !slot.is_locked(now) {
                slot.lock = None;
                freed = true;
            }
        }
        let mut expired = Vec::new();
        self.slots.retain(|slot| {
            let out = slot.lock.is_none() && slot.queued.expires_unix_ms <= now;
            if out {
                expired.push(slot.queued.clone());
            }
            !out
        });
        Swept { expired, freed }
    }

    /// Removes the oldest unlocked message.
    pub(crate) fn drop_oldest(&mut self, now: u64) -> Option<Queued<T>> {
        let at = self.slots.iter().position(|slot| !slot.is_locked(now))?;
        self.slots.remove(at).map(|slot| slot.queued)
    }

    /// Takes everything out, locked or not.
    pub(crate) fn drain(&mut self) -> Vec<Queued<T>> {
        self.slots.drain(..).map(|slot| slot.queued).collect()
    }

    /// When [`sweep`](Self::sweep) has something to do.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let due = |slot: &Slot<T>| match slot.lock {
            Some(lock) => lock.until_unix_ms,
            None => slot.queued.expires_unix_ms,
        };
        self.slots.iter().map(due).min()
    }

    fn locked(&self, token: LockToken, now: u64) -> Result<usize, LockLost> {
        let holds = |slot: &Slot<T>| {
            slot.is_locked(now) && slot.lock.is_some_and(|lock| lock.token == token)
        };
        self.slots.iter().position(holds).ok_or(LockLost)
    }
}

impl<T> Slot<T> {
    fn is_locked(&self, now: u64) -> bool {
        self.lock.is_some_and(|lock| {
            // A lock that begins in the future is of before the time of day was set back: it would last as much longer.
            let is_sane = lock.since_unix_ms <= now.saturating_add(TIME_STEP_MS);
            is_sane && lock.until_unix_ms > now
        })
    }
}

impl fmt::Debug for LockToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockToken")
    }
}
