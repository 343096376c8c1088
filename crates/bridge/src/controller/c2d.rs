//! Cloud-to-device messages for subscribers, and their outcomes.

use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_hub::{AttemptId, C2dMessage, DeviceId, Outcome, SubscriptionType};

use super::Controller;
use super::action::{Action, DeadLetter};
use super::correlation::{C2dCorrelation, Correlation};
use super::platform::Platform;
use super::response::{RequestError, Response};
use crate::events::{Content, DeliveryOutcome, event_id};

const KIND: SubscriptionType = SubscriptionType::C2dMessages;

impl<P: Platform> Controller<P> {
    /// A message came.
    pub(super) fn c2d(
        &mut self,
        attempt: AttemptId,
        session: P::Session,
        delivery: P::Delivery,
        message: Box<C2dMessage>,
        share: P::Share,
    ) {
        let Some(device) = self.fleet.id(attempt.device).cloned() else {
            return;
        };
        if self.table.of(&device, KIND).is_none() {
            // A device that does not ask for it either has unsubscribed meanwhile: with its link it goes back to the hub.
            self.hold(attempt, session, delivery, *message, share);
            return;
        }
        let webhook_id = self.c2d_id(attempt.device, &message);
        let correlation = Correlation::C2d(C2dCorrelation {
            attempt,
            session,
            delivery,
            _share: share,
            again: message.delivery_count > 0,
        });
        let content = Content::C2d(message);
        let event = self.event(&device, webhook_id, content, correlation);
        if let Some(event) = event
            && self.offer(event).is_err()
        {
            // A lane has room for the one message that a device may have, but its receiver may have no share left.
            self.settle_c2d(attempt, session, delivery, Outcome::Leave, None, None);
        }
    }

    /// The event of a message is over. It is completed once its receiver took it.
    pub(super) fn c2d_over(
        &mut self,
        message: &C2dCorrelation<P>,
        webhook_id: &str,
        delivery: &DeliveryOutcome,
        letter: Option<Box<DeadLetter<P::Callback>>>,
    ) {
        if message.again && matches!(delivery, DeliveryOutcome::Taken { .. }) {
            self.act(Action::Exhume(webhook_id.to_owned()));
        }
        let outcome = match delivery {
            DeliveryOutcome::Taken { .. } => Outcome::Complete,
            DeliveryOutcome::Refused { .. } if planted(Mutation::RefusedCompleted) => {
                Outcome::Complete
            }
            DeliveryOutcome::Refused { status: 400..=499 } => Outcome::Reject,
            DeliveryOutcome::Refused { .. } | DeliveryOutcome::Failed { .. } => Outcome::Abandon,
            // The hub's lock ends by itself.
            DeliveryOutcome::Untried => Outcome::Leave,
        };
        let (attempt, session) = (message.attempt, message.session);
        self.settle_c2d(attempt, session, message.delivery, outcome, letter, None);
    }

    /// Settles the message at the hub, once its dead letter, if there is one, is on disk. A rejected message is gone at the hub; so
    /// is one that is abandoned for the last time, which only the hub knows. If the connection that it came over is gone, nothing
    /// is settled: the hub delivers it again.
    pub(super) fn settle_c2d(
        &mut self,
        attempt: AttemptId,
        session: P::Session,
        delivery: P::Delivery,
        outcome: Outcome,
        letter: Option<Box<DeadLetter<P::Callback>>>,
        caller: Option<P::Caller>,
    ) {
        match (self.place_of(attempt, session), caller) {
            (Some(place), caller) => self.act(Action::Settle {
                place,
                delivery,
                outcome,
                letter,
                caller,
            }),
            (None, Some(caller)) => self.fail(caller, RequestError::LockLost),
            (None, None) => {
                if let Some(letter) = letter {
                    self.act(Action::Bury(letter));
                }
            }
        }
    }

    /// The hub confirmed an outcome, or did not.
    pub(super) fn settled(
        &mut self,
        attempt: AttemptId,
        result: Result<(), RequestError<P::StoreFault>>,
        caller: Option<P::Caller>,
    ) {
        if let Some(caller) = caller {
            let answer = result.map_or_else(Response::Error, |()| Response::Done);
            self.answer(caller, answer);
        }
        if self.fleet.is_current(attempt) {
            self.pull(attempt.device);
        }
    }

    fn c2d_id(&mut self, index: u32, message: &C2dMessage) -> String {
        let hub = self.fleet.machine(index).and_then(|machine| machine.hub());
        let identity = self.identity(index);
        event_id::c2d(
            hub.map_or("", |hub| hub.as_str()),
            identity.as_ref().map_or("", DeviceId::as_str),
            message,
            &mut self.secrets,
        )
    }
}
