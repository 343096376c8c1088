//! What the shell remembers for a device, beside its machine.

use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::fleet::{self, ServiceId};
use drawspan_client::DeviceSession;
use drawspan_hub::{ConnectionKey, DeviceId, Failure, Links, Wants, WhichKey};
use tokio::sync::oneshot;

use super::directory::Route;
use super::pulls::Pulls;
use super::versions::Desired;

/// Somebody who waits for the device to be connected.
#[derive(Debug)]
pub(super) struct Waiter {
    /// A route that did not work for the caller; another one is needed.
    pub(super) not: Option<u32>,
    /// When the caller's time is up, monotonic.
    pub(super) deadline: Duration,
    pub(super) reply: oneshot::Sender<Result<Arc<Route>, Refusal>>,
}

/// Why there is no route, and when the device is tried again, as far as that is known.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) failure: Failure,
    pub(super) retry_in: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) waiters: Vec<Waiter>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) place: Option<Place>,
    /// What its connection was told that it is to have.
    pub(super) told: Wants,
    /// What it has of that.
    pub(super) up: Links,
    /// What is open about its desired properties.
    pub(super) desired: Desired,
    /// Messages that it asks for.
    pub(super) pulls: Option<Box<Pulls>>,
    /// What the hub does not let it have.
    pub(super) refused: Option<Box<Refused>>,
    /// The device's name at its hub, where DPS gave it another one.
    pub(super) assigned: Option<DeviceId>,
    /// The key that was used last.
    pub(super) key: Option<WhichKey>,
    /// The connection that took no more tokens.
    pub(super) full: Option<ConnectionKey>,
    /// It was removed: what DPS still says of it is not remembered.
    pub(super) removed: bool,
    /// What went wrong last. Shared by all who were on the same connection.
    pub(super) last_failure: Option<Arc<Noted>>,
}

/// Where an attempt is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) hub: ServiceId,
    pub(super) connection: ConnectionKey,
    /// Index in the connection's list of devices.
    pub(super) member: u32,
    /// Of the token that the hub may count for the device; `None` once it has refused it.
    pub(super) token_life_s: Option<u32>,
    /// Once it is open.
    pub(super) session: Option<DeviceSession>,
}

/// Links that a hub refused to a device, and when they are worth another try.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) links: Links,
    /// What was said last.
    pub(super) failure: Failure,
    /// One after the other.
    pub(super) times: u32,
    pub(super) retry_at: Duration,
    /// The attempt that is to be told then.
    pub(super) of: u32,
}

/// A failure, and when it happened.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) failure: Failure,
    pub(super) at_unix_s: u64,
}

impl fleet::Beside for Beside {
    fn is_waited_for(&self) -> bool {
        !self.waiters.is_empty()
    }

    fn may_be_forgotten(&self) -> bool {
        self.place.is_none()
            && self.pulls.as_ref().is_none_or(|pulls| pulls.is_idle())
            && self.waiters.iter().all(|waiter| waiter.reply.is_closed())
    }

    fn last_use(&self) -> Option<Duration> {
        self.route.as_ref()?.last_use()
    }
}

impl Beside {
    /// The device is connected: who waits for a route gets it, but for those who had just this one.
    pub(super) fn answer_waiters(&mut self) {
        let Some(route) = &self.route else { return };
        for waiter in std::mem::take(&mut self.waiters) {
            if waiter.not == Some(route.serial) {
                self.waiters.push(waiter);
            } else {
                // The caller may have given up; nothing is owed then.
                let _ = waiter.reply.send(Ok(Arc::clone(route)));
            }
        }
    }

    /// Refuses those for whose deadline there is a refusal.
    pub(super) fn refuse_waiters(&mut self, refusal: impl Fn(Duration) -> Option<Refusal>) {
        for waiter in std::mem::take(&mut self.waiters) {
            match refusal(waiter.deadline) {
                Some(refusal) => _ = waiter.reply.send(Err(refusal)),
                None => self.waiters.push(waiter),
            }
        }
    }
}
