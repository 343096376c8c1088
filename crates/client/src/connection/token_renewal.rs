//! Assignment of tokens and handling of their answers: for the whole connection with a policy's keys, for one device with its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_amqp::engine::{Connection, SessionId};
use drawspan_hub::{Failure, FailureKind, WhichKey};

use super::cbs::{Subject, TokenResponse};
use super::device::{Phase, Progress, TokenPlan};
use super::handler::DeviceHandler;
use super::renewal_schedule::{Renewal, Step};
use crate::limits;
use crate::status::Status;

/// The token of a connection whose keys are a policy's.
#[derive(Debug, Default)]
pub(super) struct PolicyToken {
    key: WhichKey,
    /// The hub refused the other key for the first token.
    other_refused: bool,
    renewal: Renewal,
}

impl PolicyToken {
    const LIFE: Duration = Duration::from_secs(limits::TOKEN_LIFE_S);

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.renewal.deadline(Self::LIFE)
    }
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

    pub(super) fn on_ready(&mut self, connection: &mut Connection, now: Duration) {
        self.ready = true;
        self.config
            .mailbox
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
                    // The device is gone meanwhile, so the report would find no receiver either.
                    return Err(Failure::local(FailureKind::Unknown, "the device is gone"));
                };
                let TokenPlan { key, life_s, .. } = &device.token;
                let (key, life_s) = (*key, *life_s);
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
        answer: TokenResponse,
        now: Duration,
    ) {
        match answer {
            TokenResponse::Stray => {}
            TokenResponse::Unreadable(text) => {
                let failure = Failure::local(FailureKind::Protocol, &text);
                self.give_up(connection, failure, now);
            }
            TokenResponse::To(Subject::Policy, Ok(asked)) => {
                self.on_policy_granted(connection, asked, now);
            }
            TokenResponse::To(Subject::Device(session), Ok(asked)) => {
                self.on_device_granted(connection, session, asked, now);
            }
            TokenResponse::To(subject, Err(failure)) => {
                self.on_refused(connection, subject, failure, now)
            }
        }
    }

    fn on_policy_granted(&mut self, connection: &mut Connection, asked: Duration, now: Duration) {
        let (life, seed) = (PolicyToken::LIFE, self.key.0.into());
        self.policy.renewal.granted(asked, life, seed);
        if !self.ready {
            self.on_ready(connection, now);
        }
    }

    fn on_policy_refused(&mut self, connection: &mut Connection, failure: Failure, now: Duration) {
        // A key may have been exchanged at the hub: the other one is tried, the first time at once.
        let exchanged =
            failure.kind == FailureKind::Unauthorized && self.config.credentials.has_secondary();
        if exchanged {
            self.policy.key = self.policy.key.other();
        }
        if exchanged && !self.ready && !self.policy.other_refused {
            self.policy.other_refused = true;
            return self.ask_token(connection, Subject::Policy, now);
        }
        let (life, seed) = (PolicyToken::LIFE, self.key.0.into());
        if let Err(failure) = self.policy.renewal.failed(failure, now, life, seed) {
            self.give_up(connection, failure, now);
        }
    }

    fn on_device_refused(
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
        let ended = device.token.failed(attempt, failure, now);
        let due = device.token.deadline();
        match ended {
            Ok(()) => self.look_by(due, now),
            Err(failure) => self.fail(connection, session, failure, now),
        }
    }

    fn on_device_granted(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        asked: Duration,
        now: Duration,
    ) {
        let Some(device) = self.device_on(session) else {
            return;
        };
        let attempt = device.attempt;
        device.token.granted(attempt, asked);
        let due = device.token.deadline();
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
        self.look_by(due, now);
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
            Subject::Policy => self.on_policy_refused(connection, failure, now),
            Subject::Device(session) => self.on_device_refused(connection, session, failure, now),
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
        match self.policy.renewal.step(now, PolicyToken::LIFE) {
            Step::Nothing => {}
            Step::Ask => self.ask_token(connection, Subject::Policy, now),
            Step::End(failure) => self.give_up(connection, failure, now),
        }
    }

    /// Renews the tokens of devices for which it is time, no more at once than [`limits::RENEWALS_PER_LOOK`]. Returns when
    /// to look again.
    pub(super) fn renew_devices(
        &mut self,
        connection: &mut Connection,
        now: Duration,
    ) -> Option<Duration> {
        let (mut due, mut over) = (Vec::new(), Vec::new());
        let mut next: Option<Duration> = None;
        for device in self.devices.iter_mut().flatten() {
            if !matches!(device.phase, Phase::Open { .. }) {
                continue;
            }
            if due.len() < limits::RENEWALS_PER_LOOK {
                match device.token.step(now) {
                    Step::Nothing => {}
                    Step::Ask => due.push(device.session),
                    Step::End(failure) => over.push((device.session, failure)),
                }
            }
            next = [next, device.token.deadline()].into_iter().flatten().min();
        }
        for session in due {
            self.ask_token(connection, Subject::Device(session), now);
        }
        for (session, failure) in over {
            self.fail(connection, session, failure, now);
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
