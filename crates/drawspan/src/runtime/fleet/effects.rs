//! The machines: inputs go in, effects are carried out.

use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::device::{Epoch, How};
use drawspan_bridge::{Effect, Effects, Input, Jitter, Now};
use drawspan_client::{Open, Owner, WhichKey, limits};
use drawspan_hub::{Failure, FailureKind};

use super::Fleet;
use crate::runtime::entry::Attempt;

impl Fleet {
    pub(super) fn feed(&mut self, index: u32, input: Input<'_>) {
        let now = self.now();
        let jitter = Jitter(random());
        let Some(entry) = self.entry(index) else {
            return;
        };
        let effects = entry.machine.handle(input, now, jitter);
        self.carry_out(index, effects, now.monotonic);
        self.set_timer(index);
        self.forget_if_idle(index, now);
    }

    pub(super) fn carry_out(&mut self, index: u32, effects: Effects, now: Duration) {
        for effect in effects {
            match effect {
                Effect::RequestPermit { epoch } => {
                    let waited_for = self
                        .entry(index)
                        .is_some_and(|entry| !entry.waiters.is_empty());
                    let queue = if waited_for {
                        &mut self.asked
                    } else {
                        &mut self.queue
                    };
                    queue.push_back((index, epoch));
                }
                Effect::ReturnPermit { .. } => self.governor.give_back(now),
                Effect::Open { epoch, how } => self.open(index, epoch, how),
                Effect::Close { epoch } => self.close(index, epoch),
                Effect::StatusChanged { status, reason } => {
                    if let Some(entry) = self.entry(index) {
                        tracing::debug!(device = %entry.id, status = status.as_str(), reason = reason.as_str());
                    }
                }
                // Every device of this profile has its hub from the start.
                Effect::Provision { .. } => {}
            }
        }
    }

    /// `how` asks for a fresh token, which every connection makes for itself, or for another connection, which a full
    /// one sees to.
    pub(super) fn open(&mut self, index: u32, epoch: Epoch, _how: How) {
        self.next_serial = self.next_serial.wrapping_add(1);
        let serial = self.next_serial;
        let Some(device) = self.entry(index).map(|entry| entry.id.clone()) else {
            return;
        };
        let (key, connection) = self.pool.place(&device);
        let Some(entry) = self.entry(index) else {
            return;
        };
        entry.attempt = Some(Attempt {
            serial,
            epoch,
            connection: key,
            session: None,
        });
        let owner = Owner {
            index,
            epoch: serial,
        };
        let open = Open {
            owner,
            device: entry.id.clone(),
            key: WhichKey::Primary,
            // A policy's token has a life of its own.
            token_life_s: limits::TOKEN_LIFE_MIN_S,
        };
        if !connection.open(open) {
            let text = "the connection is over, or has too much to do";
            let failure = Failure::local(FailureKind::ConnectionLost, text);
            self.down(
                owner,
                |epoch| Input::OpenFailed {
                    epoch,
                    failure: &failure,
                },
                Some(&failure),
            );
        }
    }

    pub(super) fn close(&mut self, index: u32, epoch: Epoch) {
        let directory = Arc::clone(&self.directory);
        let Some(entry) = self.entry(index) else {
            return;
        };
        if entry.route.take().is_some() {
            directory.remove(&entry.id);
        }
        let Some(attempt) = entry.attempt else {
            return self.feed(index, Input::Closed { epoch });
        };
        let owner = Owner {
            index,
            epoch: attempt.serial,
        };
        let connection = self.pool.get(attempt.connection);
        if !connection.is_some_and(|connection| connection.close(owner, attempt.session)) {
            // Nobody is left to answer; should the session still stand, the hub gives the device to the next one.
            self.down(owner, |epoch| Input::Closed { epoch }, None);
        }
    }

    pub(super) fn set_timer(&mut self, index: u32) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        let Some(at) = entry.machine.next_deadline() else {
            return;
        };
        if entry.timer.is_none_or(|timer| at < timer) {
            entry.timer = Some(at);
            self.timers.set(at, index);
        }
    }

    pub(super) fn forget_if_idle(&mut self, index: u32, now: Now) {
        let Some(entry) = self.entry(index) else {
            return;
        };
        if !entry.machine.is_forgettable(now)
            || entry.attempt.is_some()
            || !entry.waiters.is_empty()
        {
            return;
        }
        let id = entry.id.clone();
        self.by_id.remove(&id);
        if let Some(slot) = self.entries.get_mut(index as usize) {
            *slot = None;
            self.free.push(index);
        }
    }
}

/// Chance for waits. Nothing secret hangs on it: the standard library's seeded hasher is random enough.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    thread_local!(static STATE: (RandomState, std::cell::Cell<u64>) = (RandomState::new(), std::cell::Cell::new(0)));
    STATE.with(|(state, counter)| {
        counter.set(counter.get().wrapping_add(1));
        state.hash_one(counter.get())
    })
}
