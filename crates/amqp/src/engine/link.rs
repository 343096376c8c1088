//! Links: their state, credit, detaching (specification 2.6).

use bytes::BytesMut;

use super::config::Credit;
use super::connection::Connection;
use super::event::{CommandError, DeliveryId, Event, LinkId};
use super::session::{Session, channel_of, serial_after};
use super::trace;
use crate::frame;
use crate::performative::{
    Attach, DeliveryTag, Detach, Error, Flow, Performative, ReceiverSettleMode, Role, condition,
};

/// Marks a handle that carries no link.
pub(super) const NO_LINK: u32 = u32::MAX;

/// The state of a link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) session: u32,
    /// Our end.
    pub(super) role: Role,
    pub(super) state: LinkState,
    /// Our handle.
    pub(super) handle: u32,
    pub(super) rcv_settle_mode: ReceiverSettleMode,
    /// As the specification's delivery-count, kept by both ends.
    pub(super) delivery_count: u32,
    pub(super) credit: u32,
    /// For a receiver: credit that was granted beyond `credit` before it was lowered; the sender may not know yet. For a sender:
    /// messages in flight beyond the credit that the receiver has lowered.
    pub(super) excess: u32,
    /// For a sender: deliveries in the session's queue, the one included of which some frames are written.
    pub(super) queued: u32,
    /// For a sender: a drain is to be answered behind what is queued.
    pub(super) drain_answer_due: bool,
    /// For a receiver: the credit to keep topped up; 0 when the embedder grants.
    pub(super) auto_credit: u32,
    /// For a receiver: deliveries that the embedder has not settled.
    pub(super) unsettled: u32,
    /// The receiver's limit, whichever end that is.
    pub(super) max_message_bytes: u64,
    /// Unique per session and direction. Forgotten once a link of ours is attached.
    pub(super) name: Option<Box<str>>,
    pub(super) partial: Option<Box<Partial>>,
}

#[derive(Debug)]
pub(super) enum LinkState {
    /// Ours; the peer's attach is due.
    AttachSent {
        credit: Credit,
    },
    /// The peer's; the embedder's answer is due.
    Requested {
        attach: Box<Attach>,
    },
    Attached,
    /// Ours; the peer answered without a terminus and will detach (specification 2.6.3).
    Refused,
    /// We detached; the peer's detach is due, and before it perhaps its attach.
    DetachSent {
        attach_due: bool,
    },
}

/// A delivery of which more frames are due.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) delivery: DeliveryId,
    pub(super) tag: DeliveryTag,
    pub(super) message_format: u32,
    pub(super) settled: bool,
    /// Over the limit: the bytes are thrown away.
    pub(super) too_large: bool,
    pub(super) bytes: BytesMut,
}

impl Link {
    pub(super) fn is_attached(&self) -> bool {
        matches!(self.state, LinkState::Attached)
    }

    /// Gives a receiver's peer new credit. What it was promised before stays good (specification 2.6.7).
    pub(super) fn set_credit(&mut self, credit: u32) {
        let promised = self.credit.saturating_add(self.excess);
        self.credit = credit;
        self.excess = promised.saturating_sub(credit);
    }

    /// Takes up to `count` from what a receiver's peer was promised; false when that was less.
    pub(super) fn use_credit(&mut self, count: u32) -> bool {
        let from_credit = count.min(self.credit);
        let from_excess = (count - from_credit).min(self.excess);
        self.credit -= from_credit;
        self.excess -= from_excess;
        self.delivery_count = self.delivery_count.wrapping_add(count);
        from_credit + from_excess == count
    }

    /// New credit to announce, when a topped-up receiver has used half of it.
    pub(super) fn wanted_credit(&self) -> Option<u32> {
        let taken = self.unsettled + u32::from(self.partial.is_some());
        let target = self.auto_credit.saturating_sub(taken);
        (self.is_attached() && target > 0 && self.credit <= target / 2).then_some(target)
    }
}

