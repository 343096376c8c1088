//! What is done with a connection's events: the token first, then devices, then their messages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_amqp::engine::{
    CommandError, Connection, DeliveryId, Event, LinkId, LinkOptions, Outgoing, SessionId,
};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag, Error};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::address::{Address, DeviceFunction};
use drawspan_hub::{DeviceId, Failure, FailureKind};
use drawspan_net::Handler;

use super::cbs::{self, CBS_CONTEXT, Cbs, Progress};
use super::device::{Device, Phase};
use super::sends::{Reply, Sends};
use super::{Command, ConnectionConfig, DeviceSession, Send, SendFailure};
use crate::board::{Owner, Status};
use crate::limits;
use crate::packing::ConnectionKey;

/// Link property that names the client in the hub's logs.
const CLIENT_VERSION: Symbol = Symbol::from_static("com.microsoft:client-version");
const CLIENT_VERSION_TEXT: &str = concat!("drawspan/", env!("CARGO_PKG_VERSION"));

pub(super) struct DeviceHandler {
    config: Arc<ConnectionConfig>,
    key: ConnectionKey,
    cbs: Option<Cbs>,
    ready: bool,
    /// Devices to open once the token counts.
    queued: Vec<(Owner, DeviceId)>,
    /// By the channel of their session.
    devices: Vec<Option<Device>>,
    /// Devices whose link the hub has not taken yet.
    attaching: usize,
    /// Messages that wait for credit, over all devices.
    waiting: usize,
    sends: Sends,
    sweep_at: Option<Duration>,
    failure: Option<Failure>,
}

impl DeviceHandler {
    pub(super) fn new(config: Arc<ConnectionConfig>, key: ConnectionKey) -> Self {
        Self {
            config,
            key,
            cbs: None,
            ready: false,
            queued: Vec::new(),
            devices: Vec::new(),
            attaching: 0,
            waiting: 0,
            sends: Sends::default(),
            sweep_at: None,
            failure: None,
        }
    }

