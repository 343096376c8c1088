//! Where connections tell what happened to devices.
//!
//! A connection never waits for whoever listens, and the other way round: news collect on the board, bounded by what
//! was asked for, and the listener is woken once for all of them.

use std::sync::{Mutex, PoisonError};

use drawspan_hub::{AttemptId, ConnectionKey, Failure, Link, Links};
use tokio::sync::Notify;

use crate::connection::DeviceSession;

/// What happened.
#[derive(Debug, Clone)]
pub enum Status {
    /// A connection of this pool can take devices: the hub answers.
    ConnectionReady(u16, ConnectionKey),
    /// A connection of this pool is over, and every device on it with it. Their own news do not follow.
    ConnectionEnded(u16, ConnectionKey, Failure),
    /// A device can send.
    Opened(AttemptId, DeviceSession),
    /// The hub refused a device's token: it counts none of it, unless it took an earlier one.
    TokenRefused(AttemptId, Failure),
    /// A device could not be opened for another reason.
    OpenFailed(AttemptId, Failure),
    /// The hub ended an open device.
    Lost(AttemptId, Failure),
    /// Every link that an open device wants is there by now, or refused: these are there.
    Linked(AttemptId, Links),
    /// The hub did not take a link that an open device wants. The rest of the device works on, and nothing is tried again before
    /// [`HubConnection::want`](crate::HubConnection::want) says so.
    LinkRefused(AttemptId, Link, Failure),
    /// A device is closed, as asked.
    Closed(AttemptId),
}

/// Where connections tell what happened. Each device causes at most two news per attempt, and four per change of what it wants,
/// so that the board is as bounded as the fleet.
pub type StatusBoard = Board<Status>;

/// News for one listener, bounded by what it asked for.
#[derive(Debug)]
pub struct Board<T> {
    news: Mutex<Vec<T>>,
    wake: Notify,
}

impl<T> Default for Board<T> {
    fn default() -> Self {
        Self {
            news: Mutex::default(),
            wake: Notify::new(),
        }
    }
}

impl<T> Board<T> {
    /// Leaves news; never waits.
    pub fn post(&self, item: T) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.push(item);
        if news.len() == 1 {
            self.wake.notify_one();
        }
    }

    /// Waits for news and takes all of them, in order.
    pub async fn take(&self) -> Vec<T> {
        loop {
            let news =
                std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
            if !news.is_empty() {
                return news;
            }
            self.wake.notified().await;
        }
    }
}
