//! Invariants that hold at any time, and at the end.

use super::{Who, World};
use crate::engine::Credit;

impl World {
    /// A topped-up receiver never grants more than it was asked to.
    pub(super) fn check_credit(&self) {
        for model in &self.links {
            let (Credit::Auto(most), receiver) = (model.credit, model.sender.other()) else {
                continue;
            };
            let end = match receiver {
                Who::Client => &self.pair.client,
                Who::Server => &self.pair.server,
            };
            let key = model.keys.get(&receiver);
            let live = key
                .filter(|key| end.connection.links.generation(key.index) == Some(key.generation));
            let Some(link) = live.and_then(|key| end.connection.links.get(key.index)) else {
                continue;
            };
            let under_way = u32::from(link.partial.is_some());
            assert!(link.credit + link.unsettled + under_way <= most);
        }
    }

    /// Every session with something to send waits for its turn, once.
    pub(super) fn check_turns(&self) {
        for connection in [&self.pair.client.connection, &self.pair.server.connection] {
            let mut waiting: Vec<u32> = connection.sendable.iter().copied().collect();
            waiting.sort_unstable();
            assert!(waiting.is_sorted_by(|one, other| one < other));
            for index in 0..8u32 {
                if let Some(session) = connection.sessions.get(index) {
                    assert!(session.queue.is_empty() || waiting.contains(&index));
                }
            }
        }
    }

    /// Everything that was sent on a link that stayed has arrived; everything is settled as the receiver says; and
    /// when all links are gone nothing is left of them.
    pub(super) fn finish(&mut self) {
        self.quiet();
        for index in 0..self.links.len() {
            if !self.is_going(index) {
                let link = &self.links[index];
                assert_eq!(link.received, link.sent.len(), "link {index}");
            }
        }
        while !self.open.is_empty() {
            self.settle(self.open.len() / 2, self.open.len(), true);
            self.pair.exchange();
            self.handle_events();
        }
        self.quiet();
        for index in 0..self.links.len() {
            if !self.is_going(index) {
                assert!(self.links[index].sent.iter().all(|sent| sent.told));
                self.detach(self.links[index].sender, index);
            }
        }
        self.quiet();
        self.check_empty();
    }

    pub(super) fn check_empty(&self) {
        for connection in [&self.pair.client.connection, &self.pair.server.connection] {
            assert!(!connection.is_done());
            assert_eq!(connection.queued_bytes, 0);
            assert_eq!(connection.links.len(), 0);
            assert!(connection.sendable.is_empty());
            let live = self.sessions.iter().filter(|session| !session.ended);
            assert_eq!(connection.session_count(), live.count());
            for index in 0..8u32 {
                if let Some(session) = connection.sessions.get(index) {
                    assert_eq!(session.sent.len() + session.received.len(), 0);
                    assert_eq!(session.queue.len(), 0);
                    assert_eq!(session.queued_bytes, 0);
                    assert_eq!(session.links().count(), 0);
                }
            }
        }
    }
}