    /// Why this side gave the connection up, if it did.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn give_up(&mut self, connection: &mut Connection, failure: Failure, now: Duration) {
        self.failure.get_or_insert(failure);
        connection.close(None, now);
    }

    // === Token ===

    fn put_token(&mut self, connection: &mut Connection, now: Duration) {
        let Some(cbs) = &mut self.cbs else { return };
        let unix_s = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let token = cbs::sign(&self.config.host, &self.config.policy, unix_s);
        if let Err(error) = cbs.put_token(connection, &self.config.host, &token, now) {
            let failure = Failure::local(
                FailureKind::Protocol,
                &format!("the token could not be sent: {error}"),
            );
            self.give_up(connection, failure, now);
        }
    }

    fn on_cbs_progress(&mut self, connection: &mut Connection, progress: Progress, now: Duration) {
        match progress {
            Progress::None => {}
            Progress::Refused(failure) => self.give_up(connection, failure, now),
            Progress::Ready => {
                self.ready = true;
                self.config.board.post(Status::ConnectionReady(self.key));
                for (owner, device) in std::mem::take(&mut self.queued) {
                    self.open(connection, owner, &device, now);
                }
            }
        }
    }

    // === Devices ===

    fn open(
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
    fn try_open(
        &mut self,
        connection: &mut Connection,
        owner: Owner,
        device: &DeviceId,
        now: Duration,
    ) -> Result<(), CommandError> {
        let session = connection.begin()?;
        let address = Address::Device {
            device: device.clone(),
            module: None,
            function: DeviceFunction::Events,
        }
        .to_string();
        let mut options = LinkOptions::sender("drawspan-telemetry", address);
        options.properties = Some(Map(vec![(
            Value::Symbol(CLIENT_VERSION),
            Value::from(CLIENT_VERSION_TEXT),
        )]));
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

    fn close(&mut self, connection: &mut Connection, owner: Owner, session: Option<DeviceSession>) {
        self.queued.retain(|(of, _)| *of != owner);
        let session = session.map(|session| session.0).or_else(|| self.session_of(owner));
        match session.and_then(|session| self.device_on(session)) {
            Some(device) if device.owner == owner && !matches!(device.phase, Phase::Ending { .. }) => {
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

    fn session_of(&self, owner: Owner) -> Option<SessionId> {
        self.devices.iter().flatten().find(|device| device.owner == owner).map(|device| device.session)
    }

    /// The hub took the link, or gave the first credit.
    fn on_device_attached(&mut self, connection: &Connection, link: LinkId) {
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
    fn on_device_down(
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
        if gone {
            if let Some(slot) = self.devices.get_mut(session.channel()) {
                *slot = None;
            }
        }
    }

    fn end(&mut self, connection: &mut Connection, session: SessionId) {
        // An error here means that the session is gone already, of which an event tells.
        let _ = connection.end(session, None);
        self.abandon_sends(session);
    }

    /// What was sent has an unknown fate now; what waited was not sent.
    fn abandon_sends(&mut self, session: SessionId) {
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

    fn device_on(&mut self, session: SessionId) -> Option<&mut Device> {
        self.devices
            .get_mut(session.channel())?
            .as_mut()
            .filter(|device| device.session == session)
    }

    // === Messages ===

    fn send(&mut self, connection: &mut Connection, send: Send, reply: Reply, now: Duration) {
        let Some(device) = self
            .device_on(send.session.0)
            .filter(|device| device.phase == Phase::Open)
        else {
            let _ = reply.send(Err(SendFailure::Stale));
            return;
        };
        if device.waiting.is_empty() && connection.credit(device.telemetry) > 0 {
            self.transfer(connection, &send, reply, now);
        } else if device.waiting.len() < limits::SENDS_PER_DEVICE {
            device.waiting.push_back((send, reply));
            self.waiting += 1;
            self.sweep_soon(now);
        } else {
            let _ = reply.send(Err(SendFailure::Full));
        }
    }

    fn transfer(&mut self, connection: &mut Connection, send: &Send, reply: Reply, now: Duration) {
        let Some(device) = self.device_on(send.session.0) else {
            return;
        };
        let tag = DeliveryTag::from_u32(device.next_tag);
        device.next_tag = device.next_tag.wrapping_add(1);
        let telemetry = device.telemetry;
        let context = self
            .sends
            .insert(reply, send.session.0.channel(), send.deadline);
        let message = Outgoing {
            tag,
            message_format: 0,
            settled: false,
            context,
            payload: &send.message,
        };
        if let Err(error) = connection.send(telemetry, &message) {
            if let Some(reply) = self.sends.take(context) {
                let _ = reply.send(Err(failure_to_send(error)));
            }
        }
        self.sweep_soon(now);
    }

    fn on_credit(&mut self, connection: &mut Connection, link: LinkId, now: Duration) {
        let Some(session) = connection.session_of(link) else {
            return;
        };
        while connection.credit(link) > 0 {
            let Some((send, reply)) = self
                .device_on(session)
                .and_then(|device| device.waiting.pop_front())
            else {
                return;
            };
            self.waiting -= 1;
            self.transfer(connection, &send, reply, now);
        }
    }

    fn on_outcome(&mut self, context: u64, state: Option<DeliveryState>) {
        let Some(reply) = self.sends.take(context) else {
            return;
        };
        let _ = reply.send(outcome(state));
    }

    // === Time ===

    fn sweep_soon(&mut self, now: Duration) {
        self.sweep_at
            .get_or_insert(now + Duration::from_millis(limits::SWEEP_INTERVAL_MS));
    }

    /// Answers what is overdue. Runs only while something waits.
    fn sweep(&mut self, connection: &mut Connection, now: Duration) {
        self.sends.give_up(|_, deadline| deadline <= now);
        self.sends.shrink();
        if self.waiting > 0 {
            self.sweep_waiting(now);
        }
        if self.attaching > 0 {
            self.sweep_attaching(connection, now);
        }
        let more = !self.sends.is_empty() || self.waiting > 0 || self.attaching > 0;
        self.sweep_at = more.then_some(now + Duration::from_millis(limits::SWEEP_INTERVAL_MS));
    }

    fn sweep_waiting(&mut self, now: Duration) {
        for device in self.devices.iter_mut().flatten() {
            let before = device.waiting.len();
            for (send, reply) in std::mem::take(&mut device.waiting) {
                if send.deadline <= now {
                    let _ = reply.send(Err(SendFailure::NotSent));
                } else {
                    device.waiting.push_back((send, reply));
                }
            }
            self.waiting -= before - device.waiting.len();
        }
    }

    fn sweep_attaching(&mut self, connection: &mut Connection, now: Duration) {
        let late: Vec<_> = self
            .devices
            .iter()
            .flatten()
            .filter(|device| matches!(device.phase, Phase::Attaching { until } if until <= now))
            .map(|device| device.session)
            .collect();
        for session in late {
            self.on_device_down(connection, session, Some(&too_late()), false);
        }
    }
}

impl Handler for DeviceHandler {
    type Command = Command;

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::Opened(_) => match Cbs::start(connection) {
                Ok(cbs) => self.cbs = Some(cbs),
                Err(error) => {
                    let text = format!("the $cbs links could not be attached: {error}");
                    self.give_up(
                        connection,
                        Failure::local(FailureKind::Protocol, &text),
                        now,
                    );
                }
            },
            Event::Attached { link, .. } => match &mut self.cbs {
                Some(cbs) if cbs.owns(link) => cbs.on_attached(link),
                _ => self.on_device_attached(connection, link),
            },
            Event::Credit { link, drain, .. } => {
                match &mut self.cbs {
                    Some(cbs) if cbs.owns(link) => cbs.on_credit(link),
                    _ => self.on_credit(connection, link, now),
                }
                if drain {
                    // An error means that the link is gone, of which an event tells.
                    let _ = connection.drained(link);
                }
            }
            Event::Delivery {
                link,
                delivery,
                settled,
                payload,
                ..
            } => {
                self.on_delivery(connection, link, delivery, settled, &payload, now);
            }
            Event::Outcome {
                context: CBS_CONTEXT,
                ..
            } => {}
            Event::Outcome { context, state, .. } => self.on_outcome(context, state),
            Event::Detached { session, error, .. } => {
                self.on_down(connection, session, error.as_ref(), false, now)
            }
            Event::SessionEnded { session, error } => {
                self.on_down(connection, session, error.as_ref(), true, now)
            }
            Event::AttachRequested { link, .. } => {
                let error = Error::new(
                    drawspan_amqp::performative::condition::NOT_ALLOWED,
                    "no links are taken here",
                );
                let _ = connection.refuse(link, error);
            }
            Event::SaslInit { .. }
            | Event::SessionBegan { .. }
            | Event::DeliveryTooLarge { .. }
            | Event::SettledBySender { .. }
            | Event::Closed(_) => {}
        }
        if self.cbs.as_ref().is_some_and(Cbs::is_waiting_for_token) {
            self.put_token(connection, now);
        }
    }

    fn on_command(&mut self, connection: &mut Connection, command: Command, now: Duration) {
        match command {
            Command::Open { owner, device } if self.ready => {
                self.open(connection, owner, &device, now)
            }
            Command::Open { owner, device } => self.queued.push((owner, device)),
            Command::Close { owner, session } => self.close(connection, owner, session),
            Command::Send(send, reply) => self.send(connection, send, reply, now),
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let cbs = self.cbs.as_ref().and_then(Cbs::deadline);
        [cbs, self.sweep_at].into_iter().flatten().min()
    }

    fn on_deadline(&mut self, connection: &mut Connection, now: Duration) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(connection, now);
        }
        match &self.cbs {
            Some(Cbs::Valid { renew_at, .. }) if *renew_at <= now => {
                self.put_token(connection, now)
            }
            Some(Cbs::Asked { until, .. }) if *until <= now => {
                let failure = Failure::local(
                    FailureKind::Timeout,
                    "the hub did not answer put-token in time",
                );
                self.give_up(connection, failure, now);
            }
            _ => {}
        }
    }
}

impl DeviceHandler {
    fn on_delivery(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        delivery: DeliveryId,
        settled: bool,
        payload: &bytes::Bytes,
        now: Duration,
    ) {
        if !settled {
            let _ = connection.settle(link, delivery, DeliveryState::Accepted);
        }
        if let Some(cbs) = &mut self.cbs {
            let progress = cbs.on_answer(payload, now);
            self.on_cbs_progress(connection, progress, now);
        }
    }

    /// Something ended: a device's, or the token's own links, without which the connection is of no use.
    fn on_down(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        error: Option<&Error>,
        gone: bool,
        now: Duration,
    ) {
        if self.device_on(session).is_some() {
            self.on_device_down(connection, session, error, gone);
        } else if session.channel() == CBS_CHANNEL {
            self.give_up(connection, failure_of(error), now);
        }
    }
}

/// The session of the `$cbs` links is the first one of a connection.
const CBS_CHANNEL: usize = 0;

fn outcome(state: Option<DeliveryState>) -> Result<(), SendFailure> {
    let lost = |text: &str| {
        Err(SendFailure::Refused(Failure::local(
            FailureKind::ServerError,
            text,
        )))
    };
    match state {
        Some(DeliveryState::Accepted) => Ok(()),
        Some(DeliveryState::Rejected(error)) => {
            Err(SendFailure::Refused(failure_of(error.as_ref())))
        }
        Some(DeliveryState::Released | DeliveryState::Modified { .. }) => {
            lost("the hub gave the message back")
        }
        _ => Err(SendFailure::Unsettled),
    }
}

fn failure_to_send(error: CommandError) -> SendFailure {
    match error {
        CommandError::QueueFull => SendFailure::Full,
        CommandError::MessageTooLarge => {
            let text = "the message is larger than the hub's link allows";
            SendFailure::Refused(Failure::local(FailureKind::MessageTooLarge, text))
        }
        _ => SendFailure::Stale,
    }
}

fn failure_of(error: Option<&Error>) -> Failure {
    match error {
        Some(error) => Failure::from_amqp(error.condition.as_str(), error.description.as_deref()),
        None => Failure::local(
            FailureKind::ConnectionLost,
            "the hub ended the device's link without a reason",
        ),
    }
}

fn too_late() -> Error {
    Error::new(
        Symbol::from_static("com.microsoft:timeout"),
        "the hub did not take the device's link in time",
    )
}
