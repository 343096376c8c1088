//! Devices that change their connection, because others that left hold too many of its slots.

use std::time::Duration;

use drawspan_bridge::State;

use super::Shell;

/// Devices that move at a time.
const AT_ONCE: usize = 5;

impl Shell {
    /// Looks for devices that are to be moved. True if there are any.
    pub(crate) fn looks_for_moves(&mut self, now: Duration) -> bool {
        if self.moves.is_empty() {
            for pool in self.pools.values_mut() {
                let line = pool
                    .ledger
                    .drain(usize::MAX, now)
                    .and_then(|key| pool.lines.get(&key));
                let link = line.and_then(|line| self.links.get(line));
                let members = link.into_iter().flat_map(|link| &link.members);
                let connected = members.filter(|index| {
                    let machine = self.fleet.machine(**index);
                    machine.is_some_and(|it| matches!(it.state(), State::Connected { .. }))
                });
                let attempts = connected.filter_map(|index| self.fleet.attempt(*index));
                self.moves.extend(attempts);
            }
        }
        !self.moves.is_empty()
    }

    /// Some of them move.
    pub(crate) fn moves(&mut self, now: Duration) {
        for _ in 0..AT_ONCE {
            let Some(attempt) = self.moves.pop_front() else {
                return;
            };
            if self.fleet.is_current(attempt) {
                self.tally.note("moves");
                self.touched.insert(attempt.device);
                let time = self.now(now);
                self.fleet.relocate(attempt.device, time);
            }
        }
    }
}
