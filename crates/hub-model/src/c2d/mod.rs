//! Cloud-to-device messages of one hub: a queue for each device that has messages, and feedback for their senders.
//!
//! Rules: Azure article "Understand cloud-to-device messaging from an IoT hub" (life cycle, feedback, limits), edition of February
//! 2026. According to it, only a device that abandons a message raises its delivery count. A message whose lock expires waits again
//! with the same count, so a message that is never settled is delivered again until it expires, however low the highest count is.
//! (Older editions, which set a highest number of transitions, can be read otherwise.) It does not mention links and connections
//! that end with unsettled messages: here, too, their locks expire.

mod feedback;
mod message;
pub(crate) mod queue;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use drawspan_hub::{DeviceId, ErrorCode};

use crate::event::HubEvent;
use crate::limits::{C2D_QUEUED_BYTES, Limits};
pub use feedback::Batch;
use feedback::Feedback;
pub use message::{Ack, End, Message, NewMessage, Outcome, QueuedMessage, Record, Settings};
use queue::{Abandoned, LockQueue};
pub use queue::{LockLost, LockToken, Queued};

/// The messages of a hub that wait for their devices.
#[derive(Debug)]
pub struct CloudToDevice {
    settings: Settings,
    depth: usize,
    ttl_max_ms: u64,
    queues: HashMap<DeviceId, Waiting>,
    /// When something is due in which queue; one entry for each queue.
    deadlines: BTreeSet<(u64, DeviceId)>,
    feedback: Feedback,
    next_sequence: u64,
    queued_bytes: usize,
}

/// The contents of the queues, as they are stored.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// Messages, those of a device in their order.
    pub messages: Vec<(DeviceId, QueuedMessage)>,
    /// Feedback that no service has completed, in its order.
    pub records: Vec<Arc<Record>>,
    /// The highest sequence number ever given.
    pub last_sequence: u64,
}

/// Changes for the store.
#[derive(Clone, Debug)]
pub enum Change {
    /// A message came.
    Put(DeviceId, QueuedMessage),
    /// A message was given back.
    Counted {
        /// The device.
        device: DeviceId,
        /// The message.
        sequence: u64,
        /// How often it has been given back by now.
        delivery_count: u32,
    },
    /// A message has ended.
    Gone {
        /// The device.
        device: DeviceId,
        /// The message.
        sequence: u64,
    },
    /// Feedback for a sender.
    Feedback(Arc<Record>),
    /// Feedback is done with.
    FeedbackGone {
        /// Number of its first record.
        first: u64,
        /// Number of its last record.
        last: u64,
    },
}

/// The effects of an operation.
#[derive(Debug, Default)]
pub struct Effects {
    /// Changes to store, in this order.
    pub changes: Vec<Change>,
    /// Devices with messages that can be handed out now.
    pub available: Vec<DeviceId>,
    /// Whether there is feedback that can be handed out now.
    pub feedback: bool,
    /// Events, in order.
    pub events: Vec<HubEvent>,
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The device's queue is full.
    #[error("Cannot enqueue more than {depth} messages for a device")]
    QueueFull {
        /// As many as it may have.
        depth: usize,
    },
    /// The emulator holds as much as it may.
    #[error(
        "The emulator holds {C2D_QUEUED_BYTES} bytes of messages to devices, and takes no more"
    )]
    HubFull,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: LockQueue<Arc<Message>>,
    deadline: Option<u64>,
}

impl Refused {
    /// The hub's code for it.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::QueueFull { .. } => ErrorCode::DEVICE_MAXIMUM_QUEUE_DEPTH_EXCEEDED,
            Self::HubFull => ErrorCode::SERVER_BUSY,
        }
    }
}

impl Default for CloudToDevice {
    fn default() -> Self {
        Self::restore(Settings::default(), &Limits::default(), Kept::default())
    }
}

impl CloudToDevice {
    /// Continues where the hub stopped. No message is locked.
    pub fn restore(settings: Settings, limits: &Limits, kept: Kept) -> Self {
        let mut all = Self {
            settings,
            depth: limits.c2d_depth,
            ttl_max_ms: limits.c2d_ttl_max_ms,
            queues: HashMap::new(),
            deadlines: BTreeSet::new(),
            feedback: Feedback::default(),
            next_sequence: kept.last_sequence + 1,
            queued_bytes: 0,
        };
        for (device, message) in kept.messages {
            all.next_sequence = all.next_sequence.max(message.sequence + 1);
            all.queued_bytes += message.item.payload.len();
            all.change(&device, |queue| queue.push(message));
        }
        all.feedback.restore(kept.records, &settings);
        all
    }

