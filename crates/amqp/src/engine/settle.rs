//! Outcomes and settlement in both directions (specification 2.6.12, 2.7.6).

use super::connection::Connection;
use super::event::{CommandError, DeliveryId, Event, LinkId, SessionId};
use super::session::{channel_of, concerns_sent};
use super::trace;
use crate::frame;
use crate::performative::{DeliveryState, Disposition, ReceiverSettleMode, Role};

/// Consecutive accepted and settled deliveries, sent in one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingDisposition {
    session: u32,
    first: u32,
    last: u32,
}

impl Connection {
    /// Sends the outcome of a received delivery and settles it.
    pub fn settle(
        &mut self,
        link: LinkId,
        delivery: DeliveryId,
        state: DeliveryState,
    ) -> Result<(), CommandError> {
        let session = self.take_received(link, delivery)?;
        if state == DeliveryState::Accepted {
            self.accept_delivery(session, delivery.0);
        } else {
            self.emit_disposition(session, Role::Receiver, delivery.0, true, Some(state));
        }
        self.refresh_credit(link.index);
        Ok(())
    }

    /// Sends the outcome of a received delivery and leaves settling to the sender: [`Event::SettledBySender`] follows.
    pub fn propose(
        &mut self,
        link: LinkId,
        delivery: DeliveryId,
        state: DeliveryState,
    ) -> Result<(), CommandError> {
        self.check_open()?;
        let session = self.link_mut(link)?.session;
        let found = self
            .sessions
            .get(session)
            .ok_or(CommandError::UnknownSession)?;
        found
            .received
            .get(delivery.0)
            .ok_or(CommandError::UnknownDelivery)?;
        self.emit_disposition(session, Role::Receiver, delivery.0, false, Some(state));
        Ok(())
    }

    /// Settles a delivery of ours: the final disposition to a receiver that sent its outcome unsettled.
    pub fn settle_sent(
        &mut self,
        session: SessionId,
        delivery: DeliveryId,
        state: Option<DeliveryState>,
    ) -> Result<(), CommandError> {
        self.check_open()?;
        let found = self.session_mut(session)?;
        if found.is_ending() {
            return Err(CommandError::UnknownSession);
        }
        found
            .sent
            .remove(delivery.0)
            .ok_or(CommandError::UnknownDelivery)?;
        self.emit_disposition(session.index, Role::Sender, delivery.0, true, state);
        Ok(())
    }

    /// The session of a link.
    pub fn session_of(&self, link: LinkId) -> Option<SessionId> {
        if self.links.generation(link.index) != Some(link.generation) {
            return None;
        }
        self.links
            .get(link.index)
            .map(|found| self.session_id(found.session))
    }

    fn take_received(&mut self, link: LinkId, delivery: DeliveryId) -> Result<u32, CommandError> {
        self.check_open()?;
        let found = self.link_mut(link)?;
        let index = found.session;
        let session = self
            .sessions
            .get_mut(index)
            .ok_or(CommandError::UnknownSession)?;
        if session.received.get(delivery.0) != Some(&link) {
            return Err(CommandError::UnknownDelivery);
        }
        session.received.remove(delivery.0);
        if let Ok(found) = self.link_mut(link) {
            found.unsettled = found.unsettled.saturating_sub(1);
        }
        Ok(index)
    }

    /// Adds to the run of accepted deliveries, or starts a new one.
    fn accept_delivery(&mut self, session: u32, delivery: u32) {
        if let Some(pending) = &mut self.pending_disposition
            && pending.session == session
            && pending.last.wrapping_add(1) == delivery
        {
            pending.last = delivery;
            return;
        }
        self.flush_disposition();
        self.pending_disposition = Some(PendingDisposition {
            session,
            first: delivery,
            last: delivery,
        });
    }

