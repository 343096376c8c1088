//! Messages that devices ask for.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_bridge::fleet::Attempt;
use drawspan_client::{C2dDelivery, DeviceSession, HeldBytes};
use drawspan_hub::{C2dMessage, UtcTime};

use super::request::Reply;
use crate::devices::Held;

/// A device that asks for its messages.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    /// Who waits for the next one, in turn.
    pub(super) waiters: VecDeque<Reply<Option<Held>>>,
    /// The one that is out.
    pub(super) held: Option<Holding>,
    /// Since when the hub may send one.
    pub(super) asked: Option<Duration>,
}

/// A message that is held for its device.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) token: String,
    pub(super) attempt: Attempt,
    pub(super) session: DeviceSession,
    pub(super) delivery: C2dDelivery,
    pub(super) message: C2dMessage,
    /// Its share of what may be held.
    pub(super) _held: HeldBytes,
    pub(super) received_at: UtcTime,
    pub(super) locked_until: UtcTime,
    /// The same, monotonic.
    pub(super) until: Duration,
}

impl Pulls {
    /// Whether nobody would miss it.
    pub(super) fn is_idle(&self) -> bool {
        self.held.is_none() && self.waiters.iter().all(Reply::is_closed)
    }

    /// The device is not connected any more. True if nobody waits for a message.
    pub(super) fn is_disconnected(&mut self) -> bool {
        self.held = None;
        self.asked = None;
        !self.is_waited_for()
    }

    /// Hands the message that is held to the first who still waits. It stays held.
    pub(super) fn hand_out(&mut self) {
        let Some(held) = &self.held else { return };
        while let Some(waiter) = self.waiters.pop_front() {
            if !waiter.is_closed() && waiter.send(Ok(Some(held.shown()))).is_ok() {
                return;
            }
        }
    }

    /// Whether somebody waits.
    pub(super) fn is_waited_for(&mut self) -> bool {
        self.waiters.retain(|waiter| !waiter.is_closed());
        !self.waiters.is_empty()
    }
}

impl Holding {
    pub(super) fn shown(&self) -> Held {
        Held {
            lock_token: self.token.clone(),
            locked_until: self.locked_until,
            received_at: self.received_at,
            message: self.message.clone(),
        }
    }
}
