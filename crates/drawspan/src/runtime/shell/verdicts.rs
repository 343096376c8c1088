//! What came of events, brought back to their devices.

use bytes::Bytes;
use drawspan_bridge::fleet::Attempt;
use drawspan_client::{C2dOutcome, HubConnection};
use drawspan_hub::Outcome;
use drawspan_store::Written;

use super::Shell;
use super::dead_letters::once_kept;
use crate::limits::MAX_CALLBACK_ANSWER_BYTES;
use crate::log_limit::{Leave, UNREAD_ANSWERS};
use crate::runtime::answer::{self, Unread};
use crate::runtime::ticket::{C2dTicket, MethodTicket, Ticket};
use crate::webhooks::{Delivery, Verdict};

/// The answer to a method whose receiver did not take it.
const FAILED: i32 = 500;

impl Shell {
    /// Hears what came of events. False if there was nothing.
    pub(super) fn hear_verdicts(&mut self) -> bool {
        let mut any = false;
        while let Some(verdict) = self.webhooks.verdict() {
            any = true;
            self.verdict(verdict);
        }
        any
    }

    fn verdict(&mut self, verdict: Verdict<Ticket>) {
        match verdict.event.ticket.clone() {
            Ticket::Method(ticket) => self.method_verdict(ticket, &verdict),
            Ticket::C2d(ticket) => self.c2d_verdict(ticket, &verdict),
            Ticket::Desired {
                version,
                full_state,
            } => {
                self.bury(&verdict);
                self.desired_verdict(version, full_state, &verdict);
            }
            Ticket::Status => self.bury(&verdict),
            Ticket::Replay => self.replayed(&verdict),
        }
    }

    fn method_verdict(&mut self, ticket: MethodTicket, verdict: &Verdict<Ticket>) {
        let (status, payload): (i32, Option<Bytes>) = match &verdict.outcome {
            Delivery::Taken { answer } => answer::of_method(answer).unwrap_or_else(|unread| {
                self.unread(unread, verdict);
                (unread.status(), None)
            }),
            // Untried, too: the caller may wait longer than we do, and until it is answered the request takes one of the few
            // places that the device has for methods.
            Delivery::Refused { .. } | Delivery::Failed { .. } | Delivery::Untried => {
                (FAILED, None)
            }
        };
        self.answer_method(ticket, status, payload);
    }

    /// Counts an answer that could not be read. Its caller may think that all is well: so it is logged, but not each of them.
    fn unread(&mut self, unread: Unread, verdict: &Verdict<Ticket>) {
        self.unread_answers.add(unread);
        let receiver = verdict.event.callback.origin();
        let Some(Leave { left_out }) = UNREAD_ANSWERS.pass(receiver) else {
            return;
        };
        let device = &verdict.event.device;
        let (reason, status) = (unread.as_str(), unread.status());
        tracing::warn!(
            %device, %receiver, reason, status, left_out,
            "the answer to a method cannot be read: it must be {{\"status\": …, \"payload\": …}} in UTF-8, of less than {MAX_CALLBACK_ANSWER_BYTES} bytes; its caller gets this status without payload"
        );
    }

    fn c2d_verdict(&mut self, ticket: C2dTicket, verdict: &Verdict<Ticket>) {
        let letter = self.bury_for_good(verdict);
        if ticket.again && matches!(verdict.outcome, Delivery::Taken { .. }) {
            self.dig_up(&verdict.event.webhook_id);
        }
        let outcome = match verdict.outcome {
            Delivery::Taken { .. } => Outcome::Complete,
            Delivery::Refused { status: 400..=499 } => Outcome::Reject,
            Delivery::Refused { .. } | Delivery::Failed { .. } => Outcome::Abandon,
            // The hub's lock ends by itself.
            Delivery::Untried => Outcome::Leave,
        };
        self.settle_c2d(ticket, outcome, letter);
    }

    /// Nothing is told of a message: it is delivered again when its lock has ended.
    pub(super) fn leave_c2d(&self, ticket: C2dTicket) {
        self.settle_c2d(ticket, Outcome::Leave, None);
    }

    /// Tells the hub once the letter, if there is one, is on disk. A message that is rejected is gone at the hub; so is one that is
    /// abandoned for the last time, which only the hub knows.
    fn settle_c2d(&self, ticket: C2dTicket, outcome: Outcome, letter: Option<Written>) {
        // Without its connection nothing is settled: the hub delivers it again.
        let Some(connection) = self.connection_of(ticket.attempt) else {
            return;
        };
        tokio::spawn(async move {
            let outcome = match letter {
                Some(letter) => once_kept(outcome, letter).await,
                None => outcome,
            };
            let told = connection.settle_c2d(C2dOutcome {
                session: ticket.session,
                delivery: ticket.delivery,
                outcome,
            });
            if let Err(error) = told.await {
                tracing::debug!(%error, ?outcome, "the outcome of a message is not certain");
            }
        });
    }

    /// The connection of an attempt that is not over.
    pub(super) fn connection_of(&self, attempt: Attempt) -> Option<HubConnection> {
        if !self.fleet.is_current(attempt) {
            return None;
        }
        let place = self.fleet.beside(attempt.device)?.place?;
        self.pools.get(&place.hub)?.get(place.connection).cloned()
    }
}
