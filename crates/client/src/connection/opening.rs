//! Opening and closing devices on the connection.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_amqp::engine::{CommandError, Connection, LinkId, LinkOptions, SessionId};
use drawspan_amqp::performative::Error;
use drawspan_hub::{DeviceId, Failure, FailureKind, address};

use super::device::{Device, Phase, named};
use super::handler::{DeviceHandler, failure_of};
use super::{DeviceSession, SendFailure};
use crate::board::{Owner, Status};
use crate::limits;

impl DeviceHandler {
    pub(super) fn open(
        &mut self,
        connection: &mut Connection,
        owner: Owner,
        device: &DeviceId,
        now: Duration,
    ) {
        if let Err(error) = self.try_open(connection, owner, device, now) {
            let failure = Failure::local(
                FailureKind::TokenLimit,
                &format!("no room on the connection: {error}"),
            );
            self.config.board.post(Status::OpenFailed(owner, failure));
        }
    }

    /// Begin and attach go out together; the hub's answer to the attach decides.
    pub(super) fn try_open(
        &mut self,
        connection: &mut Connection,
        owner: Owner,
        device: &DeviceId,
        now: Duration,
    ) -> Result<(), CommandError> {
        let session = connection.begin()?;
        let address = address::telemetry(device);
        let options = named(LinkOptions::sender("drawspan-telemetry", address));
        let telemetry = match connection.attach(session, options) {
            Ok(link) => link,
            Err(error) => {
                connection.end(session, None)?;
                return Err(error);
            }
        };
        let until = now + Duration::from_millis(limits::ATTACH_TIMEOUT_MS);
        let channel = session.channel();
        if self.devices.len() <= channel {
            self.devices.resize_with(channel + 1, || None);
        }
        if let Some(slot) = self.devices.get_mut(channel) {
            let phase = Phase::Attaching { until };
            *slot = Some(Device {
                owner,
                session,
                telemetry,
                phase,
                next_tag: 0,
                waiting: VecDeque::new(),
            });
            self.attaching += 1;
        }
        self.sweep_soon(now);
        Ok(())
    }

    pub(super) fn close(
        &mut self,
        connection: &mut Connection,
        owner: Owner,
        session: Option<DeviceSession>,
    ) {
        self.queued.retain(|(of, _)| *of != owner);
        let session = session
            .map(|session| session.0)
            .or_else(|| self.session_of(owner));
        match session.and_then(|session| self.device_on(session)) {
            Some(device)
                if device.owner == owner && !matches!(device.phase, Phase::Ending { .. }) =>
            {
                let attaching = matches!(device.phase, Phase::Attaching { .. });
                device.phase = Phase::Ending { asked: true };
                let session = device.session;
                self.attaching -= usize::from(attaching);
                self.end(connection, session);
            }
            // Still queued, or lost meanwhile and told so.
            _ => self.config.board.post(Status::Closed(owner)),
        }
    }

    pub(super) fn session_of(&self, owner: Owner) -> Option<SessionId> {
        self.devices
            .iter()
            .flatten()
            .find(|device| device.owner == owner)
            .map(|device| device.session)
    }

    /// The hub took the link, or gave the first credit.
    pub(super) fn on_device_attached(&mut self, connection: &Connection, link: LinkId) {
        let Some(session) = connection.session_of(link) else {
            return;
        };
        let Some(device) = self.device_on(session) else {
            return;
        };
        if device.telemetry == link && matches!(device.phase, Phase::Attaching { .. }) {
            device.phase = Phase::Open;
            let owner = device.owner;
            self.attaching = self.attaching.saturating_sub(1);
            self.config
                .board
                .post(Status::Opened(owner, DeviceSession(session)));
        }
    }

    /// The hub detached a link or ended a session: the device is down, its session with it.
    pub(super) fn on_device_down(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        error: Option<&Error>,
        gone: bool,
    ) {
        let Some(device) = self.device_on(session) else {
            return;
        };
        let owner = device.owner;
        let phase = device.phase;
        if !gone && !matches!(phase, Phase::Ending { .. }) {
            device.phase = Phase::Ending { asked: false };
            self.end(connection, session);
        }
        let news = match phase {
            Phase::Attaching { .. } => {
                self.attaching = self.attaching.saturating_sub(1);
                Some(Status::OpenFailed(owner, failure_of(error)))
            }
            Phase::Open => Some(Status::Lost(owner, failure_of(error))),
            Phase::Ending { asked: true } if gone => Some(Status::Closed(owner)),
            Phase::Ending { .. } => None,
        };
        if let Some(news) = news {
            self.config.board.post(news);
        }
        self.abandon_sends(session);
        if gone && let Some(slot) = self.devices.get_mut(session.channel()) {
            *slot = None;
        }
    }

    pub(super) fn end(&mut self, connection: &mut Connection, session: SessionId) {
        // An error here means that the session is gone already, of which an event tells.
        let _ = connection.end(session, None);
        self.abandon_sends(session);
    }

    /// What was sent has an unknown fate now; what waited was not sent.
    pub(super) fn abandon_sends(&mut self, session: SessionId) {
        let channel = session.channel();
        if let Some(device) = self.device_on(session) {
            let waiting = std::mem::take(&mut device.waiting);
            self.waiting -= waiting.len();
            for (_, reply) in waiting {
                let _ = reply.send(Err(SendFailure::Stale));
            }
        }
        self.sends.give_up(|of, _| of == channel);
    }

    pub(super) fn device_on(&mut self, session: SessionId) -> Option<&mut Device> {
        self.devices
            .get_mut(session.channel())?
            .as_mut()
            .filter(|device| device.session == session)
    }
}
