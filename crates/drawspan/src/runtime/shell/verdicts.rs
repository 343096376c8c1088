//! What came of events, brought back to their devices.

use bytes::Bytes;
use drawspan_bridge::fleet::Attempt;
use drawspan_client::{C2dOutcome, HubConnection, Outcome};

use super::Shell;
use crate::runtime::answer;
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
            Ticket::Method(ticket) => self.method_verdict(ticket, verdict.outcome),
            Ticket::C2d(ticket) => self.c2d_verdict(ticket, &verdict),
            Ticket::Desired { .. } | Ticket::Status => {}
        }
    }

    fn method_verdict(&mut self, ticket: MethodTicket, outcome: Delivery) {
        let (status, payload): (i32, Option<Bytes>) = match outcome {
            Delivery::Taken { answer } => answer::of_method(&answer),
            Delivery::Refused { .. } | Delivery::Failed { .. } => (FAILED, None),
            // Whoever called has given up.
            Delivery::Untried => return,
        };
        self.answer_method(ticket, status, payload);
    }

    fn c2d_verdict(&mut self, ticket: C2dTicket, verdict: &Verdict<Ticket>) {
        let outcome = match verdict.outcome {
            Delivery::Taken { .. } => Outcome::Complete,
            Delivery::Refused { status: 400..=499 } => Outcome::Reject,
            Delivery::Refused { .. } | Delivery::Failed { .. } => Outcome::Abandon,
            // The hub's lock ends by itself.
            Delivery::Untried => Outcome::Leave,
        };
        // Without its connection nothing is settled: the hub delivers it again.
        let Some(connection) = self.connection_of(ticket.attempt) else {
            return;
        };
        let device = verdict.event.device.clone();
        tokio::spawn(async move {
            let told = connection.settle_c2d(C2dOutcome {
                session: ticket.session,
                delivery: ticket.delivery,
                outcome,
            });
            if let Err(error) = told.await {
                tracing::debug!(%device, %error, ?outcome, "the outcome of a message is not certain");
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
