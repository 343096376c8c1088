//! Counts of devices by state, updated with each change, so that reading them needs no iteration.

use super::{Context, Fleet};
use crate::State;

/// Devices by what they are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// Nothing.
    pub idle: usize,
    /// Waiting for a permit.
    pub queued: usize,
    /// Asking DPS for their hub.
    pub provisioning: usize,
    /// Opening.
    pub connecting: usize,
    /// Connected.
    pub connected: usize,
    /// Waiting for the next attempt.
    pub waiting: usize,
    /// Stepped back, since somebody else holds them.
    pub yielded: usize,
    /// Closing.
    pub closing: usize,
}

impl StateCounts {
    pub(super) const fn add(&mut self, state: State) {
        let count = self.of(state);
        *count += 1;
    }

    pub(super) const fn remove(&mut self, state: State) {
        let count = self.of(state);
        *count = count.saturating_sub(1);
    }

    const fn of(&mut self, state: State) -> &mut usize {
        match state {
            State::Idle => &mut self.idle,
            State::Queued => &mut self.queued,
            State::Provisioning => &mut self.provisioning,
            State::Connecting => &mut self.connecting,
            State::Connected { .. } => &mut self.connected,
            State::Waiting { .. } => &mut self.waiting,
            State::Yielded { .. } => &mut self.yielded,
            State::Closing => &mut self.closing,
        }
    }
}

impl<B: Context> Fleet<B> {
    /// Counts of devices by state. The cost does not depend on the number of devices.
    #[must_use]
    pub const fn state_counts(&self) -> StateCounts {
        self.state_counts
    }
}
