//! Feedback for the senders of messages: collected into batches, which services receive like messages.

use std::sync::Arc;

use super::Change;
use super::message::{Outcome, Record, Settings};
use super::queue::{Abandoned, LockLost, LockQueue, LockToken, Queued};
use crate::limits::{FEEDBACK_BATCH_RECORDS, FEEDBACK_BATCHES_MAX};

/// Records that go out together, in their order; never empty.
pub type Batch = Arc<[Arc<Record>]>;

/// The feedback of one hub.
#[derive(Debug, Default)]
pub(super) struct Feedback {
    gathering: Vec<Arc<Record>>,
    gathered_at: Option<u64>,
    batches: LockQueue<Batch>,
    next_number: u64,
}

impl Feedback {
    /// Takes in what was stored: it has waited long enough.
    pub(super) fn restore(&mut self, records: Vec<Arc<Record>>, settings: &Settings) {
        for records in records.chunks(FEEDBACK_BATCH_RECORDS) {
            self.gathering = records.to_vec();
            self.close_batch(settings);
        }
        let last = records.last().map_or(0, |record| record.number);
        self.next_number = self.next_number.max(last + 1);
    }

    /// The number of the next record.
    pub(super) fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Takes a record in. Says whether a batch is ready now; the oldest goes when there are too many.
    pub(super) fn add(
        &mut self,
        record: Arc<Record>,
        settings: &Settings,
        changes: &mut Vec<Change>,
    ) -> bool {
        let now = record.at_unix_ms;
        changes.push(Change::Feedback(Arc::clone(&record)));
        self.gathering.push(record);
        if self.gathering.len() < FEEDBACK_BATCH_RECORDS {
            self.gathered_at
                .get_or_insert(now.saturating_add(settings.feedback_gather_ms));
            return false;
        }
        if self.batches.len() >= FEEDBACK_BATCHES_MAX {
            changes.extend(self.batches.drop_oldest(now).map(|oldest| gone(&oldest)));
        }
        self.close_batch(settings);
        true
    }

    /// Locks and returns a batch.
    pub(super) fn lock(
        &mut self,
        token: LockToken,
        now: u64,
        settings: &Settings,
    ) -> Option<Queued<Batch>> {
        let until = now.saturating_add(settings.feedback_lock_ms);
        self.batches.lock(token, now, until)
    }

    /// Takes a receiver's word on a batch. Says whether the batch waits again.
    pub(super) fn settle(
        &mut self,
        token: LockToken,
        outcome: Outcome,
        now: u64,
        settings: &Settings,
        changes: &mut Vec<Change>,
    ) -> Result<bool, LockLost> {
        let out = match outcome {
            // The end of feedback is not reported: rejected or completed, it is gone.
            Outcome::Complete | Outcome::Reject => self.batches.take(token, now)?,
            Outcome::Abandon => {
                let max = settings.feedback_max_delivery_count;
                match self.batches.abandon(token, now, max)? {
                    Abandoned::Waits { .. } => return Ok(true),
                    Abandoned::Exceeded(batch) => batch,
                }
            }
        };
        changes.push(gone(&out));
        Ok(false)
    }

    /// Has a batch wait again as if it had not been handed out.
    pub(super) fn release(&mut self, token: LockToken) {
        self.batches.release(token);
    }

    /// Applies the time. Says whether there is a batch to hand out.
    pub(super) fn tick(
        &mut self,
        now: u64,
        settings: &Settings,
        changes: &mut Vec<Change>,
    ) -> bool {
        let mut ready = false;
        if self.gathered_at.is_some_and(|due| due <= now) {
            self.close_batch(settings);
            ready = true;
        }
        let swept = self.batches.sweep(now);
        changes.extend(swept.expired.iter().map(gone));
        ready || swept.freed
    }

    /// Drops everything. Returns how many records that were.
    pub(super) fn lose(&mut self, changes: &mut Vec<Change>) -> usize {
        let lost = self.batches.drain();
        changes.extend(lost.iter().map(gone));
        let gathered = std::mem::take(&mut self.gathering);
        self.gathered_at = None;
        if let (Some(first), Some(last)) = (gathered.first(), gathered.last()) {
            changes.push(Change::FeedbackGone {
                first: first.number,
                last: last.number,
            });
        }
        let in_batches: usize = lost.iter().map(|batch| batch.item.len()).sum();
        in_batches + gathered.len()
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.gathered_at
            .into_iter()
            .chain(self.batches.deadline())
            .min()
    }

    /// Every record that there is.
    #[cfg(test)]
    pub(super) fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        let ready = self.batches.iter().flat_map(|batch| batch.item.iter());
        ready.chain(&self.gathering)
    }

    fn close_batch(&mut self, settings: &Settings) {
        self.gathered_at = None;
        let batch: Batch = std::mem::take(&mut self.gathering).into();
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            return;
        };
        self.batches.push(Queued {
            sequence: first.number,
            expires_unix_ms: last.at_unix_ms.saturating_add(settings.feedback_ttl_ms),
            delivery_count: 0,
            item: batch,
        });
    }
}

fn gone(batch: &Queued<Batch>) -> Change {
    let last = batch.item.last();
    Change::FeedbackGone {
        first: batch.sequence,
        last: last.map_or(batch.sequence, |record| record.number),
    }
}
