//! State that the controller keeps for a device in addition to its machine.

use std::sync::Arc;
use std::time::Duration;

use drawspan_fleet::{self as fleet, CallerId, ServiceId};
use drawspan_hub::{ConnectionKey, DeviceId, Failure, Links, Wants, WhichKey};

use super::desired_marks::Desired;
use super::holds::Pulls;
use super::platform::{Caller as _, Platform, Route as _};
use super::response::Refusal;

/// A caller that waits for the device to be connected.
#[derive(Debug)]
pub struct Waiter<P: Platform> {
    /// The attempt of a route that did not work for the caller; another one is needed.
    pub not: Option<u32>,
    /// In whose turn the device goes.
    pub who: CallerId,
    /// When the caller's time is up, monotonic.
    pub deadline: Duration,
    /// The waiting callers.
    pub caller: P::Caller,
}

/// Everything about a device but its machine.
#[derive(Debug)]
pub struct DeviceContext<P: Platform> {
    pub(super) waiters: Vec<Waiter<P>>,
    /// The way to it, while it is connected.
    pub route: Option<P::Route>,
    /// The place of its attempt.
    pub place: Option<Member<P::Session>>,
    /// The links that were requested of its connection.
    pub(super) told: Wants,
    /// The links that it has.
    pub up: Links,
    pub(super) desired: Desired,
    /// The desired properties that its receiver has at the version of its mark, if they are few.
    pub(super) section: Option<Box<str>>,
    /// Messages that it asks for.
    pub(super) pulls: Option<Box<Pulls<P>>>,
    /// Links that its hub does not let it have.
    pub refused: Option<Box<RefusedLinks>>,
    /// The device's name at its hub, where DPS gave it another one.
    pub assigned: Option<DeviceId>,
    /// The key that was used last.
    pub(super) key: Option<WhichKey>,
    /// The connection that took no more tokens.
    pub(super) full: Option<ConnectionKey>,
    /// It was removed: what DPS still says of it is not remembered.
    pub(super) removed: bool,
    /// The last failure. Shared by all devices on the same connection.
    pub last_failure: Option<Arc<Noted>>,
}

/// The place of an attempt on a connection.
#[derive(Debug, Clone, Copy)]
pub struct Member<S> {
    /// Its hub.
    pub hub: ServiceId,
    /// The connection that the device is on.
    pub connection: ConnectionKey,
    /// Index in the connection's list of devices.
    pub member: u32,
    /// Lifetime of the token that the hub may count for the device; `None` once it has refused it.
    pub(super) token_life_s: Option<u32>,
    /// Its session, once it is open.
    pub session: Option<S>,
}

/// Links that a hub refused to a device, and when they are worth another try.
#[derive(Debug)]
pub struct RefusedLinks {
    /// Which.
    pub links: Links,
    /// Refusals, one after the other.
    pub(super) times: u32,
    pub(super) retry_at: Duration,
    /// The attempt for which the retry is planned.
    pub(super) of: u32,
}

/// A failure, and when it happened.
#[derive(Debug)]
pub struct Noted {
    /// The failure.
    pub failure: Failure,
    /// Who caused it, in one line for people.
    pub detail: Arc<str>,
    /// When.
    pub at_unix_s: u64,
}

impl<P: Platform> Default for DeviceContext<P> {
    fn default() -> Self {
        Self {
            waiters: Vec::new(),
            route: None,
            place: None,
            told: Wants::default(),
            up: Links::default(),
            desired: Desired::default(),
            section: None,
            pulls: None,
            refused: None,
            assigned: None,
            key: None,
            full: None,
            removed: false,
            last_failure: None,
        }
    }
}

impl<P: Platform> fleet::Context for DeviceContext<P> {
    fn callers(&self) -> impl Iterator<Item = CallerId> {
        let waiters = self.waiters.iter();
        let stays = |waiter: &&Waiter<P>| !waiter.caller.is_gone() && !waiter.caller.has_hung_up();
        waiters.filter(stays).map(|waiter| waiter.who)
    }

    fn may_be_forgotten(&self) -> bool {
        self.place.is_none()
            && self.pulls.as_ref().is_none_or(|pulls| pulls.is_idle())
            && self.waiters.iter().all(|waiter| waiter.caller.is_gone())
    }

    fn last_use(&self) -> Option<Duration> {
        self.route.as_ref()?.last_use()
    }
}

impl<P: Platform> DeviceContext<P> {
    /// Takes out those who wait for a route and may have this one: all but those for whom just this one did not work.
    pub(super) fn take_served(&mut self, route: &P::Route) -> Vec<P::Caller> {
        let not = Some(route.serial());
        let (kept, served): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter| waiter.not == not);
        self.waiters = kept;
        served.into_iter().map(|waiter| waiter.caller).collect()
    }

    /// Takes out those for whose deadline there is a refusal.
    pub(super) fn take_refused(
        &mut self,
        refusal: impl Fn(Duration) -> Option<Refusal>,
    ) -> Vec<(P::Caller, Refusal)> {
        let mut refused = Vec::new();
        for waiter in std::mem::take(&mut self.waiters) {
            match refusal(waiter.deadline) {
                Some(refusal) => refused.push((waiter.caller, refusal)),
                None => self.waiters.push(waiter),
            }
        }
        refused
    }
}
