//! Handling of a connection's events: the token first, then devices, then their messages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{Connection, Event, LinkId, SessionId};
use drawspan_amqp::performative::Error;
use drawspan_hub::failure::Ending;
use drawspan_hub::{ConnectionKey, Failure, FailureKind};
use drawspan_net::Handler;

use super::cbs::{CBS_CONTEXT, Cbs};
use super::device::Device;
use super::links::{Delivery, Detaching, Ids, Links, METHOD_CONTEXT};
use super::pending_sends::PendingSends;
use super::token_renewal::PolicyToken;
use super::{Command, ConnectionConfig, Open};
use crate::limits;

pub(super) struct DeviceHandler {
    pub(super) config: Arc<ConnectionConfig>,
    pub(super) key: ConnectionKey,
    pub(super) cbs: Option<Cbs>,
    pub(super) policy: PolicyToken,
    /// Devices may be opened.
    pub(super) ready: bool,
    /// Whether a device's link is asked for before its token is answered, as far as the hub bears with that.
    pub(super) pipelining: bool,
    /// Devices to open once they may be.
    pub(super) queued: Vec<Open>,
    /// By the channel of their session.
    pub(super) devices: Vec<Option<Device>>,
    /// Devices that are being opened.
    pub(super) opening: usize,
    /// Devices whose sessions are ending.
    pub(super) ending: usize,
    /// Sessions that were given up because the hub did not answer their end.
    pub(super) retired: Vec<SessionId>,
    /// Links that the hub is to detach, in the order of their times.
    pub(super) detaching: VecDeque<Detaching>,
    /// Messages that wait for credit or room, over all devices.
    pub(super) waiting: usize,
    pub(super) sends: PendingSends,
    pub(super) sweep_at: Option<Duration>,
    /// When to look at every device for what is due, at the latest.
    look_at: Option<Duration>,
    pub(super) ids: Ids,
    /// The hub has answered open.
    opened: bool,
    failure: Option<Failure>,
}

impl DeviceHandler {
    pub(super) fn new(config: Arc<ConnectionConfig>, key: ConnectionKey) -> Self {
        Self {
            config,
            key,
            cbs: None,
            policy: PolicyToken::default(),
            ready: false,
            pipelining: true,
            queued: Vec::new(),
            devices: Vec::new(),
            opening: 0,
            ending: 0,
            retired: Vec::new(),
            detaching: VecDeque::new(),
            waiting: 0,
            sends: PendingSends::default(),
            sweep_at: None,
            look_at: None,
            ids: Ids::default(),
            opened: false,
            failure: None,
        }
    }

    /// Why this side gave the connection up, if it did.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Whether the hub has answered open: what ends before that says nothing of any device.
    pub(super) const fn opened(&self) -> bool {
        self.opened
    }

    pub(super) fn give_up(&mut self, connection: &mut Connection, failure: Failure, now: Duration) {
        self.failure.get_or_insert(failure);
        connection.close(None, now);
    }

    fn start_cbs(&mut self, connection: &mut Connection, now: Duration) {
        match Cbs::start(connection, now) {
            Ok(cbs) => self.cbs = Some(cbs),
            Err(error) => {
                let text = format!("the $cbs links could not be attached: {error}");
                let failure = Failure::local(FailureKind::Protocol, &text);
                self.give_up(connection, failure, now);
            }
        }
    }

    /// Something is due then for some device. Looking at all of them again is not hurried.
    pub(super) fn look_by(&mut self, at: Option<Duration>, now: Duration) {
        let soonest = now + Duration::from_millis(limits::LOOK_INTERVAL_MS);
        let at = at.map(|at| at.max(soonest));
        self.look_at = [self.look_at, at].into_iter().flatten().min();
    }

    /// Does what is due for each device.
    fn look(&mut self, connection: &mut Connection, now: Duration) {
        self.look_at = None;
        let next = self.renew_devices(connection, now);
        self.look_by(next, now);
        self.look_at_links(connection, now);
    }
}

