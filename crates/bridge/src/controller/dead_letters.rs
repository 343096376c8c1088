//! Dead letters: undelivered events.

use drawspan_fleet::mutation::{Mutation, planted};

use super::Controller;
use super::action::{Action, DeadLetter, Note};
use super::correlation::Correlation;
use super::input::Letter;
use super::platform::Platform;
use super::response::{RequestError, Response};
use crate::events::{Content, DeliveryOutcome, FinishedEvent};
use crate::subscriptions::Callback as _;

impl<P: Platform> Controller<P> {
    /// The dead letter of an event, if it needs one. It is a copy: the device's own processing does not depend on it.
    pub(super) fn letter(
        &mut self,
        finished: &FinishedEvent<P::Callback, Correlation<P>>,
    ) -> Option<Box<DeadLetter<P::Callback>>> {
        let event = &finished.event;
        let reason = match &finished.outcome {
            DeliveryOutcome::Refused { status } => format!("the receiver answered {status}"),
            DeliveryOutcome::Failed { reason } => reason.clone(),
            DeliveryOutcome::Taken { .. } | DeliveryOutcome::Untried => return None,
        };
        if matches!(event.correlation, Correlation::Method { .. }) {
            // Its caller has an answer.
            return None;
        }
        let kind = event.content.kind();
        let origin = std::sync::Arc::clone(event.callback.origin());
        let note = Note::NotTaken(event.device.clone(), kind, origin, reason.clone());
        self.act(Action::Note(note));
        if !self.keeps_letters || planted(Mutation::LetterLost) {
            return None;
        }
        self.letters += 1;
        Some(Box::new(DeadLetter {
            device: event.device.clone(),
            callback: event.callback.clone(),
            webhook_id: event.webhook_id.clone(),
            received_at: event.received_at,
            content: event.content.clone(),
            reason,
            attempts: finished.attempts,
            failed_at: self.wall_clock.at(self.now.monotonic),
        }))
    }

    pub(super) fn bury(&mut self, letter: Option<Box<DeadLetter<P::Callback>>>) {
        if let Some(letter) = letter {
            self.act(Action::Bury(letter));
        }
    }

    /// One of them is not under way any more. The letter of one that was not taken stays, with what went wrong last.
    pub(super) fn replayed(
        &mut self,
        webhook_id: &str,
        delivery: &DeliveryOutcome,
        letter: Option<Box<DeadLetter<P::Callback>>>,
    ) {
        self.replaying.remove(webhook_id);
        match delivery {
            DeliveryOutcome::Taken { .. } => self.act(Action::Exhume(webhook_id.to_owned())),
            DeliveryOutcome::Refused { .. }
            | DeliveryOutcome::Failed { .. }
            | DeliveryOutcome::Untried => {
                self.bury(letter);
            }
        }
    }

    /// Sends a dead letter again, to the current receiver of such events. If it is being sent already, nothing more is done: a
    /// second request means the same event.
    pub(super) fn replay(&mut self, letter: Letter, caller: P::Caller) {
        if self.replaying.contains(&letter.webhook_id) {
            return self.answer(caller, Response::Done);
        }
        let content = Content::Replay {
            kind: letter.kind,
            event: letter.event,
        };
        let webhook_id = letter.webhook_id.clone();
        let event = self.event(&letter.device, webhook_id, content, Correlation::Replay);
        let Some(event) = event else {
            return self.fail(caller, RequestError::NoSubscription);
        };
        if self.offer(event).is_err() {
            return self.fail(caller, RequestError::QueueFull);
        }
        self.replaying.insert(letter.webhook_id);
        self.answer(caller, Response::Done);
    }
}

/// Whether trying again would not help.
pub(super) const fn is_refused(delivery: &DeliveryOutcome) -> bool {
    matches!(delivery, DeliveryOutcome::Refused { status: 400..=499 })
}
