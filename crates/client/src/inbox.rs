//! The inbox: what devices receive, left there by their connections.
//!
//! Like the [mailbox](crate::StatusMailbox), it blocks no one. Its contents are bounded: each device receives a few methods and one
//! cloud-to-device message at a time. Beyond a common limit, the connection answers methods with 503, cloud-to-device messages stay
//! at the hub, and changes of desired properties become one mark per device.

use drawspan_hub::AttemptId;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::downlink::Incoming;
use crate::limits;

/// Incoming things for one listener.
#[derive(Debug, Default)]
pub struct Inbox {
    content: Mutex<Content>,
    wake: Notify,
    /// Bytes of messages that were taken and are still held.
    held_bytes: AtomicUsize,
}

/// Bytes that count against what connections may ask for, until this is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    inbox: Arc<Inbox>,
    bytes: usize,
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.inbox
            .held_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Content {
    incoming: Vec<Incoming>,
    size_bytes: usize,
    /// Devices whose desired properties changed without room for the change.
    missed: HashSet<AttemptId>,
}

impl Content {
    fn has_room(&self) -> bool {
        self.incoming.len() < limits::INBOX_ENTRIES && self.size_bytes < limits::INBOX_BYTES
    }

    fn is_empty(&self) -> bool {
        self.incoming.is_empty() && self.missed.is_empty()
    }
}

impl Inbox {
    /// Waits for something and takes all there is, in order.
    pub async fn take(&self) -> Vec<Incoming> {
        loop {
            let content = std::mem::take(&mut *self.lock());
            if !content.is_empty() {
                let missed = content.missed.into_iter();
                let missed = missed.map(|attempt| Incoming::DesiredMissed { attempt });
                return content.incoming.into_iter().chain(missed).collect();
            }
            self.wake.notified().await;
        }
    }

    /// The holder of a message counts against this limit: while all devices together exceed it, no more messages are requested.
    #[must_use]
    pub fn hold(self: &Arc<Self>, bytes: usize) -> HeldBytes {
        self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        HeldBytes {
            inbox: Arc::clone(self),
            bytes,
        }
    }

    /// Leaves something, unless there is no room; then it comes back.
    pub(crate) fn offer(&self, incoming: Incoming) -> Result<(), Incoming> {
        let mut content = self.lock();
        if !content.has_room() {
            return Err(incoming);
        }
        self.add(&mut content, incoming);
        Ok(())
    }

    /// Leaves something that was asked for when there was room.
    pub(crate) fn put(&self, incoming: Incoming) {
        self.add(&mut self.lock(), incoming);
    }

    /// Leaves a mark in place of a change of desired properties.
    pub(crate) fn miss_desired(&self, attempt: AttemptId) {
        let mut content = self.lock();
        let was_empty = content.is_empty();
        content.missed.insert(attempt);
        if was_empty {
            self.wake.notify_one();
        }
    }

    /// Whether more may be asked for.
    pub(crate) fn has_room(&self) -> bool {
        self.held_bytes.load(Ordering::Relaxed) < limits::HELD_BYTES && self.lock().has_room()
    }

    fn add(&self, content: &mut Content, incoming: Incoming) {
        let was_empty = content.is_empty();
        content.size_bytes += incoming.size_bytes();
        content.incoming.push(incoming);
        if was_empty {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed(index: u32) -> Incoming {
        let attempt = AttemptId {
            device: index,
            serial: 0,
        };
        Incoming::DesiredMissed { attempt }
    }

    #[test]
    fn what_is_held_counts_until_it_is_let_go() {
        let inbox = Arc::new(Inbox::default());
        let some = inbox.hold(limits::HELD_BYTES - 1);
        assert!(inbox.has_room());
        let more = inbox.hold(1);
        assert!(!inbox.has_room());
        // Existing contents are treated separately.
        assert!(inbox.offer(missed(1)).is_ok());
        drop(more);
        assert!(inbox.has_room());
        drop(some);
        assert_eq!(inbox.held_bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_finds_no_room_comes_back_and_marks_need_none() {
        let inbox = Inbox::default();
        for index in 0..limits::INBOX_ENTRIES {
            let index = u32::try_from(index).unwrap();
            assert!(inbox.offer(missed(index)).is_ok());
        }
        assert!(!inbox.has_room());
        assert_eq!(inbox.offer(missed(1)), Err(missed(1)));
        inbox.put(missed(1));
        for _ in 0..3 {
            inbox.miss_desired(AttemptId {
                device: 9,
                serial: 9,
            });
        }
        let taken = inbox.take().await;
        assert_eq!(taken.len(), limits::INBOX_ENTRIES + 2);
        assert!(inbox.has_room());
        inbox.miss_desired(AttemptId {
            device: 1,
            serial: 0,
        });
        assert_eq!(inbox.take().await, [missed(1)]);
    }
}
