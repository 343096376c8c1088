//! What devices receive, and what happens to them, as events for subscribers.

use std::sync::Arc;

use bytes::Bytes;
use drawspan_bridge::delivery::NoRoom;
use drawspan_client::{C2dDelivery, DeviceSession, Incoming, MethodAnswer, MethodRequestId, Owner};
use drawspan_hub::{
    C2dMessage, ConnectionStatus, ConnectionStatusReason, DeviceId, SubscriptionType,
};

use super::Shell;
use super::news::attempt;
use crate::log_limit::{Leave, NO_ROOM};
use crate::runtime::names;
use crate::runtime::ticket::{C2dTicket, MethodTicket, Ticket};
use crate::webhooks::{Content, Event};

/// The answer to a method that nobody can take now.
const TOO_BUSY: i32 = 503;
/// The answer to a method that nobody subscribes to any more.
const NOBODY: i32 = 404;

impl Shell {
    /// A device received something.
    pub(in crate::runtime) fn arrived(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Method {
                owner,
                session,
                request,
                name,
                payload,
            } => {
                let content = Content::Method { name, payload };
                self.method(owner, session, request, content);
            }
            Incoming::C2d {
                owner,
                session,
                delivery,
                message,
            } => self.c2d(owner, session, delivery, message),
            Incoming::Desired { owner, body, .. } => self.desired(owner, body),
            Incoming::DesiredMissed { owner } => self.desired_missed(owner),
        }
    }

    fn method(
        &mut self,
        owner: Owner,
        session: DeviceSession,
        request: MethodRequestId,
        content: Content,
    ) {
        let Some(device) = self.device_of(owner) else {
            return;
        };
        let webhook_id = names::method(&request);
        let ticket = MethodTicket {
            attempt: attempt(owner),
            session,
            request,
        };
        let event = self.event(&device, webhook_id, content, Ticket::Method(ticket.clone()));
        let status = match event.map(|event| self.offer(event)) {
            Some(Ok(())) => return,
            Some(Err(_)) => TOO_BUSY,
            None => NOBODY,
        };
        self.answer_method(ticket, status, None);
    }

    pub(super) fn answer_method(
        &mut self,
        ticket: MethodTicket,
        status: i32,
        payload: Option<Bytes>,
    ) {
        let MethodTicket {
            attempt,
            session,
            request,
        } = ticket;
        // Without a connection there is nobody to answer; where it is too busy, the hub's caller hears nothing.
        if let Some(connection) = self.connection_of(attempt) {
            connection.answer_method(MethodAnswer {
                session,
                request,
                status,
                payload,
            });
        }
    }

    fn c2d(
        &mut self,
        owner: Owner,
        session: DeviceSession,
        delivery: C2dDelivery,
        message: Box<C2dMessage>,
    ) {
        let Some(device) = self.device_of(owner) else {
            return;
        };
        let ticket = C2dTicket {
            attempt: attempt(owner),
            session,
            delivery,
            _held: Arc::new(self.parts.inbox.hold(message.size_bytes())),
            again: message.delivery_count > 0,
        };
        let webhook_id = self.c2d_name(owner.index, &message);
        if self
            .table
            .of(&device, SubscriptionType::C2dMessages)
            .is_none()
        {
            // Who does not ask for it either has unsubscribed meanwhile: with its link it goes back to the hub.
            self.hold(attempt(owner), session, delivery, &message);
            return;
        }
        let content = Content::C2d(message);
        let event = self.event(&device, webhook_id, content, Ticket::C2d(ticket.clone()));
        if let Some(event) = event
            && self.offer(event).is_err()
        {
            // A lane has room for the one message that a device may have, but its receiver may have no share left.
            self.leave_c2d(ticket);
        }
    }

    fn c2d_name(&self, index: u32, message: &C2dMessage) -> String {
        let hub = self.fleet.machine(index).and_then(|machine| machine.hub());
        let identity = self.identity(index);
        names::c2d(
            hub.map_or("", |hub| hub.as_str()),
            identity.as_ref().map_or("", DeviceId::as_str),
            message,
        )
    }

    pub(super) fn desired_name(&self, index: u32, version: Option<i64>, full: bool) -> String {
        let hub = self.fleet.machine(index).and_then(|machine| machine.hub());
        let identity = self.identity(index);
        names::desired(
            hub.map_or("", |hub| hub.as_str()),
            identity.as_ref().map_or("", DeviceId::as_str),
            version,
            full,
        )
    }

    /// The device's connection is another than before, as the public words say it.
    pub(super) fn status_changed(
        &mut self,
        device: &DeviceId,
        status: ConnectionStatus,
        reason: ConnectionStatusReason,
    ) {
        tracing::debug!(%device, status = status.as_str(), reason = reason.as_str());
        let kind = SubscriptionType::ConnectionStatus;
        if self.table.of(device, kind).is_none() {
            return;
        }
        let content = Content::Status {
            status,
            reason,
            skipped: 0,
        };
        if let Some(event) = self.event(device, names::status(), content, Ticket::Status)
            && self.offer(event).is_err()
            && let Some(Leave { left_out }) = NO_ROOM.pass("status")
        {
            tracing::warn!(%device, left_out, "no room for a change of its connection");
        }
    }

    /// An event for whoever subscribes to it, if anybody does.
    pub(super) fn event(
        &self,
        device: &DeviceId,
        webhook_id: String,
        content: Content,
        ticket: Ticket,
    ) -> Option<Event<Ticket>> {
        let row = self.table.of(device, content.kind())?;
        let received = self.parts.clock.now();
        Some(Event {
            device: device.clone(),
            callback: row.callback.clone(),
            webhook_id,
            received_at: self.calendar.at(received),
            received,
            content,
            ticket,
        })
    }

    pub(super) fn offer(&mut self, event: Event<Ticket>) -> Result<(), NoRoom> {
        let now = self.parts.clock.now();
        self.webhooks.offer(event, now)
    }

    /// Whose it is. It may come before the news that the device is open; nobody's, when its attempt is over.
    pub(super) fn device_of(&self, owner: Owner) -> Option<DeviceId> {
        if !self.fleet.is_current(attempt(owner)) {
            return None;
        }
        self.fleet.id(owner.index).cloned()
    }
}
