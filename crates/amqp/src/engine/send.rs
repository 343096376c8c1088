//! Sending messages: credit, session windows, frames, fairness between sessions (specification 2.6.12, 2.5.6).

use bytes::Bytes;

use super::connection::{Connection, Phase};
use super::event::{CommandError, Event, LinkId};
use super::session::{Sent, channel_of};
use super::trace;
use crate::frame;
use crate::limits;
use crate::performative::{DeliveryTag, ReceiverSettleMode, Role, Transfer};

/// A message to send.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Unique among the link's unsettled deliveries.
    pub tag: DeliveryTag,
    /// 0, or a vendor's format.
    pub message_format: u32,
    /// No settlement is expected.
    pub settled: bool,
    /// The embedder's value, returned with the outcome.
    pub context: u64,
    /// The encoded message.
    pub payload: &'a [u8],
}

/// A delivery, or the rest of one, that waits for its session's window or for room to write.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) head: Head,
    pub(super) payload: Bytes,
}

/// The weight of a queue entry in addition to its bytes, so that tiny messages are bounded too.
const QUEUED_OVERHEAD_BYTES: usize = 128;

impl Queued {
    /// Its weight in `queued_bytes`.
    pub(super) fn cost(&self) -> usize {
        QUEUED_OVERHEAD_BYTES + self.payload.len()
    }
}

/// The first transfer frame of a delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) link: LinkId,
    pub(super) handle: u32,
    pub(super) context: u64,
    tag: DeliveryTag,
    message_format: u32,
    settled: bool,
    /// The first frame is written.
    pub(super) begun: bool,
}

impl Connection {
    /// Sends a message, or queues it within the bounds of [`limits`]. Needs credit: see [`credit`](Self::credit).
    /// [`Event::Outcome`](crate::Event::Outcome) names it by its context.
    pub fn send(&mut self, link: LinkId, message: &Outgoing<'_>) -> Result<(), CommandError> {
        self.check_open()?;
        let queued_bytes = self.queued_bytes;
        let found = self.link_mut(link)?;
        if found.role != Role::Sender || !found.is_attached() {
            return Err(CommandError::WrongState);
        }
        if message.payload.len() as u64 > found.max_message_bytes {
            return Err(CommandError::MessageTooLarge);
        }
        if queued_bytes + message.payload.len() > limits::MAX_QUEUED_BYTES {
            return Err(CommandError::QueueFull);
        }
        found.credit = found.credit.checked_sub(1).ok_or(CommandError::NoCredit)?;
        found.delivery_count = found.delivery_count.wrapping_add(1);
        let (handle, index) = (found.handle, found.session);
        let session = self
            .sessions
            .get_mut(index)
            .ok_or(CommandError::UnknownSession)?;
        let mut head = Head {
            link,
            handle,
            context: message.context,
            tag: message.tag,
            message_format: message.message_format,
            settled: message.settled,
            begun: false,
        };
        let rest = if session.queue.is_empty() {
            self.write_frames(index, &mut head, message.payload)
        } else {
            Some(0)
        };
        if let Some(written) = rest {
            self.enqueue(
                index,
                head,
                message.payload.get(written..).unwrap_or_default(),
            );
        }
        Ok(())
    }

    /// Whether a message on this link would soon be written. If not, it should wait with the embedder, which gets
    /// [`Event::Room`](crate::Event::Room): a message that waits in a session that the peer stalls helps no one.
    pub fn has_room(&mut self, link: LinkId) -> bool {
        let Ok(index) = self.link_mut(link).map(|found| found.session) else {
            return false;
        };
        let Some(session) = self.sessions.get_mut(index) else {
            return false;
        };
        let room = session.has_room();
        session.room_wanted |= !room;
        room
    }

    /// Takes a message back that waits in its session's queue. False when it is not there, or some of it is written: what the
    /// peer has of it cannot be called back, since hubs are not known to heed an aborted transfer.
    pub fn withdraw(&mut self, link: LinkId, context: u64) -> bool {
        let Ok(found) = self.link_mut(link) else {
            return false;
        };
        let index = found.session;
        let Some(session) = self.sessions.get_mut(index) else {
            return false;
        };
        let wanted = |head: &Head| head.link == link && head.context == context && !head.begun;
        let position = session.queue.iter().position(|queued| wanted(&queued.head));
        let Some(queued) = position.and_then(|position| session.queue.remove(position)) else {
            return false;
        };
        session.queued_bytes = session.queued_bytes.saturating_sub(queued.cost());
        self.queued_bytes = self.queued_bytes.saturating_sub(queued.cost());
        self.return_credit(link);
        self.left_queue(link.index);
        self.tell_room(index);
        true
    }

