//! Notifications of uploads, which services receive like messages.

use std::sync::Arc;

use drawspan_hub::DeviceId;

use super::{Change, Effects, Settings};
use crate::c2d::queue::{Abandoned, LockQueue};
use crate::c2d::{LockLost, LockToken, Outcome, Queued};
use crate::event::HubEvent;
use crate::limits::UPLOAD_NOTICES_MAX;

/// News of a file that a device has uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNotification {
    /// The device.
    pub device: DeviceId,
    /// The blob's name.
    pub blob: Arc<str>,
    /// Where its container is: host, port unless it is the usual one, path if there is one.
    pub host: Arc<str>,
    /// The blob's size.
    pub bytes: u64,
    /// When the blob was written, Unix milliseconds.
    pub modified_unix_ms: u64,
    /// When the device said so, Unix milliseconds.
    pub enqueued_unix_ms: u64,
}

/// A notification that waits.
pub type QueuedNotification = Queued<Arc<FileNotification>>;

/// The notifications of one hub.
#[derive(Debug, Default)]
pub(super) struct Notifications {
    queue: LockQueue<Arc<FileNotification>>,
    last_number: u64,
}

impl Notifications {
    pub(super) fn restore(kept: Vec<QueuedNotification>, last_number: u64) -> Self {
        let mut all = Self {
            queue: LockQueue::default(),
            last_number,
        };
        for queued in kept {
            all.last_number = all.last_number.max(queued.sequence);
            all.queue.push(queued);
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes one in. The oldest goes when there are too many.
    pub(super) fn add(
        &mut self,
        notification: FileNotification,
        settings: &Settings,
        effects: &mut Effects,
    ) {
        let now = notification.enqueued_unix_ms;
        if self.queue.len() >= UPLOAD_NOTICES_MAX
            && let Some(oldest) = self.queue.drop_oldest(now)
        {
            gone(&oldest, NotificationEnd::Dropped, effects);
        }
        self.last_number += 1;
        let queued = Queued {
            sequence: self.last_number,
            expires_unix_ms: now.saturating_add(settings.notification_ttl_ms),
            delivery_count: 0,
            item: Arc::new(notification),
        };
        effects.changes.push(Change::Notification(queued.clone()));
        effects.events.push(HubEvent::FileNotificationEnqueued {
            device: queued.item.device.clone(),
            number: queued.sequence,
        });
        effects.notifications = true;
        self.queue.push(queued);
    }

    pub(super) fn lock(
        &mut self,
        token: LockToken,
        now: u64,
        settings: &Settings,
    ) -> Option<QueuedNotification> {
        let until = now.saturating_add(settings.notification_lock_ms);
        self.queue.lock(token, now, until)
    }

    pub(super) fn release(&mut self, token: LockToken) {
        self.queue.release(token);
    }

    pub(super) fn settle(
        &mut self,
        token: LockToken,
        outcome: Outcome,
        now: u64,
        settings: &Settings,
        effects: &mut Effects,
    ) -> Result<(), LockLost> {
        let (out, end) = match outcome {
            Outcome::Complete => (self.queue.take(token, now)?, NotificationEnd::Completed),
            Outcome::Reject => (self.queue.take(token, now)?, NotificationEnd::Rejected),
            Outcome::Abandon => {
                let max = settings.notification_max_delivery_count;
                match self.queue.abandon(token, now, max)? {
                    Abandoned::Exceeded(out) => (out, NotificationEnd::DeliveryCountExceeded),
                    Abandoned::Waits {
                        sequence,
                        delivery_count,
                    } => {
                        effects.changes.push(Change::Counted {
                            number: sequence,
                            delivery_count,
                        });
                        effects.notifications = true;
                        return Ok(());
                    }
                }
            }
        };
        gone(&out, end, effects);
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.queue.deadline()
    }

    pub(super) fn tick(&mut self, now: u64, effects: &mut Effects) {
        let swept = self.queue.sweep(now);
        for expired in &swept.expired {
            gone(expired, NotificationEnd::Expired, effects);
        }
        effects.notifications |= swept.freed;
    }
}

fn gone(queued: &QueuedNotification, end: NotificationEnd, effects: &mut Effects) {
    let number = queued.sequence;
    effects.changes.push(Change::NotificationGone(number));
    effects.events.push(HubEvent::FileNotificationEnded {
        device: queued.item.device.clone(),
        number,
        end,
    });
}

/// How a notification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotificationEnd {
    /// A service completed it.
    Completed,
    /// A service rejected it.
    Rejected,
    /// Services gave it back too often.
    DeliveryCountExceeded,
    /// No service completed it in time.
    Expired,
    /// Too many waited.
    Dropped,
}
