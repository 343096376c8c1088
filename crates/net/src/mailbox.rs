//! A mailbox: tasks leave reports for one listener without waiting for it.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// News for one listener, bounded by what it asked for.
#[derive(Debug)]
pub struct Mailbox<T> {
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