impl Connection {
    /// Gives a peer's sender `credit` messages from now on, replacing what is left of earlier credit.
    pub fn grant(&mut self, link: LinkId, credit: u32) -> Result<(), CommandError> {
        self.check_open()?;
        let found = self.link_mut(link)?;
        if found.role != Role::Receiver || !found.is_attached() {
            return Err(CommandError::WrongState);
        }
        found.auto_credit = 0;
        found.set_credit(credit);
        self.emit_link_flow(link.index, false);
        Ok(())
    }

    /// Answers a receiver that asked to drain: all credit counts as used.
    pub fn drained(&mut self, link: LinkId) -> Result<(), CommandError> {
        self.check_open()?;
        let found = self.link_mut(link)?;
        if found.role != Role::Sender || !found.is_attached() {
            return Err(CommandError::WrongState);
        }
        found.delivery_count = found.delivery_count.wrapping_add(found.credit);
        found.credit = 0;
        found.drain_answer_due = found.queued > 0;
        if !found.drain_answer_due {
            self.emit_link_flow(link.index, true);
        }
        Ok(())
    }

    /// Messages that may be sent on a link now; 0 when there is no such link.
    pub fn credit(&self, link: LinkId) -> u32 {
        if self.links.generation(link.index) != Some(link.generation) {
            return 0;
        }
        let Some(found) = self.links.get(link.index) else {
            return 0;
        };
        let ending = |session: &Session| session.is_ending();
        match self.sessions.get(found.session).is_none_or(ending) {
            true => 0,
            false => found.credit,
        }
    }

    /// Detaches a link, and closes it if `closed`. [`Event::Detached`] follows when the peer has agreed.
    pub fn detach(
        &mut self,
        link: LinkId,
        closed: bool,
        error: Option<Error>,
    ) -> Result<(), CommandError> {
        self.check_open()?;
        let found = self.link_mut(link)?;
        if matches!(
            found.state,
            LinkState::DetachSent { .. } | LinkState::Requested { .. }
        ) {
            return Err(CommandError::WrongState);
        }
        self.detach_link(link.index, closed, error);
        Ok(())
    }

    pub(super) fn detach_link(&mut self, index: u32, closed: bool, error: Option<Error>) {
        let Some(link) = self.links.get_mut(index) else {
            return;
        };
        let attach_due = matches!(link.state, LinkState::AttachSent { .. });
        link.state = LinkState::DetachSent { attach_due };
        link.partial = None;
        link.queued = 0;
        link.drain_answer_due = false;
        let (handle, session) = (link.handle, link.session);
        self.drop_queued(session, handle);
        self.emit(
            channel_of(session),
            &Performative::Detach(Detach {
                handle,
                closed,
                error,
            }),
        );
    }

    pub(super) fn on_detach(&mut self, session: u32, detach: Detach) {
        let Some(index) = self
            .sessions
            .get(session)
            .and_then(|found| found.link_of_peer(detach.handle))
        else {
            // It says what is so already. fe2o3-amqp answers a refusal twice; the session's other links are not to
            // suffer from that.
            return;
        };
        let Some(link) = self.links.get_mut(index) else {
            return;
        };
        let handle = link.handle;
        let state = std::mem::replace(&mut link.state, LinkState::DetachSent { attach_due: false });
        if let LinkState::Requested { attach } = state {
            // Gone before the embedder answered: our handle must be attached before it can be detached.
            self.emit_refusal(index, *attach);
            self.emit_detach_answer(session, handle, detach.closed);
        } else if !matches!(state, LinkState::DetachSent { .. }) {
            self.emit_detach_answer(session, handle, detach.closed);
        }
        let link = self.link_id(index);
        self.forget_link(session, handle, detach.handle, index);
        let session = self.session_id(session);
        self.events.push_back(Event::Detached {
            link,
            session,
            closed: detach.closed,
            error: detach.error,
        });
    }

    fn emit_detach_answer(&mut self, session: u32, handle: u32, closed: bool) {
        self.emit(
            channel_of(session),
            &Performative::Detach(Detach {
                handle,
                closed,
                error: None,
            }),
        );
    }

