//! Changes of devices' connections as they happen, for any number of listeners.

use std::sync::{Mutex, MutexGuard, PoisonError};

use drawspan_bridge::history::{Change, Feed, Passage};
use drawspan_hub::DeviceId;
use tokio::sync::watch;

/// The last changes of all devices. Written by the devices' side, read by listeners, of which it knows nothing: one that is slow finds
/// older changes gone, and is told how many.
#[derive(Debug)]
pub struct ConnectionFeed {
    feed: Mutex<Feed>,
    /// The number of the next change.
    next: watch::Sender<u64>,
    run: u64,
}

/// How far a listener has come.
#[derive(Debug)]
pub struct ConnectionListener {
    news: watch::Receiver<u64>,
    next: u64,
}

impl ConnectionFeed {
    /// Without changes. `run` tells its numbers from those of an earlier process.
    #[must_use]
    pub fn new(run: u64) -> Self {
        Self {
            feed: Mutex::default(),
            next: watch::Sender::new(0),
            run,
        }
    }

    /// Adds a change. Never waits. `assigned`: the device's name at its hub, if that is another one.
    pub fn push(&self, device: DeviceId, assigned: Option<DeviceId>, change: Change) {
        let mut feed = self.lock();
        feed.push(device, assigned, change);
        let next = feed.next();
        drop(feed);
        self.next.send_replace(next);
    }

    /// The run of the process that numbers are from.
    #[must_use]
    pub const fn run(&self) -> u64 {
        self.run
    }

    /// A listener for changes from that number on; without one, for those that come.
    #[must_use]
    pub fn listen(&self, from: Option<u64>) -> ConnectionListener {
        let news = self.next.subscribe();
        let next = from.unwrap_or_else(|| self.lock().next());
        ConnectionListener { news, next }
    }

    /// Up to `most` next changes of devices that the listener wants, by their name here and by that at their hub; none if there are none
    /// yet.
    pub fn read(
        &self,
        listener: &mut ConnectionListener,
        most: usize,
        wants: impl Fn(&DeviceId, &DeviceId) -> bool,
    ) -> Passage {
        listener.news.mark_unchanged();
        let passage = self.lock().read(listener.next, most, wants);
        listener.next = passage.next;
        passage
    }

    fn lock(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionListener {
    /// The number of the next change that it has not seen.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Resolves when there is a change that it has not looked at. False if there will be none any more.
    pub async fn changed(&mut self) -> bool {
        self.news.changed().await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use drawspan_hub::{ConnectionStatus, ConnectionStatusReason, UtcTime};

    fn change() -> Change {
        Change {
            at: UtcTime::from_unix_ms(0),
            status: ConnectionStatus::Connected,
            reason: ConnectionStatusReason::ConnectionOk,
            cause: None,
            detail: None,
            session: None,
        }
    }

    #[tokio::test]
    async fn a_listener_hears_of_each_change_once() {
        let feed = ConnectionFeed::new(7);
        let device = DeviceId::parse("d").unwrap();
        feed.push(device.clone(), None, change());
        let (mut late, mut early) = (feed.listen(None), feed.listen(Some(0)));
        let read = |listener: &mut ConnectionListener| {
            let passage = feed.read(listener, 10, |_, _| true);
            passage.changes.len()
        };
        assert_eq!((read(&mut late), read(&mut early)), (0, 1));
        feed.push(device, None, change());
        for listener in [&mut late, &mut early] {
            assert!(listener.changed().await);
            assert_eq!(read(listener), 1);
            assert_eq!(listener.next(), 2);
        }
        drop(feed);
        assert!(!late.changed().await);
    }
}