    /// Takes a message in for a device that the caller knows to be there.
    ///
    /// # Errors
    /// When there is no room.
    pub fn send(
        &mut self,
        device: &DeviceId,
        message: NewMessage,
        now: u64,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        let depth = self.depth;
        if self.count(device) >= depth {
            return Err(Refused::QueueFull { depth });
        }
        if self.queued_bytes + message.payload.len() > C2D_QUEUED_BYTES {
            return Err(Refused::HubFull);
        }
        let latest = now.saturating_add(self.ttl_max_ms);
        let wanted = message.expires_unix_ms;
        let usual = now.saturating_add(self.settings.default_ttl_ms);
        let queued = Queued {
            sequence: self.next_sequence,
            expires_unix_ms: wanted.unwrap_or(usual).min(latest),
            delivery_count: 0,
            item: Arc::new(Message {
                enqueued_unix_ms: now,
                message_id: message.message_id,
                ack: message.ack,
                generation_id: message.generation_id,
                payload: message.payload,
            }),
        };
        self.next_sequence += 1;
        self.queued_bytes += queued.item.payload.len();
        effects
            .changes
            .push(Change::Put(device.clone(), queued.clone()));
        effects.available.push(device.clone());
        effects.events.push(HubEvent::C2dEnqueued {
            device: device.clone(),
            sequence: queued.sequence,
        });
        self.change(device, |queue| queue.push(queued));
        Ok(())
    }

    /// Locks and returns the device's first unlocked message.
    pub fn lock(&mut self, device: &DeviceId, token: LockToken, now: u64) -> Option<QueuedMessage> {
        let until = now.saturating_add(self.settings.lock_ms);
        self.change(device, |queue| queue.lock(token, now, until))
    }

    /// Has a message wait again as if it had not been handed out.
    pub fn release(&mut self, device: &DeviceId, token: LockToken) {
        self.change(device, |queue| queue.release(token));
    }

    /// Takes the device's word on a message.
    ///
    /// # Errors
    /// When the message was not handed out under this token, or too long ago.
    pub fn settle(
        &mut self,
        device: &DeviceId,
        token: LockToken,
        outcome: Outcome,
        now: u64,
        effects: &mut Effects,
    ) -> Result<(), LockLost> {
        let max = self.settings.max_delivery_count;
        let settled = self.change(device, |queue| match outcome {
            Outcome::Complete | Outcome::Reject => queue.take(token, now).map(Abandoned::Exceeded),
            Outcome::Abandon => queue.abandon(token, now, max),
        });
        let end = match outcome {
            Outcome::Complete => End::Success,
            Outcome::Reject => End::Rejected,
            Outcome::Abandon => End::DeliveryCountExceeded,
        };
        match settled? {
            Abandoned::Exceeded(message) => self.end(device, &message, end, now, effects),
            Abandoned::Waits {
                sequence,
                delivery_count,
            } => {
                let device = device.clone();
                effects.available.push(device.clone());
                effects.events.push(HubEvent::C2dAbandoned {
                    device: device.clone(),
                    sequence,
                    delivery_count,
                });
                effects.changes.push(Change::Counted {
                    device,
                    sequence,
                    delivery_count,
                });
            }
        }
        Ok(())
    }

    /// Empties a device's queue, and returns how many messages were in it.
    pub fn purge(&mut self, device: &DeviceId, now: u64, effects: &mut Effects) -> usize {
        let purged = self.change(device, LockQueue::drain);
        for message in &purged {
            self.end(device, message, End::Purged, now, effects);
        }
        purged.len()
    }

    /// Removes the messages of a device that is deleted, without feedback.
    pub fn forget(&mut self, device: &DeviceId) {
        let forgotten = self.change(device, LockQueue::drain);
        let bytes: usize = forgotten
            .iter()
            .map(|message| message.item.payload.len())
            .sum();
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
    }

    /// Drops all messages and all feedback, as a hub does that fails over to another region: senders hear nothing. Returns how many
    /// messages and records of feedback that were.
    pub fn lose(&mut self, effects: &mut Effects) -> (usize, usize) {
        let devices: Vec<_> = self.queues.keys().cloned().collect();
        let mut messages = 0;
        for device in devices {
            let lost = self.change(&device, LockQueue::drain);
            messages += lost.len();
            effects
                .changes
                .extend(lost.iter().map(|message| Change::Gone {
                    device: device.clone(),
                    sequence: message.sequence,
                }));
        }
        self.queued_bytes = 0;
        (messages, self.feedback.lose(&mut effects.changes))
    }

