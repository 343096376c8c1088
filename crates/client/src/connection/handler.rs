//! What is done with a connection's events: the token first, then devices, then their messages.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_amqp::engine::{Connection, DeliveryId, Event, LinkId, SessionId};
use drawspan_amqp::performative::{DeliveryState, Error};
use drawspan_hub::{DeviceId, Failure, FailureKind};
use drawspan_net::Handler;

use super::cbs::{self, CBS_CONTEXT, Cbs, Progress};
use super::device::Device;
use super::sends::Sends;
use super::{Command, ConnectionConfig};
use crate::board::{Owner, Status};
use crate::ledger::ConnectionKey;

pub(super) struct DeviceHandler {
    pub(super) config: Arc<ConnectionConfig>,
    pub(super) key: ConnectionKey,
    pub(super) cbs: Option<Cbs>,
    pub(super) ready: bool,
    /// Devices to open once the token counts.
    pub(super) queued: Vec<(Owner, DeviceId)>,
    /// By the channel of their session.
    pub(super) devices: Vec<Option<Device>>,
    /// Devices whose link the hub has not taken yet.
    pub(super) attaching: usize,
    /// Messages that wait for credit, over all devices.
    pub(super) waiting: usize,
    pub(super) sends: Sends,
    pub(super) sweep_at: Option<Duration>,
    pub(super) failure: Option<Failure>,
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

pub(super) fn failure_of(error: Option<&Error>) -> Failure {
    match error {
        Some(error) => Failure::from_amqp(error.condition.as_str(), error.description.as_deref()),
        None => Failure::local(
            FailureKind::ConnectionLost,
            "the hub ended the device's link without a reason",
        ),
    }
}
