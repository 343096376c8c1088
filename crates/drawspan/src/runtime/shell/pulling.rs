//! Cloud-to-device messages by asking: for devices without a subscription for them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use drawspan_bridge::Now;
use drawspan_bridge::fleet::Attempt;
use drawspan_client::{C2dDelivery, C2dOutcome, DeviceSession, SendFailure};
use drawspan_hub::{C2dMessage, DeviceId, FailureKind, Outcome, Receive, SubscriptionType};

use super::Shell;
use super::actions::owner;
use crate::devices::{DeviceError, Held};
use crate::limits::{C2D_HOLD_MS, PULL_GRACE_MS, PULLS_PER_DEVICE};
use crate::runtime::brought::Brought;
use crate::runtime::handle::QUEUE_FULL;
use crate::runtime::names;
use crate::runtime::pulls::Holding;
use crate::runtime::request::Reply;

const KIND: SubscriptionType = SubscriptionType::C2dMessages;

/// When messages are not held any more.
#[derive(Debug, Default)]
pub(super) struct Holds(BinaryHeap<Reverse<(Duration, u32, u32)>>);

impl Holds {
    pub(super) fn due(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }
}

impl Shell {
    /// A caller asks for a device's next message. Without `patience` it is told at once that there is none, when the hub has had
    /// time to send one.
    pub(super) fn receive(
        &mut self,
        device: &DeviceId,
        patience: bool,
        reply: Reply<Option<Held>>,
    ) {
        if self.table.of(device, KIND).is_some() {
            let _ = reply.send(Err(DeviceError::Subscribed));
            return;
        }
        let index = match self.index_of(device) {
            Ok(index) => index,
            Err(failure) => {
                let _ = reply.send(Err(DeviceError::Refused(failure)));
                return;
            }
        };
        let now = self.now();
        let grace = Duration::from_millis(PULL_GRACE_MS);
        if let Some(beside) = self.fleet.beside_mut(index) {
            beside.removed = false;
            let pulls = beside.pulls.get_or_insert_default();
            pulls.is_waited_for();
            if pulls.waiters.len() >= PULLS_PER_DEVICE {
                let _ = reply.send(Err(QUEUE_FULL));
                return;
            }
            let asked = pulls.asked.is_some_and(|at| at + grace <= now.monotonic);
            if asked && !patience && pulls.held.is_none() {
                let _ = reply.send(Ok(None));
            } else {
                pulls.waiters.push_back(reply);
                pulls.hand_out();
            }
        }
        self.fleet.used(index, now.monotonic, now);
        self.tell_wants(index);
        self.pull(index);
    }

    /// Asks the hub for a message, if somebody waits for one and the link is there.
    pub(super) fn pull(&mut self, index: u32) {
        let now = self.parts.clock.now();
        let Some(attempt) = self.fleet.attempt(index) else {
            return;
        };
        let connection = self.connection_of(attempt);
        let Some(beside) = self.fleet.beside_mut(index) else {
            return;
        };
        let session = beside.place.and_then(|place| place.session);
        let on_demand = beside.told.c2d == Receive::OnDemand && beside.up.c2d;
        let (Some(pulls), Some(session), Some(connection), true) =
            (&mut beside.pulls, session, connection, on_demand)
        else {
            return;
        };
        // One that is too busy is asked with the next request.
        if pulls.held.is_none() && pulls.is_waited_for() && connection.pull(owner(attempt), session)
        {
            pulls.asked.get_or_insert(now);
        }
    }