    /// The time of day was set back to `now`: locks that begin after that have ended.
    pub fn time_set_back(&mut self, now: u64, effects: &mut Effects) {
        let devices: Vec<_> = self.queues.keys().cloned().collect();
        for device in devices {
            if self.change(&device, |queue| queue.sweep(now)).freed {
                effects.available.push(device);
            }
        }
    }

    /// How many messages wait for a device, those that it has but has not settled included.
    pub fn count(&self, device: &DeviceId) -> usize {
        self.queues
            .get(device)
            .map_or(0, |waiting| waiting.queue.len())
    }

    /// Locks and returns a batch of feedback.
    pub fn lock_feedback(&mut self, token: LockToken, now: u64) -> Option<Queued<Batch>> {
        self.feedback.lock(token, now, &self.settings)
    }

    /// Has a batch wait again as if it had not been handed out.
    pub fn release_feedback(&mut self, token: LockToken) {
        self.feedback.release(token);
    }

    /// Takes a service's word on a batch.
    ///
    /// # Errors
    /// When the batch was not handed out under this token, or too long ago.
    pub fn settle_feedback(
        &mut self,
        token: LockToken,
        outcome: Outcome,
        now: u64,
        effects: &mut Effects,
    ) -> Result<(), LockLost> {
        let changes = &mut effects.changes;
        let waits = self
            .feedback
            .settle(token, outcome, now, &self.settings, changes)?;
        effects.feedback |= waits;
        Ok(())
    }

    /// When [`tick`](Self::tick) has something to do, Unix milliseconds.
    pub fn deadline(&self) -> Option<u64> {
        let queues = self.deadlines.first().map(|(due, _)| *due);
        queues.into_iter().chain(self.feedback.deadline()).min()
    }

    /// Does what is due: locks end, messages expire, feedback is sent.
    pub fn tick(&mut self, now: u64, effects: &mut Effects) {
        while let Some((due, device)) = self.deadlines.first().cloned() {
            if due > now {
                break;
            }
            let swept = self.change(&device, |queue| queue.sweep(now));
            for message in &swept.expired {
                self.end(&device, message, End::Expired, now, effects);
            }
            if swept.freed {
                effects.available.push(device);
            }
        }
        let changes = &mut effects.changes;
        effects.feedback |= self.feedback.tick(now, &self.settings, changes);
    }

    /// A message has left its queue.
    fn end(
        &mut self,
        device: &DeviceId,
        message: &QueuedMessage,
        end: End,
        now: u64,
        effects: &mut Effects,
    ) {
        let item = &message.item;
        self.queued_bytes = self.queued_bytes.saturating_sub(item.payload.len());
        effects.changes.push(Change::Gone {
            device: device.clone(),
            sequence: message.sequence,
        });
        effects
            .events
            .push(ended(device.clone(), message.sequence, end));
        if !item.ack.wants(end) {
            return;
        }
        let record = Arc::new(Record {
            number: self.feedback.next_number(),
            device: device.clone(),
            generation_id: Arc::clone(&item.generation_id),
            message_id: item.message_id.clone(),
            end,
            at_unix_ms: now,
        });
        let changes = &mut effects.changes;
        effects.feedback |= self.feedback.add(record, &self.settings, changes);
    }

    /// Changes a queue and keeps the deadlines true. A queue exists while there is something in it.
    fn change<R>(
        &mut self,
        device: &DeviceId,
        change: impl FnOnce(&mut LockQueue<Arc<Message>>) -> R,
    ) -> R {
        let mut new = Waiting::default();
        let known = self.queues.get_mut(device);
        let is_known = known.is_some();
        let waiting = known.unwrap_or(&mut new);
        let result = change(&mut waiting.queue);
        let deadline = waiting.queue.deadline();
        let before = std::mem::replace(&mut waiting.deadline, deadline);
        if before != deadline {
            if let Some(before) = before {
                self.deadlines.remove(&(before, device.clone()));
            }
            if let Some(deadline) = deadline {
                self.deadlines.insert((deadline, device.clone()));
            }
        }
        match (is_known, deadline.is_some()) {
            (true, false) => drop(self.queues.remove(device)),
            (false, true) => drop(self.queues.insert(device.clone(), new)),
            _ => {}
        }
        result
    }
}

fn ended(device: DeviceId, sequence: u64, end: End) -> HubEvent {
    match end {
        End::Success => HubEvent::C2dCompleted { device, sequence },
        End::Rejected => HubEvent::C2dRejected { device, sequence },
        End::Expired => HubEvent::C2dExpired { device, sequence },
        End::DeliveryCountExceeded => HubEvent::C2dDeliveryCountExceeded { device, sequence },
        End::Purged => HubEvent::C2dPurged { device, sequence },
    }
}