    /// Writes the run of accepted deliveries, before anything else goes out.
    pub(super) fn flush_disposition(&mut self) {
        let Some(pending) = self.pending_disposition.take() else {
            return;
        };
        let disposition = Disposition {
            role: Role::Receiver,
            first: pending.first,
            last: (pending.last != pending.first).then_some(pending.last),
            settled: true,
            state: Some(DeliveryState::Accepted),
            batchable: false,
        };
        self.write_disposition(pending.session, &disposition);
    }

    fn emit_disposition(
        &mut self,
        session: u32,
        role: Role,
        delivery: u32,
        settled: bool,
        state: Option<DeliveryState>,
    ) {
        self.flush_disposition();
        let disposition = Disposition {
            role,
            first: delivery,
            last: None,
            settled,
            state,
            batchable: false,
        };
        self.write_disposition(session, &disposition);
    }

    fn write_disposition(&mut self, session: u32, disposition: &Disposition) {
        let (channel, before) = (channel_of(session), self.output.len());
        frame::encode_disposition(&mut self.output, channel, disposition);
        self.trace_sent(channel, before, || trace::of_disposition(disposition));
    }

    pub(super) fn on_disposition(&mut self, session: u32, disposition: Disposition) {
        let first = disposition.first;
        let last = disposition.last.unwrap_or(first);
        if concerns_sent(disposition.role) {
            self.on_outcomes(session, first, last, disposition);
        } else if disposition.settled {
            self.on_settled_by_sender(session, first, last, disposition.state);
        }
    }

    fn on_outcomes(&mut self, index: u32, first: u32, last: u32, disposition: Disposition) {
        let Some(session) = self.sessions.get(index) else {
            return;
        };
        for delivery in session.sent.ids(first, last) {
            self.on_outcome(
                index,
                delivery,
                disposition.settled,
                disposition.state.clone(),
            );
        }
    }

    fn on_outcome(
        &mut self,
        index: u32,
        delivery: u32,
        settled: bool,
        state: Option<DeliveryState>,
    ) {
        let Some(session) = self.sessions.get_mut(index) else {
            return;
        };
        let Some(sent) = session.sent.get(delivery).copied() else {
            return;
        };
        let terminal = state.as_ref().is_some_and(is_terminal);
        if !settled && !terminal {
            return;
        }
        let mode = match self.links.generation(sent.link.index) {
            Some(generation) if generation == sent.link.generation => self
                .links
                .get(sent.link.index)
                .map(|link| link.rcv_settle_mode),
            _ => None,
        };
        // In mode first, or when the link is gone, only we are left to settle.
        let ours = !settled && mode != Some(ReceiverSettleMode::Second);
        if (settled || ours)
            && let Some(session) = self.sessions.get_mut(index)
        {
            session.sent.remove(delivery);
        }
        if ours {
            self.emit_disposition(index, Role::Sender, delivery, true, state.clone());
        }
        if mode.is_some() {
            self.events.push_back(Event::Outcome {
                link: sent.link,
                delivery: DeliveryId(delivery),
                context: sent.context,
                state,
                settled: settled || ours,
            });
        }
    }

    fn on_settled_by_sender(
        &mut self,
        index: u32,
        first: u32,
        last: u32,
        state: Option<DeliveryState>,
    ) {
        let Some(session) = self.sessions.get(index) else {
            return;
        };
        for delivery in session.received.ids(first, last) {
            let Some(session) = self.sessions.get_mut(index) else {
                return;
            };
            let Some(link) = session.received.remove(delivery) else {
                continue;
            };
            let Ok(found) = self.link_mut(link) else {
                continue;
            };
            found.unsettled = found.unsettled.saturating_sub(1);
            self.events.push_back(Event::SettledBySender {
                link,
                delivery: DeliveryId(delivery),
                state: state.clone(),
            });
            self.refresh_credit(link.index);
        }
    }
}

/// Whether a state is an outcome (specification 3.4).
fn is_terminal(state: &DeliveryState) -> bool {
    use DeliveryState::{Accepted, Modified, Rejected, Released};
    matches!(state, Accepted | Rejected(_) | Released | Modified { .. })
}