    /// A message came for a device that asks for them. False if it does not.
    pub(super) fn hold(
        &mut self,
        attempt: Attempt,
        session: DeviceSession,
        delivery: C2dDelivery,
        message: &C2dMessage,
    ) -> bool {
        let received = self.parts.clock.now();
        let until = received + Duration::from_millis(C2D_HOLD_MS);
        let (received_at, locked_until) = (self.calendar.at(received), self.calendar.at(until));
        let Some(beside) = self.fleet.beside_mut(attempt.device) else {
            return false;
        };
        let Some(pulls) = &mut beside.pulls else {
            return false;
        };
        pulls.asked = None;
        pulls.held = Some(Holding {
            token: names::secret(),
            attempt,
            session,
            delivery,
            message: message.clone(),
            _held: self.parts.inbox.hold(message.size_bytes()),
            received_at,
            locked_until,
            until,
        });
        pulls.hand_out();
        let hold = (until, attempt.device, attempt.serial);
        self.holds.0.push(Reverse(hold));
        true
    }

    /// A device says what became of its message.
    pub(super) fn settle(
        &mut self,
        device: &DeviceId,
        token: &str,
        outcome: Outcome,
        reply: Reply<()>,
    ) {
        let now = self.parts.clock.now();
        let index = self.fleet.find(device);
        let beside = index.and_then(|index| self.fleet.beside_mut(index));
        let pulls = beside.and_then(|beside| beside.pulls.as_mut());
        let held = pulls.and_then(|pulls| {
            pulls
                .held
                .take_if(|held| held.token == token && now < held.until)
        });
        match held {
            Some(held) => self.tell_outcome(held, outcome, Some(reply)),
            None => {
                let _ = reply.send(Err(DeviceError::LockLost));
            }
        }
    }

    /// Nobody said in time what became of messages, or may say so any more.
    pub(super) fn end_holds(&mut self, now: Now) {
        while let Some(Reverse((at, device, serial))) = self.holds.0.peek().copied() {
            if at > now.monotonic {
                return;
            }
            self.holds.0.pop();
            if self.fleet.is_current(Attempt { device, serial }) {
                self.let_go(device, |held| held.until <= now.monotonic);
            }
        }
    }

    /// The messages of a device go elsewhere from now on, but for the one that is held: whoever has it may be done with it.
    pub(super) fn end_pulls(&mut self, index: u32) {
        let Some(beside) = self.fleet.beside_mut(index) else {
            return;
        };
        let Some(pulls) = &mut beside.pulls else {
            return;
        };
        for waiter in pulls.waiters.drain(..) {
            let _ = waiter.send(Err(DeviceError::Subscribed));
        }
        if pulls.held.is_none() {
            beside.pulls = None;
        }
    }

    fn let_go(&mut self, index: u32, which: impl FnOnce(&mut Holding) -> bool) {
        let beside = self.fleet.beside_mut(index);
        let pulls = beside.and_then(|beside| beside.pulls.as_mut());
        if let Some(held) = pulls.and_then(|pulls| pulls.held.take_if(which)) {
            self.tell_outcome(held, Outcome::Leave, None);
        }
    }

    fn tell_outcome(&self, held: Holding, outcome: Outcome, reply: Option<Reply<()>>) {
        let Some(connection) = self.connection_of(held.attempt) else {
            if let Some(reply) = reply {
                let _ = reply.send(Err(DeviceError::LockLost));
            }
            return;
        };
        let brought = Arc::clone(&self.parts.brought);
        tokio::spawn(async move {
            let told = connection.settle_c2d(C2dOutcome {
                session: held.session,
                delivery: held.delivery,
                outcome,
            });
            let told = told.await.map_err(not_settled);
            brought.post(Brought::Settled(held.attempt));
            if let Some(reply) = reply {
                let _ = reply.send(told);
            }
        });
    }
}

fn not_settled(failure: SendFailure) -> DeviceError {
    match failure {
        SendFailure::Full => QUEUE_FULL,
        SendFailure::Stale | SendFailure::NotSent => DeviceError::LockLost,
        SendFailure::Unsettled => DeviceError::FateUnknown,
        SendFailure::Refused(failure) if failure.kind == FailureKind::LockLost => {
            DeviceError::LockLost
        }
        SendFailure::Refused(failure) => DeviceError::Refused(failure),
    }
}
