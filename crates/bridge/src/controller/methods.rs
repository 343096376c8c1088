//! Direct methods: from the hub to the subscriber, and the answer back.

use bytes::Bytes;
use drawspan_fleet::mutation::{Mutation, planted};
use drawspan_hub::AttemptId;

use super::action::{Action, Note};
use super::correlation::Correlation;
use super::platform::Platform;
use super::{Controller, DeviceId};
use crate::events::method_answer::{self, Unread};
use crate::events::{Content, DeliveryOutcome, event_id};
use crate::subscriptions::Callback as _;

/// The answer to a method that cannot be delivered now.
const TOO_BUSY: i32 = 503;
/// The answer to a method that has no subscription any more.
const NOBODY: i32 = 404;
/// The answer to a method that its receiver did not take.
const FAILED: i32 = 500;

impl<P: Platform> Controller<P> {
    /// A method was invoked.
    pub(super) fn method(
        &mut self,
        attempt: AttemptId,
        session: P::Session,
        request: P::MethodRequest,
        name: String,
        payload: Bytes,
    ) {
        let Some(device) = self.fleet.id(attempt.device).cloned() else {
            return;
        };
        let webhook_id = event_id::method(&request);
        let correlation = Correlation::Method {
            attempt,
            session,
            request: request.clone(),
        };
        let content = Content::Method { name, payload };
        let event = self.event(&device, webhook_id, content, correlation);
        let status = match event.map(|event| self.offer(event)) {
            Some(Ok(())) => return,
            Some(Err(_)) => TOO_BUSY,
            None => NOBODY,
        };
        self.answer_method(attempt, session, request, status, None);
    }

    /// The event of a method is over.
    pub(super) fn method_over(
        &mut self,
        device: &DeviceId,
        callback: &P::Callback,
        (attempt, session, request): (AttemptId, P::Session, P::MethodRequest),
        delivery: &DeliveryOutcome,
    ) {
        if planted(Mutation::MethodUnanswered) && matches!(delivery, DeliveryOutcome::Untried) {
            return;
        }
        let (status, payload) = match delivery {
            DeliveryOutcome::Taken { answer } => {
                method_answer::of_method(answer).unwrap_or_else(|unread| {
                    self.unread(device, callback, unread);
                    (unread.status(), None)
                })
            }
            // Untried, too: the caller may wait longer than we do, and until it is answered the request takes one of the few
            // places that the device has for methods.
            DeliveryOutcome::Refused { .. }
            | DeliveryOutcome::Failed { .. }
            | DeliveryOutcome::Untried => (FAILED, None),
        };
        self.answer_method(attempt, session, request, status, payload);
    }

    /// Without the connection that it came over, there is no way to answer.
    fn answer_method(
        &mut self,
        attempt: AttemptId,
        session: P::Session,
        request: P::MethodRequest,
        status: i32,
        payload: Option<Bytes>,
    ) {
        if let Some(place) = self.place_of(attempt, session) {
            self.act(Action::AnswerMethod {
                place,
                request,
                status,
                payload,
            });
        }
    }

    /// Counts an answer that could not be read. Its caller may think that all is well.
    fn unread(&mut self, device: &DeviceId, callback: &P::Callback, unread: Unread) {
        self.unread_answers.add(unread);
        let origin = std::sync::Arc::clone(callback.origin());
        let note = Note::Unread(device.clone(), origin, unread.as_str(), unread.status());
        self.act(Action::Note(note));
    }
}
