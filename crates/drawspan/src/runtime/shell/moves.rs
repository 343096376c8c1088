//! Devices that change their connection: those on one of whose slots too many are held by devices that left.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_bridge::fleet::Attempt;
use drawspan_bridge::{Now, State};

use super::Shell;
use crate::limits;

const INTERVAL: Duration = Duration::from_millis(limits::MOVE_INTERVAL_MS);

/// Who is to be moved. One device after the other: the rest of the connection works on meanwhile.
#[derive(Debug, Default)]
pub(super) struct Moves {
    waiting: VecDeque<Attempt>,
    next: Duration,
}

impl Moves {
    pub(super) const fn due(&self) -> Duration {
        self.next
    }
}

impl Shell {
    /// Moves the next few devices, and looks for more when there are none.
    pub(super) fn move_some(&mut self, now: Now) {
        if now.monotonic < self.moves.next {
            return;
        }
        self.moves.next = now.monotonic + INTERVAL;
        if self.moves.waiting.is_empty() {
            self.look_for_moves(now);
        }
        for _ in 0..limits::MOVES_AT_ONCE {
            let Some(attempt) = self.moves.waiting.pop_front() else {
                return;
            };
            if self.fleet.is_current(attempt) {
                self.fleet.relocate(attempt.device, now);
            }
        }
    }

    fn look_for_moves(&mut self, now: Now) {
        for pool in self.pools.values_mut() {
            let devices = pool.drain(now.monotonic);
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
        if !self.moves.waiting.is_empty() {
            let devices = self.moves.waiting.len();
            tracing::info!(
                devices,
                "a connection is replaced: devices that left hold most of its token slots"
            );
        }
    }
}
