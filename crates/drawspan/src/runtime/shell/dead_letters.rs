//! Events that were not taken.

use std::time::Duration;

use drawspan_hub::{Outcome, SubscriptionType};
use drawspan_store::{NewDeadLetter, StoreError, StoredDeadLetter, Written};
use tokio::time::timeout;

use super::Shell;
use crate::devices::DeviceError;
use crate::limits::LETTER_WRITE_TIMEOUT_MS;
use crate::log_limit::{Leave, UNTAKEN_EVENTS};
use crate::runtime::handle::QUEUE_FULL;
use crate::runtime::ticket::Ticket;
use crate::webhooks::{self, Content, Delivery, Verdict};

impl Shell {
    /// Keeps an event that was not taken. It is a copy: what its device is owed does not hang on it.
    pub(super) fn bury(&mut self, verdict: &Verdict<Ticket>) {
        if let Some(letter) = self.letter(verdict)
            && let Some(letters) = &self.parts.letters
        {
            letters.put(letter);
        }
    }

    /// The same for an event of which the hub may keep nothing once it is settled: what is returned resolves when the letter is on disk.
    /// `None` when there is nothing to keep, or nowhere.
    pub(super) fn bury_for_good(&mut self, verdict: &Verdict<Ticket>) -> Option<Written> {
        let letter = self.letter(verdict)?;
        let letters = self.parts.letters.as_ref()?;
        Some(letters.put_for_good(letter))
    }

    fn letter(&mut self, verdict: &Verdict<Ticket>) -> Option<NewDeadLetter> {
        let event = &verdict.event;
        let reason = match &verdict.outcome {
            Delivery::Refused { status } => format!("the receiver answered {status}"),
            Delivery::Failed { reason } => reason.clone(),
            Delivery::Taken { .. } | Delivery::Untried => return None,
        };
        let origin = event.callback.origin();
        if let Some(Leave { left_out }) = UNTAKEN_EVENTS.pass(origin) {
            tracing::warn!(device = %event.device, kind = %event.content.kind(), %origin, %reason, left_out, "an event was not taken");
        }
        self.parts.letters.as_ref()?;
        self.letters += 1;
        Some(NewDeadLetter {
            webhook_id: event.webhook_id.clone(),
            device: event.device.clone(),
            kind: event.content.kind(),
            event: webhooks::events::body(event).to_vec(),
            origin: origin.to_string(),
            reason,
            attempts: verdict.attempts,
            failed_at: self.calendar.at(self.parts.clock.now()),
        })
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
        if verdict.event.content.kind() == SubscriptionType::DesiredProperties {
            self.take_up_desired(&verdict.event.device);
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
        self.offer(event).map_err(|_| QUEUE_FULL)?;
        self.replaying.insert(letter.webhook_id.clone());
        Ok(())
    }
}

/// What the hub is told of a message once its letter is on disk, or is not: then the message stays with the hub, which delivers it
/// again when its lock has ended.
pub(super) async fn once_kept(outcome: Outcome, letter: Written) -> Outcome {
    let written = timeout(Duration::from_millis(LETTER_WRITE_TIMEOUT_MS), letter).await;
    match written.unwrap_or(Err(StoreError::Busy)) {
        Ok(()) => outcome,
        Err(error) => {
            tracing::warn!(%error, ?outcome, "a message stays at the hub: its dead letter could not be written");
            Outcome::Leave
        }
    }
}

#[cfg(test)]
mod tests {
    use drawspan_hub::{DeviceId, UtcTime};
    use drawspan_store::{DeadLetterFilter, Store};

    use super::*;

    fn letter(bytes: usize) -> NewDeadLetter {
        NewDeadLetter {
            webhook_id: "w".into(),
            device: DeviceId::parse("a").unwrap(),
            kind: SubscriptionType::C2dMessages,
            event: vec![b'x'; bytes],
            origin: "https://x.test".into(),
            reason: "the receiver answered 400".into(),
            attempts: 1,
            failed_at: UtcTime::from_unix_ms(0),
        }
    }

    #[tokio::test]
    async fn a_message_is_settled_only_when_its_letter_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path(), &folder.path().join("keyring")).unwrap();
        let store = open();
        let letters = store.dead_letters();
        let written = letters.put_for_good(letter(10));
        assert_eq!(once_kept(Outcome::Reject, written).await, Outcome::Reject);
        let all = DeadLetterFilter {
            limit: 10,
            ..DeadLetterFilter::default()
        };
        assert_eq!(letters.list(all).await.unwrap().len(), 1);

        let too_large = letters.put_for_good(letter(10 << 20));
        assert_eq!(once_kept(Outcome::Reject, too_large).await, Outcome::Leave);
        drop(store);
        let closed = letters.put_for_good(letter(10));
        assert_eq!(once_kept(Outcome::Abandon, closed).await, Outcome::Leave);
    }
}
