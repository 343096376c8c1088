//! Cloud-to-device messages by polling, for devices without a subscription for them.

use drawspan_fleet::CallerId;
use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_hub::{AttemptId, C2dMessage, DeviceId, Outcome, Receive, SubscriptionType};

use super::Controller;
use super::action::Action;
use super::holds::Holding;
use super::platform::Platform;
use super::response::{RequestError, Response};
use crate::limits::{C2D_HOLD, PULL_GRACE, PULLS_PER_DEVICE};

const KIND: SubscriptionType = SubscriptionType::C2dMessages;

impl<P: Platform> Controller<P> {
    /// A caller asks for a device's next message. Without `patience` the answer comes at once if there is no message, after the hub
    /// has had time to send one.
    pub(super) fn receive(&mut self, device: &DeviceId, patience: bool, caller: P::Caller) {
        if self.table.of(device, KIND).is_some() {
            return self.fail(caller, RequestError::Subscribed);
        }
        let index = match self.index_of(device) {
            Ok(index) => index,
            Err(failure) => return self.fail(caller, RequestError::Refused(failure)),
        };
        let now = self.now;
        let Some(context) = self.fleet.context_mut(index) else {
            debug_assert!(false, "{device} without context");
            return;
        };
        context.removed = false;
        let pulls = context.pulls.get_or_insert_default();
        pulls.is_waited_for();
        if pulls.waiters.len() >= PULLS_PER_DEVICE {
            return self.fail(caller, RequestError::QueueFull);
        }
        let asked = pulls
            .asked
            .is_some_and(|at| at + PULL_GRACE <= now.monotonic);
        if asked && !patience && pulls.held.is_none() {
            self.answer(caller, Response::Message(None));
        } else {
            pulls.waiters.push_back(caller);
            self.hand_out(index);
        }
        self.fleet
            .used(index, CallerId::default(), now.monotonic, now);
        self.tell_wants(index);
        self.pull(index);
    }

    /// Gives the held message to the first caller that still waits.
    fn hand_out(&mut self, index: u32) {
        let context = self.fleet.context_mut(index);
        let pulls = context.and_then(|context| context.pulls.as_mut());
        if let Some((caller, held)) = pulls.and_then(|pulls| pulls.hand_out()) {
            self.answer(caller, Response::Message(Some(held)));
        }
    }

    /// Asks the hub for a message, if somebody waits for one and the link is there.
    pub(super) fn pull(&mut self, index: u32) {
        let now = self.now.monotonic;
        let Some(place) = self.open_place(index) else {
            return;
        };
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        let on_demand = context.told.c2d == Receive::OnDemand && context.up.c2d;
        let Some(pulls) = context.pulls.as_mut().filter(|_| on_demand) else {
            return;
        };
        if pulls.held.is_none() && pulls.is_waited_for() {
            pulls.asked.get_or_insert(now);
            self.act(Action::Pull(place));
        }
    }

    /// A message came for a device that asks for them. Dropped where the device does not: with its link it goes back to the hub.
    pub(super) fn hold(
        &mut self,
        attempt: AttemptId,
        session: P::Session,
        delivery: P::Delivery,
        message: C2dMessage,
        share: P::Share,
    ) {
        let received = self.now.monotonic;
        let until = received + C2D_HOLD;
        let (received_at, locked_until) = (self.wall_clock.at(received), self.wall_clock.at(until));
        let context = self.fleet.context_mut(attempt.device);
        let Some(pulls) = context.and_then(|context| context.pulls.as_mut()) else {
            return;
        };
        pulls.asked = None;
        pulls.held = Some(Holding {
            token: self.secrets.draw(),
            attempt,
            session,
            delivery,
            message,
            _share: share,
            received_at,
            locked_until,
            until,
        });
        self.holds.add(until, attempt);
        self.hand_out(attempt.device);
    }

    /// A device says what became of its message.
    pub(super) fn settle(
        &mut self,
        device: &DeviceId,
        token: &str,
        outcome: Outcome,
        caller: P::Caller,
    ) {
        let now = self.now.monotonic;
        let index = self.fleet.find(device);
        let context = index.and_then(|index| self.fleet.context_mut(index));
        let pulls = context.and_then(|context| context.pulls.as_mut());
        let held = pulls.and_then(|pulls| {
            let is_this = |held: &mut Holding<P>| held.token == token && now < held.until;
            pulls.held.take_if(is_this)
        });
        match held {
            Some(held) => self.settle_held(&held, outcome, Some(caller)),
            None => self.fail(caller, RequestError::LockLost),
        }
    }

    /// Ends holds whose message was not settled in time.
    pub(super) fn end_holds(&mut self) {
        let now = self.now.monotonic;
        while let Some(attempt) = self.holds.pop_due(now) {
            if !self.fleet.is_current(attempt) || planted(Mutation::HoldKept) {
                continue;
            }
            let context = self.fleet.context_mut(attempt.device);
            let pulls = context.and_then(|context| context.pulls.as_mut());
            let held = pulls.and_then(|pulls| pulls.held.take_if(|held| held.until <= now));
            if let Some(held) = held {
                self.settle_held(&held, Outcome::Leave, None);
            }
        }
    }

    /// The messages of a device go to a subscriber from now on, except the one that is held: its receiver may still settle it.
    pub(super) fn end_pulls(&mut self, index: u32) {
        let Some(context) = self.fleet.context_mut(index) else {
            return;
        };
        let Some(pulls) = &mut context.pulls else {
            return;
        };
        let waiters = std::mem::take(&mut pulls.waiters);
        if pulls.held.is_none() {
            context.pulls = None;
        }
        for waiter in waiters {
            self.fail(waiter, RequestError::Subscribed);
        }
    }

    fn settle_held(&mut self, held: &Holding<P>, outcome: Outcome, caller: Option<P::Caller>) {
        let (attempt, session) = (held.attempt, held.session);
        self.settle_c2d(attempt, session, held.delivery, outcome, None, caller);
    }
}
