//! Messages that are held for devices that poll.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_hub::{AttemptId, C2dMessage, UtcTime};

use super::platform::{Caller as _, Platform};
use super::response::Held;

/// A device that asks for its messages.
#[derive(Debug)]
pub(super) struct Pulls<P: Platform> {
    /// Callers that wait for the next message, in turn.
    pub(super) waiters: VecDeque<P::Caller>,
    /// The one that is out.
    pub(super) held: Option<Holding<P>>,
    /// Since when the hub may send one.
    pub(super) asked: Option<Duration>,
}

/// A message that is held for its device.
#[derive(Debug)]
pub(super) struct Holding<P: Platform> {
    pub(super) token: String,
    pub(super) attempt: AttemptId,
    pub(super) session: P::Session,
    pub(super) delivery: P::Delivery,
    pub(super) message: C2dMessage,
    pub(super) _share: P::Share,
    pub(super) received_at: UtcTime,
    pub(super) locked_until: UtcTime,
    /// The same, monotonic.
    pub(super) until: Duration,
}

impl<P: Platform> Default for Pulls<P> {
    fn default() -> Self {
        Self {
            waiters: VecDeque::new(),
            held: None,
            asked: None,
        }
    }
}

impl<P: Platform> Pulls<P> {
    /// Whether the entry can be dropped.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_none() && self.waiters.iter().all(P::Caller::is_gone)
    }

    /// The device is no longer connected. True if no caller waits for a message.
    pub(super) fn is_disconnected(&mut self) -> bool {
        self.held = None;
        self.asked = None;
        !self.is_waited_for()
    }

    /// The first who still waits, and the message that is held for the device. It stays held.
    pub(super) fn hand_out(&mut self) -> Option<(P::Caller, Box<Held>)> {
        let held = self.held.as_ref()?;
        loop {
            let caller = self.waiters.pop_front()?;
            if !caller.is_gone() {
                return Some((caller, Box::new(held.shown())));
            }
        }
    }

    /// Whether somebody waits.
    pub(super) fn is_waited_for(&mut self) -> bool {
        self.waiters.retain(|caller| !caller.is_gone());
        !self.waiters.is_empty()
    }
}

impl<P: Platform> Holding<P> {
    fn shown(&self) -> Held {
        Held {
            lock_token: self.token.clone(),
            locked_until: self.locked_until,
            received_at: self.received_at,
            message: self.message.clone(),
        }
    }
}
