//! Events that were not taken.

use drawspan_store::{NewDeadLetter, StoredDeadLetter};

use super::Shell;
use crate::devices::DeviceError;
use crate::runtime::handle::QUEUE_FULL;
use crate::runtime::ticket::Ticket;
use crate::webhooks::{self, Content, Delivery, Verdict};

impl Shell {
    /// Keeps an event that was not taken. It is a copy: what its device is owed does not hang on it.
    pub(super) fn bury(&mut self, verdict: &Verdict<Ticket>) {
        let event = &verdict.event;
        let reason = match &verdict.outcome {
            Delivery::Refused { status } => format!("the receiver answered {status}"),
            Delivery::Failed { reason } => reason.clone(),
            Delivery::Taken { .. } | Delivery::Untried => return,
        };
        let origin = event.callback.origin();
        tracing::warn!(device = %event.device, kind = %event.content.kind(), %origin, %reason, "an event was not taken");
        let Some(letters) = &self.parts.letters else {
            return;
        };
        self.letters += 1;
        letters.put(NewDeadLetter {
            webhook_id: event.webhook_id.clone(),
            device: event.device.clone(),
            kind: event.content.kind(),
            event: webhooks::events::body(event).to_vec(),
            origin: origin.to_string(),
            reason,
            attempts: verdict.attempts,
            failed_at: self.calendar.at(self.parts.clock.now()),
        });
    }

    /// One of them is not under way any more.
    pub(super) fn replayed(&mut self, verdict: &Verdict<Ticket>) {
        self.replaying.remove(&verdict.event.webhook_id);
        match verdict.outcome {
            Delivery::Taken { .. } => self.dig_up(&verdict.event.webhook_id),
            // The letter stays, with what went wrong last.
            Delivery::Refused { .. } | Delivery::Failed { .. } | Delivery::Untried => {
                self.bury(verdict);
            }
        }
    }

    /// An event was taken after all.
    pub(super) fn dig_up(&self, webhook_id: &str) {
        if let Some(letters) = &self.parts.letters {
            letters.remove_webhook(webhook_id);
        }
    }

    /// Sends one again, to where such events go now. Nothing more is done for one that is under way already: who asks twice means
    /// one event.
    pub(super) fn replay(&mut self, stored: &StoredDeadLetter) -> Result<(), DeviceError> {
        let letter = &stored.letter;
        if self.replaying.contains(&letter.webhook_id) {
            return Ok(());
        }
        let content = Content::Replay {
            kind: letter.kind,
            event: letter.event.clone().into(),
        };
        let webhook_id = letter.webhook_id.clone();
        let event = self.event(&letter.device, webhook_id, content, Ticket::Replay);
        let event = event.ok_or(DeviceError::NoSubscription)?;
        if !self.offer(event) {
            return Err(QUEUE_FULL);
        }
        self.replaying.insert(letter.webhook_id.clone());
        Ok(())
    }
}
