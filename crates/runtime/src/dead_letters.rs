//! Dead letters on their way to the store, and messages whose outcome depends on one.

use std::sync::Arc;
use std::time::Duration;

use drawspan_api_types::events;
use drawspan_bridge::controller::DeadLetter;
use drawspan_client::{C2dDelivery, C2dOutcome, HubConnection};
use drawspan_gateway::CallbackUrl;
use drawspan_hub::Outcome;
use drawspan_net::Mailbox;
use drawspan_store::{DeadLetters, NewDeadLetter, StoreError, Written};
use tokio::time::timeout;

use super::errors::not_settled;
use super::platform::{Caller, Input, Location};
use crate::limits::LETTER_WRITE_TIMEOUT_MS;

/// The store of undelivered events.
#[derive(Debug)]
pub(super) struct Letters(pub(super) Option<DeadLetters>);

impl Letters {
    /// Keeps one as well as may be.
    pub(super) fn keep(&self, letter: DeadLetter<CallbackUrl>) {
        if let Some(letters) = &self.0 {
            letters.put(stored(letter));
        }
    }

    /// Removes the one of an event.
    pub(super) fn remove(&self, webhook_id: &str) {
        if let Some(letters) = &self.0 {
            letters.remove_webhook(webhook_id);
        }
    }

    /// Sends the outcome of a message to the hub, once its dead letter, if there is one, is on disk.
    pub(super) fn settle(
        &self,
        connection: Option<HubConnection>,
        (place, delivery, outcome): (Location, C2dDelivery, Outcome),
        letter: Option<Box<DeadLetter<CallbackUrl>>>,
        caller: Option<Caller>,
        completions: &Arc<Mailbox<Input>>,
    ) {
        let letter = match (letter, &self.0) {
            (Some(letter), Some(letters)) => Some(letters.put_for_good(stored(*letter))),
            _ => None,
        };
        let completions = Arc::clone(completions);
        tokio::spawn(async move {
            let outcome = match letter {
                Some(letter) => once_kept(outcome, letter).await,
                None => outcome,
            };
            let settle = C2dOutcome {
                session: place.session,
                delivery,
                outcome,
            };
            let result = match connection {
                Some(connection) => connection.settle_c2d(settle).await,
                None => Err(drawspan_client::SendFailure::Stale),
            };
            if let Err(error) = &result {
                tracing::debug!(%error, ?outcome, "the outcome of a message is not certain");
            }
            completions.post(Input::Settled {
                attempt: place.attempt,
                result: result.map_err(not_settled),
                caller,
            });
        });
    }
}

fn stored(letter: DeadLetter<CallbackUrl>) -> NewDeadLetter {
    NewDeadLetter {
        kind: letter.content.kind(),
        event: events::body(&letter.device, letter.received_at, &letter.content).to_vec(),
        origin: letter.callback.origin().to_string(),
        webhook_id: letter.webhook_id,
        device: letter.device,
        reason: letter.reason,
        attempts: letter.attempts,
        failed_at: letter.failed_at,
    }
}

/// The outcome that the hub hears once a letter is on disk, or is not: then the message stays with the hub, which delivers it again when
/// its lock has ended.
async fn once_kept(outcome: Outcome, letter: Written) -> Outcome {
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
    use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};
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