impl Handler for DeviceHandler {
    type Command = Command;

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::Opened(_) => {
                self.opened = true;
                match self.config.credentials.is_by_certificate() {
                    // It proved everything: there are no tokens.
                    true => self.on_ready(connection, now),
                    false => self.start_cbs(connection, now),
                }
            }
            Event::Attached { link, attach } => match &mut self.cbs {
                Some(cbs) if cbs.owns(link) => {
                    cbs.on_attached(link);
                    self.look_at_cbs(connection, now);
                }
                _ => self.on_device_attached(connection, link, &attach, now),
            },
            Event::Credit { link, drain, .. } => {
                self.on_credit(connection, link, now);
                if drain {
                    // An error means that the link is gone, of which an event tells.
                    let _ = connection.drained(link);
                }
            }
            Event::Delivery {
                link,
                delivery,
                tag,
                settled,
                payload,
                ..
            } => match &mut self.cbs {
                Some(cbs) if cbs.owns(link) => {
                    let answer = cbs.on_answer(connection, delivery, settled, &payload);
                    self.on_cbs_answer(connection, answer, now);
                }
                _ => self.on_link(connection, link, now, |links, at| {
                    links.on_message(
                        at,
                        &Delivery {
                            link,
                            delivery,
                            tag,
                            settled,
                            payload: &payload,
                        },
                    )
                }),
            },
            Event::DeliveryTooLarge { link, delivery, .. } => {
                self.on_link(connection, link, now, |links, at| {
                    links.on_too_large(at, link, delivery);
                    Ok(())
                });
            }
            Event::SettledBySender {
                link,
                delivery,
                state,
            } => self.on_link(connection, link, now, |links, at| {
                links.on_settled(at, link, delivery, state);
                Ok(())
            }),
            Event::Outcome {
                context: CBS_CONTEXT | METHOD_CONTEXT,
                ..
            } => {}
            Event::Outcome { context, state, .. } => self.on_outcome(context, state),
            Event::Detached {
                link,
                session,
                error,
                ..
            } => {
                if self.is_cbs(session) {
                    self.give_up(connection, failure_of(error.as_ref()), now);
                } else {
                    self.on_device_detached(connection, session, link, error.as_ref(), now);
                }
            }
            Event::SessionEnded { session, error } => {
                if self.is_cbs(session) {
                    self.give_up(connection, failure_of(error.as_ref()), now);
                } else {
                    self.on_session_gone(connection, session, error.as_ref(), now);
                }
            }
            Event::AttachRequested { link, .. } => {
                let error = Error::new(
                    drawspan_amqp::performative::condition::NOT_ALLOWED,
                    "no links are taken here",
                );
                let _ = connection.refuse(link, error);
            }
            Event::Room { session } if self.is_cbs(session) => self.send_tokens(connection, now),
            Event::Room { session } => {
                self.flush_telemetry(connection, session, now);
                self.with_links(connection, session, now, Links::flush);
            }
            Event::SaslInit { .. } | Event::SessionBegan { .. } | Event::Closed(_) => {}
        }
    }

    fn on_command(&mut self, connection: &mut Connection, command: Command, now: Duration) {
        match command {
            Command::Open(open) if self.ready => self.open(connection, open, now),
            Command::Open(open) => self.queued.push(open),
            Command::Close { attempt, session } => self.close(connection, attempt, session, now),
            Command::Send(send, reply) => self.send(connection, send, reply, now),
            Command::Want {
                attempt,
                session,
                wants,
                ..
            } => self.want(connection, attempt, session.0, wants, now),
            Command::Pull {
                attempt, session, ..
            } => {
                let of = |device: &mut Device| device.attempt == attempt;
                if self.device_on(session.0).is_some_and(of) {
                    self.with_links(connection, session.0, now, |links, at| {
                        links.pull(at);
                        Ok(())
                    });
                }
            }
            Command::Twin(request, reply) => self.twin(connection, request, reply, now),
            Command::Answer(answer, _permit) => {
                let session = answer.session.0;
                self.with_links(connection, session, now, |links, at| {
                    links.answer_method(at, answer);
                    Ok(())
                });
            }
            Command::Settle(outcome, reply) => self.settle_c2d(connection, outcome, reply, now),
            #[cfg(test)]
            Command::Count(to) => drop(to.send(self.counts(connection))),
        }
    }

    fn deadline(&self) -> Option<Duration> {
        if self.failure.is_some() {
            // Abandoned: the hub's answer is all that is left, for which the engine waits.
            return None;
        }
        let cbs = self.cbs.as_ref().and_then(Cbs::deadline);
        [cbs, self.policy.deadline(), self.sweep_at, self.look_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn on_deadline(&mut self, connection: &mut Connection, now: Duration) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(connection, now);
        }
        self.sweep_tokens(connection, now);
        self.renew_policy(connection, now);
        if self.look_at.is_some_and(|at| at <= now) {
            self.look(connection, now);
        }
    }
}

impl DeviceHandler {
    fn is_cbs(&self, session: SessionId) -> bool {
        self.cbs.as_ref().is_some_and(|cbs| cbs.is_session(session))
    }

    fn look_at_cbs(&mut self, connection: &mut Connection, now: Duration) {
        let came = self
            .cbs
            .as_mut()
            .is_some_and(|cbs| cbs.has_come_up(connection));
        if came {
            self.on_cbs_up(connection, now);
        }
    }

    fn on_credit(&mut self, connection: &mut Connection, link: LinkId, now: Duration) {
        let Some(session) = connection.session_of(link) else {
            return;
        };
        if self.is_cbs(session) {
            self.look_at_cbs(connection, now);
            self.send_tokens(connection, now);
        } else if self
            .device_on(session)
            .is_some_and(|device| device.is_telemetry(link))
        {
            self.flush_telemetry(connection, session, now);
        } else {
            self.with_links(connection, session, now, Links::flush);
        }
    }
}

pub(crate) fn failure_of(error: Option<&Error>) -> Failure {
    match error {
        Some(error) => Failure::from_amqp(error.condition.as_str(), error.description.as_deref()),
        None => Failure::local(
            FailureKind::ConnectionLost,
            "the hub ended the device's link without a reason",
        )
        .with_ending(Ending::Unexplained),
    }
}
