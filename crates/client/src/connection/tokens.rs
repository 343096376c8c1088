//! Who gets which token when, and what an answer means: for the whole connection with a policy's keys, for one device with
//! its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_amqp::engine::{Connection, SessionId};
use drawspan_hub::{Failure, FailureKind, WhichKey};

use super::cbs::{Answer, Subject};
use super::device::{Phase, Progress, TokenPlan, renewal_after};
use super::handler::DeviceHandler;
use crate::board::Status;
use crate::limits;

/// The token of a connection whose keys are a policy's.
#[derive(Debug, Default)]
pub(super) struct PolicyToken {
    key: WhichKey,
    /// The hub refused the other key for this same purpose.
    other_refused: bool,
    pub(super) renew_at: Option<Duration>,
}

impl DeviceHandler {
    /// The `$cbs` links stand.
    pub(super) fn on_cbs_up(&mut self, connection: &mut Connection, now: Duration) {
        if self.config.credentials.is_per_device() {
            self.on_ready(connection, now);
        } else {
            self.ask_token(connection, Subject::Policy, now);
        }
    }

    fn on_ready(&mut self, connection: &mut Connection, now: Duration) {
        self.ready = true;
        self.config
            .board
            .post(Status::ConnectionReady(self.config.pool, self.key));
        for open in std::mem::take(&mut self.queued) {
            self.open(connection, open, now);
        }
    }

    pub(super) fn ask_token(
        &mut self,
        connection: &mut Connection,
        subject: Subject,
        now: Duration,
    ) {
        if let Some(cbs) = &mut self.cbs {
            cbs.ask(subject, now);
        }
        self.send_tokens(connection, now);
    }

    /// Sends what there is credit for. A device's link goes out with its token.
    pub(super) fn send_tokens(&mut self, connection: &mut Connection, now: Duration) {
        while let Some((subject, until)) = self
            .cbs
            .as_mut()
            .and_then(|cbs| cbs.next_to_send(connection))
        {
            let token = match self.sign(subject) {
                Ok(token) => token,
                Err(failure) => {
                    self.on_refused(connection, subject, failure, now);
                    continue;
                }
            };
            let Some(cbs) = &mut self.cbs else { return };
            if let Err(error) = cbs.send(connection, subject, &token, until) {
                let text = format!("the token could not be sent: {error}");
                let failure = Failure::local(FailureKind::Protocol, &text);
                self.on_refused(connection, subject, failure, now);
            } else if let Subject::Device(session) = subject
                && self.pipelining
            {
                self.attach_telemetry(connection, session, now);
            }
        }
    }

    /// Tokens are made when they go out, and kept nowhere.
    fn sign(&mut self, subject: Subject) -> Result<String, Failure> {
        let config = &self.config;
        let now_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let (token, text) = match subject {
            Subject::Policy => (
                config.credentials.policy_token(
                    &config.host,
                    self.policy.key,
                    now_s + limits::TOKEN_LIFE_S,
                ),
                "there is no policy key to sign with",
            ),
            Subject::Device(session) => {
                let device = self.devices.get(session.channel());
                let device = device.and_then(Option::as_ref);
                let Some(device) = device.filter(|device| device.session == session) else {
                    // Gone meanwhile: whoever is told looks for it in vain, too.
                    return Err(Failure::local(FailureKind::Unknown, "the device is gone"));
                };
                let TokenPlan { key, life_s, .. } = device.token;
                let expiry = now_s + u64::from(life_s);
                let credentials = &config.credentials;
                let registration = device.registration.as_deref().unwrap_or(&device.id);
                (
                    credentials.device_token(&config.host, &device.id, registration, key, expiry),
                    "there is no key for this device",
                )
            }
        };
        token.ok_or_else(|| Failure::local(FailureKind::Unauthorized, text))
    }

    pub(super) fn on_cbs_answer(
        &mut self,
        connection: &mut Connection,
        answer: Answer,
        now: Duration,
    ) {
        match answer {
            Answer::Stray => {}
            Answer::Unreadable(text) => {
                let failure = Failure::local(FailureKind::Protocol, &text);
                self.give_up(connection, failure, now);
            }
            Answer::To(Subject::Policy, Ok(())) => self.on_policy_granted(connection, now),
            Answer::To(Subject::Device(session), Ok(())) => {
                self.on_device_granted(connection, session, now);
            }
            Answer::To(Subject::Policy, Err(failure)) if self.takes_other_key(&failure) => {
                self.ask_token(connection, Subject::Policy, now);
            }
            Answer::To(subject, Err(failure)) => self.on_refused(connection, subject, failure, now),
        }
    }

