//! Dead letters: undelivered events.

use std::fmt;
use std::sync::Arc;

use drawspan_hub::{DeviceId, SubscriptionType, UtcTime};

use crate::change::Change;
use crate::error::StoreError;
use crate::limits::MAX_DEAD_LETTER_BYTES;
use crate::loss_counter::{Loss, Scale};
use crate::queue::Queue;
use crate::reader::{Question, Reader};
use crate::subscriptions::Written;

/// An event that was given up.
#[derive(Clone, PartialEq)]
pub struct NewDeadLetter {
    /// Of each attempt; the event's identity.
    pub webhook_id: String,
    /// The device of the event.
    pub device: DeviceId,
    /// The kind of events.
    pub kind: SubscriptionType,
    /// The event as it was sent; encrypted in the file.
    pub event: Vec<u8>,
    /// Scheme, host and port of the receiver.
    pub origin: String,
    /// The last failure, one line.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up; kept to the millisecond.
    pub failed_at: UtcTime,
}

/// An event that was given up, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDeadLetter {
    /// Its number, rising. It stays when the event is given up again.
    pub id: u64,
    /// The stored letter.
    pub letter: NewDeadLetter,
}

/// Conditions for a list of dead letters, all of which must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeadLetterFilter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Of devices whose ids begin so.
    pub prefix: String,
    /// Of this kind.
    pub kind: Option<SubscriptionType>,
    /// With higher numbers than this.
    pub after: Option<u64>,
    /// Most in the list.
    pub limit: usize,
}

/// Events that their receivers did not take, the newest
/// [`MAX_DEAD_LETTERS`](crate::limits::MAX_DEAD_LETTERS) and [`MAX_DEAD_LETTERS_BYTES`](crate::limits::MAX_DEAD_LETTERS_BYTES) of them.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    queue: Queue,
    reader: Reader,
    waiting: Scale,
    lost: Arc<Loss>,
    dropped: Arc<Loss>,
}

impl DeadLetters {
    pub(crate) fn new(
        queue: Queue,
        reader: Reader,
        waiting: Scale,
        lost: Arc<Loss>,
        dropped: Arc<Loss>,
    ) -> Self {
        Self {
            queue,
            reader,
            waiting,
            lost,
            dropped,
        }
    }

    /// Keeps one, soon, in place of the one with the same webhook id. Lost and counted when it is too large or more waits than is good.
    pub fn put(&self, letter: NewDeadLetter) {
        let sent = self.change(letter, false);
        let sent = sent.and_then(|change| self.queue.try_send(change));
        if let Err(error) = sent {
            self.lost.add(1, &error);
        }
    }

    /// Stores a dead letter in place of the one with the same webhook id. The result resolves once the letter is on disk, and
    /// survives a failure of the machine. For events that have no other copy then. If the result is dropped, the letter is stored
    /// all the same, as far as possible.
    pub fn put_for_good(&self, letter: NewDeadLetter) -> Written {
        let asked = self.change(letter, true);
        Written::new(asked.and_then(|change| self.queue.try_ask(change)))
    }

    fn change(&self, letter: NewDeadLetter, durable: bool) -> Result<Change, StoreError> {
        if letter.event.len() > MAX_DEAD_LETTER_BYTES {
            return Err(StoreError::TooLarge);
        }
        let charge = self.waiting.charge(letter.event.len());
        Ok(Change::PutDeadLetter {
            _charge: charge.ok_or(StoreError::Busy)?,
            letter: Box::new(letter),
            durable,
        })
    }

    /// Lists them, oldest first. The list may end before its limit when events are large
    /// ([`DEAD_LETTER_LIST_BYTES`](crate::limits::DEAD_LETTER_LIST_BYTES)); it is empty only when there are no more. Those
    /// that cannot be decrypted are left out, with a warning.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn list(
        &self,
        filter: DeadLetterFilter,
    ) -> Result<Vec<StoredDeadLetter>, StoreError> {
        let ask = |done| Question::DeadLetters { filter, done };
        self.reader.ask(ask).await
    }

    /// One of them.
    ///
    /// # Errors
    /// When the file cannot be read, or this one cannot be decrypted.
    pub async fn get(&self, id: u64) -> Result<Option<StoredDeadLetter>, StoreError> {
        self.reader
            .ask(|done| Question::DeadLetter { id, done })
            .await
    }

    /// Removes one, and says whether it was there, when that will survive the end of the process.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn remove(&self, id: u64) -> Result<bool, StoreError> {
        let removed = self.queue.ask(Change::RemoveDeadLetter(id)).await?;
        Ok(removed > 0)
    }

    /// Removes the one of this webhook id, soon: its receiver took it. Best effort.
    pub fn remove_webhook(&self, webhook_id: &str) {
        let change = Change::RemoveWebhook(webhook_id.to_owned());
        if let Err(error) = self.queue.try_send(change) {
            // It stays in the list though it was taken: not lost, but no longer true.
            tracing::debug!(%error, "a delivered event stays among the dead letters");
        }
    }

    /// How many could not be kept since the store was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.total()
    }

    /// How many were dropped since the store was opened, because there were newer ones.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.total()
    }
}

impl fmt::Debug for NewDeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDeadLetter")
            .field("webhook_id", &self.webhook_id)
            .field("device", &self.device)
            .field("kind", &self.kind)
            .field("bytes", &self.event.len())
            .field("origin", &self.origin)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