    /// A message that was counted is not sent.
    fn return_credit(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id.index) else {
            return;
        };
        if link.drain_answer_due {
            // Drained: all remaining credit counts as used.
            return;
        }
        link.delivery_count = link.delivery_count.wrapping_sub(1);
        if link.excess > 0 {
            link.excess -= 1;
            return;
        }
        link.credit = link.credit.saturating_add(1);
        let credit = link.credit;
        self.events.push_back(Event::Credit {
            link: id,
            credit,
            drain: false,
        });
    }

    fn enqueue(&mut self, index: u32, head: Head, rest: &[u8]) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let queued = Queued {
            head,
            payload: Bytes::copy_from_slice(rest),
        };
        self.queued_bytes += queued.cost();
        session.queued_bytes += queued.cost();
        session.queue.push_back(queued);
        if !session.sendable {
            session.sendable = true;
            self.sendable.push_back(index);
        }
        if let Some(link) = self.links.get_mut(head.link.index) {
            link.queued += 1;
        }
    }

    /// Writes as many frames of a delivery as window and output allow. Returns the number of written bytes if some remain, `None`
    /// if the delivery is complete.
    fn write_frames(&mut self, index: u32, head: &mut Head, payload: &[u8]) -> Option<usize> {
        let room = self
            .peer
            .max_frame_bytes
            .saturating_sub(frame::transfer_overhead_bytes())
            .max(1);
        let mut written = 0;
        loop {
            if !self.may_write_transfer(index) {
                return Some(written);
            }
            let rest = payload.get(written..).unwrap_or_default();
            let piece = rest.get(..room).unwrap_or(rest);
            written += piece.len();
            let more = written < payload.len();
            self.write_transfer(index, head, more, piece);
            if !more {
                return None;
            }
        }
    }

    fn may_write_transfer(&self, index: u32) -> bool {
        self.output.len() < limits::OUTPUT_SOFT_BYTES
            && self
                .sessions
                .get(index)
                .is_some_and(|session| session.remote_incoming_window > 0)
    }

    fn write_transfer(&mut self, index: u32, head: &mut Head, more: bool, piece: &[u8]) {
        self.flush_disposition();
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        session.next_outgoing_id = session.next_outgoing_id.wrapping_add(1);
        session.remote_incoming_window = session.remote_incoming_window.saturating_sub(1);
        let first = !head.begun;
        head.begun = true;
        // Numbered only now: what a detach drops before must leave no gap, at which Proton ends the session.
        let delivery = session.next_delivery_id;
        if first {
            session.next_delivery_id = delivery.wrapping_add(1);
            if !head.settled {
                let (link, context) = (head.link, head.context);
                session.sent.push(delivery, Sent { link, context });
            }
        }
        let transfer = Transfer {
            handle: head.handle,
            delivery_id: first.then_some(delivery),
            delivery_tag: first.then_some(head.tag),
            message_format: first.then_some(head.message_format),
            settled: Some(head.settled),
            more,
            rcv_settle_mode: None::<ReceiverSettleMode>,
            state: None,
            resume: false,
            aborted: false,
            batchable: false,
            payload: Bytes::new(),
        };
        let (channel, before) = (channel_of(index), self.output.len());
        frame::encode_transfer(&mut self.output, channel, &transfer, piece);
        self.trace_sent(channel, before, || {
            trace::of_transfer(&transfer, piece.len())
        });
    }

    /// Moves waiting transfers to the output, one frame per session and turn.
    pub(super) fn fill_output(&mut self) {
        // No frame may follow our close (specification 2.4.6).
        if self.phase != Phase::Open {
            return;
        }
        // A whole round without a frame means that every session waits for its window.
        let mut idle_turns = 0;
        while idle_turns < self.sendable.len() && self.output.len() < limits::OUTPUT_SOFT_BYTES {
            let Some(index) = self.sendable.pop_front() else {
                return;
            };
            match self.write_one_queued(index) {
                Turn::Wrote => {
                    idle_turns = 0;
                    self.sendable.push_back(index);
                }
                Turn::Blocked => {
                    idle_turns += 1;
                    self.sendable.push_back(index);
                }
                Turn::Empty => {}
            }
        }
    }

    fn write_one_queued(&mut self, index: u32) -> Turn {
        let room = self
            .peer
            .max_frame_bytes
            .saturating_sub(frame::transfer_overhead_bytes())
            .max(1);
        let Some(session) = self.sessions.get_mut(index) else {
            return Turn::Empty;
        };
        let Some(queued) = session.queue.front_mut() else {
            session.sendable = false;
            return Turn::Empty;
        };
        if session.remote_incoming_window == 0 {
            return Turn::Blocked;
        }
        let piece = queued.payload.split_to(room.min(queued.payload.len()));
        let more = !queued.payload.is_empty();
        let mut head = queued.head;
        queued.head.begun = true;
        if !more {
            session.queue.pop_front();
        }
        let freed = piece.len() + if more { 0 } else { QUEUED_OVERHEAD_BYTES };
        session.queued_bytes = session.queued_bytes.saturating_sub(freed);
        self.queued_bytes = self.queued_bytes.saturating_sub(freed);
        self.write_transfer(index, &mut head, more, &piece);
        if !more {
            self.left_queue(head.link.index);
        }
        self.tell_room(index);
        Turn::Wrote
    }

    /// A link's oldest delivery has left the queue; behind its last one goes what was to follow.
    fn left_queue(&mut self, index: u32) {
        let Some(link) = self.links.get_mut(index) else {
            return;
        };
        link.queued = link.queued.saturating_sub(1);
        if link.queued == 0 && std::mem::take(&mut link.drain_answer_due) {
            let drain = link.credit == 0;
            self.emit_link_flow(index, drain);
        }
    }
}

enum Turn {
    Wrote,
    Blocked,
    Empty,
}
