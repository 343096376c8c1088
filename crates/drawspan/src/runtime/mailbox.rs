//! News for one listener that never make their sender wait. They are bounded by what was asked for.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Mailbox<T> {
    news: Mutex<Vec<T>>,
    wake: Notify,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self {
            news: Mutex::default(),
            wake: Notify::new(),
        }
    }
}

impl<T> Mailbox<T> {
    pub(super) fn post(&self, news: T) {
        let mut all = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(news);
        if all.len() == 1 {
            self.wake.notify_one();
        }
    }

    /// Waits for news and takes all of them, in order.
    pub(super) async fn take(&self) -> Vec<T> {
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
