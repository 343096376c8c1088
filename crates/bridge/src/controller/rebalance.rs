//! Rebalancing: drains connections on which departed devices still hold most token slots.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_fleet::State;
use drawspan_hub::AttemptId;

use super::Controller;
use super::action::{Action, Note};
use super::platform::Platform;
use super::pool::Pool;
use crate::limits::{MOVE_INTERVAL, MOVES_AT_ONCE};

/// Devices that are to change their connection. One after the other: the rest of the connection works on meanwhile.
#[derive(Debug, Default)]
pub(super) struct Moves {
    waiting: VecDeque<AttemptId>,
    next: Duration,
}

impl<P: Platform> Controller<P> {
    /// When there is something to move, or to be looked at.
    pub(super) fn moves_due(&self) -> Option<Duration> {
        let next = self.moves.next;
        if !self.moves.waiting.is_empty() {
            return Some(next);
        }
        let pools = self.pools.values();
        let due = pools.filter_map(Pool::drain_due).min();
        due.map(|due| due.max(next))
    }

    /// Moves the next few devices, and searches for more when the list is empty.
    pub(super) fn move_some(&mut self) {
        let now = self.now;
        if now.monotonic < self.moves.next {
            return;
        }
        self.moves.next = now.monotonic + MOVE_INTERVAL;
        if self.moves.waiting.is_empty() {
            self.look_for_moves();
        }
        for _ in 0..MOVES_AT_ONCE {
            let Some(attempt) = self.moves.waiting.pop_front() else {
                return;
            };
            if self.fleet.is_current(attempt) && self.is_to_move(attempt) {
                self.fleet.relocate(attempt.device, now);
            }
        }
    }

    /// Not if there is no place for it elsewhere any more.
    fn is_to_move(&mut self, attempt: AttemptId) -> bool {
        let context = self.fleet.context(attempt.device);
        let place = context.and_then(|context| context.place);
        place.is_some_and(|place| {
            let pool = self.pools.get_mut(&place.hub);
            pool.is_some_and(|pool| pool.is_drained(place.connection))
        })
    }

    fn look_for_moves(&mut self) {
        let now = self.now.monotonic;
        for pool in self.pools.values_mut() {
            let devices = pool.drain(now);
            // Others are on their way already, or are looked for again.
            let connected = |index: &u32| {
                let machine = self.fleet.machine(*index);
                machine.is_some_and(|it| matches!(it.state(), State::Connected { .. }))
            };
            let attempts = devices
                .into_iter()
                .filter(connected)
                .filter_map(|index| self.fleet.attempt(index));
            self.moves.waiting.extend(attempts);
        }
        // Slots may have expired.
        let hubs: Vec<_> = self.pools.keys().copied().collect();
        for hub in hubs {
            self.look_for_room(hub);
        }
        let devices = self.moves.waiting.len();
        if devices > 0 {
            self.act(Action::Note(Note::Draining(devices)));
        }
    }
}
