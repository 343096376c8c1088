//! Answers to requests: they wait for the client's credit, within a bound.

use std::collections::VecDeque;

use bytes::Bytes;
use drawspan_amqp::engine::{Connection, LinkId, Outgoing};
use drawspan_amqp::performative::DeliveryTag;

use crate::limits::ANSWERS_MAX;

/// The link on which a client of `$cbs`, `$management` or DPS takes its answers.
#[derive(Debug)]
pub(super) struct Answers {
    link: LinkId,
    /// The client's own address, to which it may ask answers to be sent.
    reply_to: Option<String>,
    next_tag: u32,
    waiting: VecDeque<Bytes>,
}

impl Answers {
    pub(super) fn new(link: LinkId, reply_to: Option<String>) -> Self {
        Self {
            link,
            reply_to,
            next_tag: 0,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn link(&self) -> LinkId {
        self.link
    }

    pub(super) fn is_at(&self, reply_to: &str) -> bool {
        self.reply_to.as_deref() == Some(reply_to)
    }

    /// Whether the next answer that has to wait takes the place of another.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= ANSWERS_MAX
    }

    /// Sends an answer, or keeps it until there is credit. A client that gives no credit loses the oldest.
    pub(super) fn send(&mut self, connection: &mut Connection, answer: Bytes) {
        if self.is_full() {
            self.waiting.pop_front();
        }
        self.waiting.push_back(answer);
        self.flush(connection);
    }

    pub(super) fn flush(&mut self, connection: &mut Connection) {
        while connection.credit(self.link) > 0 {
            let Some(answer) = self.waiting.pop_front() else {
                return;
            };
            let tag = DeliveryTag::from_u32(self.next_tag);
            self.next_tag = self.next_tag.wrapping_add(1);
            // Settled: a client that misses its answer asks again.
            let message = Outgoing {
                tag,
                message_format: 0,
                settled: true,
                context: 0,
                payload: &answer,
            };
            if connection.send(self.link, &message).is_err() {
                return;
            }
        }
    }
}
