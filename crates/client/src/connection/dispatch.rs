//! Dispatch of events and commands to a device's links other than telemetry.

use std::time::Duration;

use drawspan_amqp::engine::{Connection, LinkId, SessionId};
use drawspan_hub::{AttemptId, Failure, Wants};

use super::command::{C2dOutcome, SendFailure, TwinRequest};
use super::device::Phase;
use super::handler::DeviceHandler;
use super::links::{LinkContext, Links, TwinReply};
use super::reply::Reply;
use crate::status::Status;

impl DeviceHandler {
    /// Does something with the links of a device, if it has any. What fails then costs the device its session.
    pub(super) fn with_links(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        now: Duration,
        act: impl FnOnce(&mut Links, &mut LinkContext<'_>) -> Result<(), Failure>,
    ) {
        let slot = self.devices.get_mut(session.channel());
        let device = slot.and_then(Option::as_mut);
        let Some(device) = device.filter(|device| device.session == session) else {
            return;
        };
        let Some(links) = &mut device.links else {
            return;
        };
        let mut at = LinkContext {
            connection,
            inbox: &self.config.inbox,
            ids: &mut self.ids,
            detaching: &mut self.detaching,
            device: &device.id,
            attempt: device.attempt,
            session,
            now,
        };
        let acted = act(links, &mut at);
        for (link, failure) in links.take_refusals() {
            let refused = Status::LinkRefused(device.attempt, link, failure);
            self.config.mailbox.post(refused);
        }
        if let Some(linked) = links.take_news() {
            self.config
                .mailbox
                .post(Status::Linked(device.attempt, linked));
        }
        let due = links.deadline();
        if links.is_idle() {
            device.links = None;
        }
        if !self.detaching.is_empty() {
            self.sweep_soon(now);
        }
        match acted {
            Ok(()) => self.look_by(due, now),
            Err(failure) => self.fail(connection, session, failure, now),
        }
    }

    /// The same, for whichever device a link belongs to.
    pub(super) fn on_link(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        now: Duration,
        act: impl FnOnce(&mut Links, &mut LinkContext<'_>) -> Result<(), Failure>,
    ) {
        if let Some(session) = connection.session_of(link) {
            self.with_links(connection, session, now, act);
        }
    }

    pub(super) fn want(
        &mut self,
        connection: &mut Connection,
        attempt: AttemptId,
        session: SessionId,
        wants: Wants,
        now: Duration,
    ) {
        let device = self.device_on(session);
        let Some(device) = device.filter(|device| device.attempt == attempt) else {
            return;
        };
        let phase = device.phase;
        if matches!(phase, Phase::Ending { .. }) {
            return;
        }
        device.links.get_or_insert_default().want(wants);
        self.with_links(connection, session, now, |links, at| match phase {
            Phase::Open { .. } => links.reconcile(at),
            // Done when it is open.
            Phase::Opening { .. } | Phase::Ending { .. } => Ok(()),
        });
    }

    pub(super) fn twin(
        &mut self,
        connection: &mut Connection,
        request: TwinRequest,
        reply: TwinReply,
        now: Duration,
    ) {
        let TwinRequest {
            session,
            operation,
            deadline,
        } = request;
        let Some(device) = self.device_on(session.0) else {
            reply.send(Err(SendFailure::Stale));
            return;
        };
        if !matches!(device.phase, Phase::Open { .. }) {
            reply.send(Err(SendFailure::Stale));
            return;
        }
        device.links.get_or_insert_default();
        self.with_links(connection, session.0, now, |links, at| {
            links.ask_twin(at, operation, deadline, reply)
        });
    }

    pub(super) fn settle_c2d(
        &mut self,
        connection: &mut Connection,
        outcome: C2dOutcome,
        reply: Reply,
        now: Duration,
    ) {
        let session = outcome.session.0;
        if self
            .device_on(session)
            .is_none_or(|device| device.links.is_none())
        {
            reply.send(Err(SendFailure::Stale));
            return;
        }
        self.with_links(connection, session, now, |links, at| {
            links.settle_c2d(at, &outcome, reply);
            Ok(())
        });
    }

    /// Does what is due on each device's links.
    pub(super) fn look_at_links(&mut self, connection: &mut Connection, now: Duration) {
        for channel in 0..self.devices.len() {
            let device = self.devices.get(channel).and_then(Option::as_ref);
            let Some(session) = device
                .filter(|device| device.links.is_some())
                .map(|device| device.session)
            else {
                continue;
            };
            self.with_links(connection, session, now, Links::look);
        }
    }
}