    /// A key may have been exchanged at the hub: the other one is tried, once.
    fn takes_other_key(&mut self, failure: &Failure) -> bool {
        let policy = &mut self.policy;
        let other = failure.kind == FailureKind::Unauthorized
            && !policy.other_refused
            && self.config.credentials.has_secondary();
        if other {
            policy.other_refused = true;
            policy.key = match policy.key {
                WhichKey::Primary => WhichKey::Secondary,
                WhichKey::Secondary => WhichKey::Primary,
            };
        }
        other
    }

    fn on_policy_granted(&mut self, connection: &mut Connection, now: Duration) {
        self.policy.other_refused = false;
        let life = Duration::from_secs(limits::TOKEN_LIFE_S);
        self.policy.renew_at = Some(now + renewal_after(life, self.key.0.into()));
        if !self.ready {
            self.on_ready(connection, now);
        }
    }

    fn on_device_granted(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        now: Duration,
    ) {
        let Some(device) = self.device_on(session) else {
            return;
        };
        let owner = device.owner;
        device.token.granted(owner, now);
        let renew_at = device.token.renew_at();
        let link = match &mut device.phase {
            Phase::Opening {
                granted,
                until_ms,
                link,
            } => {
                *granted = true;
                *until_ms = opening_until_ms(now);
                Some(*link)
            }
            _ => None,
        };
        self.look_by(renew_at, now);
        match link {
            Some(Progress::Attached(link)) => self.on_opened(connection, session, link, now),
            Some(Progress::TooEarly) => {
                // The hub looks at links before it has looked at the token: no use in sending both at once here.
                self.pipelining = false;
                self.attach_telemetry(connection, session, now);
            }
            Some(Progress::Unasked) => self.attach_telemetry(connection, session, now),
            Some(Progress::Asked(_) | Progress::AskedAgain(_)) | None => {}
        }
    }

    fn on_refused(
        &mut self,
        connection: &mut Connection,
        subject: Subject,
        failure: Failure,
        now: Duration,
    ) {
        match subject {
            Subject::Policy => self.give_up(connection, failure, now),
            Subject::Device(session) => self.fail(connection, session, failure, now),
        }
    }

    /// Gives up what the hub has not answered in time.
    pub(super) fn sweep_tokens(&mut self, connection: &mut Connection, now: Duration) {
        let late = self.cbs.as_ref().is_some_and(|cbs| cbs.is_late(now));
        if late {
            let text = "the hub did not take the $cbs links in time";
            self.give_up(connection, Failure::local(FailureKind::Timeout, text), now);
        }
        while let Some(subject) = self.cbs.as_mut().and_then(|cbs| cbs.next_overdue(now)) {
            let text = "the hub did not answer put-token in time";
            let failure = Failure::local(FailureKind::Timeout, text);
            self.on_refused(connection, subject, failure, now);
        }
    }

    /// Renews the connection's token, if that is due.
    pub(super) fn renew_policy(&mut self, connection: &mut Connection, now: Duration) {
        if self.policy.renew_at.is_some_and(|at| at <= now) {
            self.policy.renew_at = None;
            self.ask_token(connection, Subject::Policy, now);
        }
    }

    /// Renews the tokens of devices for which it is time, no more at once than [`limits::RENEWALS_PER_LOOK`]. Returns when
    /// to look again.
    pub(super) fn renew_devices(
        &mut self,
        connection: &mut Connection,
        now: Duration,
    ) -> Option<Duration> {
        let mut due = Vec::new();
        let mut next: Option<Duration> = None;
        for device in self.devices.iter_mut().flatten() {
            let Some(at) = device.token.renew_at() else {
                continue;
            };
            if !matches!(device.phase, Phase::Open { .. }) {
                continue;
            }
            if at <= now && due.len() < limits::RENEWALS_PER_LOOK {
                device.token.renew_at_s = TokenPlan::NEVER;
                due.push(device.session);
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        for session in due {
            self.ask_token(connection, Subject::Device(session), now);
        }
        next
    }
}

/// Until when a device that asks for something now must have it.
pub(super) fn opening_until_ms(now: Duration) -> u64 {
    millis(now).saturating_add(limits::ATTACH_TIMEOUT_MS)
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
