//! Closing devices on the connection: on request, because of a failure, and when the hub does not answer.

use std::time::Duration;

use drawspan_amqp::engine::{Connection, SessionId};
use drawspan_amqp::performative::Error;
use drawspan_hub::{AttemptId, Failure, FailureKind};

use super::cbs::Subject;
use super::device::{Device, Phase};
use super::handler::{DeviceHandler, failure_of};
use super::token_renewal::millis;
use super::{DeviceSession, SendFailure};
use crate::limits;
use crate::status::Status;

impl DeviceHandler {
    pub(super) fn close(
        &mut self,
        connection: &mut Connection,
        attempt: AttemptId,
        session: Option<DeviceSession>,
        now: Duration,
    ) {
        self.queued.retain(|open| open.attempt != attempt);
        let session = session
            .map(|session| session.0)
            .or_else(|| self.session_of(attempt));
        match session.and_then(|session| self.device_on(session)) {
            Some(device)
                if device.attempt == attempt && !matches!(device.phase, Phase::Ending { .. }) =>
            {
                let session = device.session;
                self.end(connection, session, true, now);
            }
            // Still queued, or lost meanwhile and reported.
            _ => self.config.mailbox.post(Status::Closed(attempt)),
        }
    }

    /// A device has failed: the failure is reported, and its session ends. Other devices are not affected.
    pub(super) fn fail(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        failure: Failure,
        now: Duration,
    ) {
        let Some(device) = self.device_on(session) else {
            return;
        };
        let attempt = device.attempt;
        let status = match device.phase {
            Phase::Opening { granted: false, .. } if refuses_token(&failure) => {
                Status::TokenRefused(attempt, failure)
            }
            Phase::Opening { .. } => Status::OpenFailed(attempt, failure),
            Phase::Open { .. } => Status::Lost(attempt, failure),
            Phase::Ending { .. } => return,
        };
        self.config.mailbox.post(status);
        self.end(connection, session, false, now);
    }

    /// Ends a device's session, and everything on it.
    fn end(&mut self, connection: &mut Connection, session: SessionId, asked: bool, now: Duration) {
        self.abandon(connection, session);
        let Some(device) = self.device_on(session) else {
            return;
        };
        let until_ms = millis(now).saturating_add(limits::END_TIMEOUT_MS);
        let ending = Phase::Ending { asked, until_ms };
        let before = std::mem::replace(&mut device.phase, ending);
        if matches!(before, Phase::Opening { .. }) {
            self.opening = self.opening.saturating_sub(1);
        }
        self.ending += 1;
        // An error here means that the session is gone already, of which an event tells.
        let _ = connection.end(session, None);
        self.sweep_soon(now);
    }

    /// A device's session is gone.
    pub(super) fn on_session_gone(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        error: Option<&Error>,
        now: Duration,
    ) {
        self.fail(connection, session, failure_of(error), now);
        self.retired.retain(|retired| *retired != session);
        self.forget(session);
    }

    /// A device whose session is over, or given up, is closed.
    fn forget(&mut self, session: SessionId) {
        let slot = self.devices.get_mut(session.channel());
        let device = slot.and_then(|slot| slot.take_if(|device| device.session == session));
        let Some(device) = device else { return };
        if let Phase::Ending { asked, .. } = device.phase {
            self.ending = self.ending.saturating_sub(1);
            if asked {
                self.config.mailbox.post(Status::Closed(device.attempt));
            }
        }
    }

    /// Gives up sessions whose end the hub did not answer in time. Their channels are not used again, since the hub may use them
    /// still; a connection on which that happens often is given up itself.
    pub(super) fn sweep_ending(&mut self, connection: &mut Connection, now: Duration) {
        let now_ms = millis(now);
        let late = |device: &Device| match device.phase {
            Phase::Ending { until_ms, .. } if until_ms <= now_ms => Some(device.session),
            _ => None,
        };
        let late: Vec<_> = self.devices.iter().flatten().filter_map(late).collect();
        for session in late {
            // An error here means that the engine knows nothing of it any more.
            if connection.retire(session).is_ok() {
                self.retired.push(session);
            }
            self.forget(session);
        }
        if self.retired.len() > limits::RETIRED_CHANNELS {
            let count = self.retired.len();
            let text = format!("the hub did not answer the end of {count} sessions");
            let failure = Failure::local(FailureKind::ConnectionLost, &text);
            self.give_up(connection, failure, now);
        }
    }

    /// Gives up devices one of whose links the hub did not detach in time.
    pub(super) fn sweep_detaching(&mut self, connection: &mut Connection, now: Duration) {
        while let Some(detaching) = self.detaching.pop_front_if(|next| next.until <= now) {
            // One that was detached is known no more.
            if connection.session_of(detaching.link).is_some() {
                let text = "the hub did not answer the detach of a link in time";
                let failure = Failure::local(FailureKind::Timeout, text);
                self.fail(connection, detaching.session, failure, now);
            }
        }
    }

    /// Written messages have an unknown fate now; the others were not sent.
    fn abandon(&mut self, connection: &mut Connection, session: SessionId) {
        let channel = session.channel();
        if self.device_on(session).is_none() {
            return;
        }
        let sends = self.sends.over(|of, _| of == channel);
        self.give_up_sends(connection, sends, &SendFailure::Stale);
        if let Some(device) = self.device_on(session) {
            if let Some(links) = device.links.take() {
                links.abandon();
            }
            let waiting = device.waiting.take().unwrap_or_default();
            self.waiting -= waiting.len();
            for (_, reply) in *waiting {
                reply.send(Err(SendFailure::Stale));
            }
        }
        if let Some(cbs) = &mut self.cbs {
            cbs.forget(Subject::Device(session));
        }
    }
}

/// Whether the hub says by this that it takes no token of a device.
const fn refuses_token(failure: &Failure) -> bool {
    matches!(
        failure.kind,
        FailureKind::Unauthorized | FailureKind::TokenLimit
    )
}
