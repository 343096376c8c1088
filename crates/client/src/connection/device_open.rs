//! Opening devices on the connection.

use std::time::Duration;

use drawspan_amqp::engine::{Connection, LinkId, LinkOptions, SessionId};
use drawspan_amqp::performative::{Attach, Error, condition};
use drawspan_hub::{AttemptId, Failure, FailureKind, Wants, address};

use super::cbs::Subject;
use super::device::{Device, Phase, Progress, TokenPlan, named};
use super::handler::{DeviceHandler, failure_of};
use super::links::Links;
use super::token_renewal::opening_until_ms;
use super::{DeviceSession, Open};
use crate::status::Status;

impl DeviceHandler {
    /// Begin, token and attach go out together; the hub's answers to the latter two decide.
    pub(super) fn open(&mut self, connection: &mut Connection, open: Open, now: Duration) {
        let session = match connection.begin() {
            Ok(session) => session,
            Err(error) => {
                let text = format!("no room on the connection: {error}");
                let failure = Failure::own(FailureKind::TokenLimit, &text);
                let status = Status::TokenRefused(open.attempt, failure);
                return self.config.mailbox.post(status);
            }
        };
        let per_device = self.config.credentials.is_per_device();
        let device = Device {
            id: open.device,
            registration: open.registration.map(Box::new),
            attempt: open.attempt,
            session,
            phase: Phase::Opening {
                until_ms: opening_until_ms(now),
                granted: !per_device,
                link: Progress::Unasked,
            },
            waiting: None,
            links: (open.wants != Wants::default()).then(|| Box::new(Links::new(open.wants))),
            next_tag: 0,
            token: TokenPlan::new(open.key, open.token_life_s),
        };
        let channel = session.channel();
        if self.devices.len() <= channel {
            self.devices.resize_with(channel + 1, || None);
        }
        if let Some(slot) = self.devices.get_mut(channel) {
            *slot = Some(device);
            self.opening += 1;
        }
        self.sweep_soon(now);
        if per_device {
            self.ask_token(connection, Subject::Device(session), now);
        } else {
            self.attach_telemetry(connection, session, now);
        }
    }

    /// Asks for the telemetry link of a device that is being opened, once, or once more when that was too early.
    pub(super) fn attach_telemetry(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        now: Duration,
    ) {
        let Some(device) = self.device_on(session) else {
            return;
        };
        let Phase::Opening { link, .. } = &mut device.phase else {
            return;
        };
        let again = match *link {
            Progress::Unasked => false,
            Progress::TooEarly => true,
            Progress::Asked(_) | Progress::AskedAgain(_) | Progress::Attached(_) => return,
        };
        let address = address::telemetry(&device.id);
        let options = named(LinkOptions::sender("drawspan-telemetry", address));
        match connection.attach(session, options) {
            Ok(asked) if again => *link = Progress::AskedAgain(asked),
            Ok(asked) => *link = Progress::Asked(asked),
            Err(error) => {
                let text = format!("no room on the connection: {error}");
                let failure = Failure::own(FailureKind::TokenLimit, &text);
                self.fail(connection, session, failure, now);
            }
        }
    }

    pub(super) fn session_of(&self, attempt: AttemptId) -> Option<SessionId> {
        self.devices
            .iter()
            .flatten()
            .find(|device| device.attempt == attempt)
            .map(|device| device.session)
    }

    /// The hub took a device's link.
    pub(super) fn on_device_attached(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        attach: &Attach,
        now: Duration,
    ) {
        let Some(session) = connection.session_of(link) else {
            return;
        };
        let Some(device) = self.device_on(session) else {
            return;
        };
        if !device.is_telemetry(link) {
            self.with_links(connection, session, now, |links, at| {
                links.on_attached(at, link, attach)
            });
            return;
        }
        if let Phase::Opening {
            granted,
            link: progress,
            ..
        } = &mut device.phase
        {
            *progress = Progress::Attached(link);
            if *granted {
                self.on_opened(connection, session, link, now);
            }
        }
    }

    /// Token and link are there.
    pub(super) fn on_opened(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        telemetry: LinkId,
        now: Duration,
    ) {
        let Some(device) = self.device_on(session) else {
            return;
        };
        device.phase = Phase::Open { telemetry };
        let attempt = device.attempt;
        self.opening = self.opening.saturating_sub(1);
        self.config
            .mailbox
            .post(Status::Opened(attempt, DeviceSession(session)));
        self.with_links(connection, session, now, Links::reconcile);
    }

    /// The hub detached a link of a device.
    pub(super) fn on_device_detached(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        link: LinkId,
        error: Option<&Error>,
        now: Duration,
    ) {
        let Some(device) = self.device_on(session) else {
            return;
        };
        if !device.is_telemetry(link) {
            self.with_links(connection, session, now, |links, at| {
                links.on_detached(at, link, error)
            });
            return;
        }
        let refused = error.is_some_and(|error| error.condition == condition::UNAUTHORIZED_ACCESS);
        if let Phase::Opening {
            granted: false,
            link: progress @ Progress::Asked(_),
            ..
        } = &mut device.phase
            && refused
        {
            *progress = Progress::TooEarly;
            return;
        }
        self.fail(connection, session, failure_of(error), now);
    }

    pub(super) fn device_on(&mut self, session: SessionId) -> Option<&mut Device> {
        self.devices
            .get_mut(session.channel())?
            .as_mut()
            .filter(|device| device.session == session)
    }
}