    /// Messages that wait on a detached link are not sent any more.
    fn drop_queued(&mut self, session: u32, handle: u32) {
        let Some(found) = self.sessions.get_mut(session) else {
            return;
        };
        let mut dropped = 0;
        found.queue.retain(|queued| {
            let keep = queued.head.handle != handle;
            dropped += if keep { 0 } else { queued.cost() };
            keep
        });
        found.queued_bytes = found.queued_bytes.saturating_sub(dropped);
        self.queued_bytes = self.queued_bytes.saturating_sub(dropped);
        self.tell_room(session);
    }

    fn forget_link(&mut self, session: u32, handle: u32, remote_handle: u32, index: u32) {
        self.drop_queued(session, handle);
        let gone = self.link_id(index);
        self.links.remove(index);
        let Some(session) = self.sessions.get_mut(session) else {
            return;
        };
        if let Some(slot) = session.handles.get_mut(handle as usize) {
            *slot = NO_LINK;
        }
        session
            .remote_handles
            .retain(|(handle, _)| *handle != remote_handle);
        session.sent.retain(|sent| sent.link != gone);
        session.received.retain(|link| *link != gone);
    }

    /// The link part of a flow (specification 2.6.7).
    pub(super) fn on_link_flow(&mut self, session: u32, handle: u32, flow: &Flow) {
        let Some(index) = self
            .sessions
            .get(session)
            .and_then(|found| found.link_of_peer(handle))
        else {
            return self.end_session(session, Some(unattached(handle)));
        };
        let id = self.link_id(index);
        let Some(link) = self.links.get_mut(index) else {
            return;
        };
        // A link that we detached must stay silent, and an embedder that gave it up hears no more of it. A peer may give
        // credit before the embedder has answered its attach.
        if !matches!(
            link.state,
            LinkState::Attached | LinkState::Requested { .. }
        ) {
            return;
        }
        let attached = link.is_attached();
        match link.role {
            Role::Sender => {
                let before = link.credit;
                // Without a count the receiver has not seen our attach yet: it counts from our initial value, 0.
                let seen = flow.delivery_count.unwrap_or(0);
                let on_their_way = serial_after(link.delivery_count, seen);
                let given = flow.link_credit.unwrap_or(0);
                let credit = given.saturating_sub(on_their_way);
                link.credit = credit;
                link.excess = on_their_way.saturating_sub(given);
                if credit != before || flow.drain {
                    self.events.push_back(Event::Credit {
                        link: id,
                        credit,
                        drain: flow.drain,
                    });
                }
            }
            Role::Receiver => {
                // A sender that drained has moved its count on and used up our credit. One that counts a delivery only
                // when it is whole is behind our count for a while; that takes nothing away.
                let count = flow.delivery_count.unwrap_or(link.delivery_count);
                let used = serial_after(count, link.delivery_count);
                link.use_credit(used);
            }
        }
        if flow.echo && attached {
            self.emit_link_flow(index, false);
        }
        self.refresh_credit(index);
    }

    /// Tops up a receiver's credit when it is due.
    pub(super) fn refresh_credit(&mut self, index: u32) {
        let Some(link) = self.links.get_mut(index) else {
            return;
        };
        let Some(credit) = link.wanted_credit() else {
            return;
        };
        link.set_credit(credit);
        self.emit_link_flow(index, false);
    }

    pub(super) fn emit_link_flow(&mut self, index: u32, drain: bool) {
        let Some(link) = self.links.get(index) else {
            return;
        };
        let Some(session) = self.sessions.get(link.session) else {
            return;
        };
        // Counted at `send`, but not sent to the peer yet.
        let unsent = session.unsent(link);
        let flow = Flow {
            handle: Some(link.handle),
            delivery_count: Some(link.delivery_count.wrapping_sub(unsent)),
            link_credit: Some(link.credit.saturating_add(unsent)),
            drain,
            ..session.flow()
        };
        let channel = channel_of(link.session);
        self.flush_disposition();
        let before = self.output.len();
        frame::encode_flow(&mut self.output, channel, &flow);
        self.trace_sent(channel, before, || trace::of_flow(&flow));
    }
}

pub(super) fn unattached(handle: u32) -> Error {
    Error::new(
        condition::UNATTACHED_HANDLE,
        format!("handle {handle} carries no link"),
    )
}
