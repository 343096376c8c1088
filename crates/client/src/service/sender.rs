//! The AMQP connection of a service: its token, one link, messages and their outcomes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Config, Connection, Event, LinkId, LinkOptions, Outgoing, SessionId};
use drawspan_amqp::performative::{DeliveryTag, Error, condition};
use drawspan_hub::{Failure, FailureKind};
use drawspan_net::{Clock, Handler, drive};
use tokio::sync::mpsc;

use super::{ServiceConfig, methods};
use crate::connection::SendFailure;
use crate::connection::cbs::{Answer, CBS_CONTEXT, Cbs, Subject};
use crate::connection::device::named;
use crate::connection::renewal::renewal_after;
use crate::connection::reply::Reply;
use crate::connection::sending::{failure_to_send, outcome};
use crate::connection::sends::Sends;
use crate::connection::{failure_of, failure_of_end};
use crate::limits;

/// As the Node client writes it.
const ADDRESS: &str = "/messages/devicebound";

/// A connection. It closes when all handles are gone.
#[derive(Debug, Clone)]
pub(super) struct Sender(mpsc::Sender<Command>);

#[derive(Debug)]
struct Command {
    message: Bytes,
    deadline: Duration,
    reply: Reply,
}

struct Sending {
    config: Arc<ServiceConfig>,
    cbs: Option<Cbs>,
    link: Link,
    /// Wait for credit, oldest first.
    waiting: VecDeque<Command>,
    sends: Sends,
    next_tag: u32,
    renew_at: Option<Duration>,
    sweep_at: Option<Duration>,
    failure: Option<Failure>,
}

/// The link for messages.
#[derive(Debug, Clone, Copy)]
enum Link {
    /// It comes with the token.
    None,
    Asked(SessionId, LinkId),
    Up(SessionId, LinkId),
}

impl Sender {
    /// Connects after `pause`, in a task of its own.
    pub(super) fn start(config: Arc<ServiceConfig>, clock: Clock, pause: Duration) -> Self {
        let (sender, commands) = mpsc::channel(limits::SERVICE_SENDS);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            run(config, clock, commands).await;
        });
        Self(sender)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_closed()
    }

    /// Puts a message into the queue, and gives what will be its outcome.
    pub(super) fn send(
        &self,
        message: Bytes,
        deadline: Duration,
    ) -> impl Future<Output = Result<(), SendFailure>> + Send + use<> {
        let (reply, answer) = Reply::new(None);
        let queued = self.0.try_send(Command {
            message,
            deadline,
            reply,
        });
        async move {
            match queued.map_err(|error| matches!(error, mpsc::error::TrySendError::Full(_))) {
                // A reply answers in any case, if only when it is dropped.
                Ok(()) => answer.await.unwrap_or(Err(SendFailure::Unsettled)),
                Err(true) => Err(SendFailure::Full),
                Err(false) => Err(SendFailure::Stale),
            }
        }
    }
}

async fn run(config: Arc<ServiceConfig>, clock: Clock, mut commands: mpsc::Receiver<Command>) {
    let host = config.host.as_str();
    let stream = match config.connector.connect_to(host, config.transport).await {
        Ok(stream) => stream,
        Err(error) => {
            let failure = Failure::local(FailureKind::HubUnreachable, &error.to_string());
            commands.close();
            while let Some(command) = commands.recv().await {
                command
                    .reply
                    .send(Err(SendFailure::Refused(failure.clone())));
            }
            return;
        }
    };
    let engine = Config {
        container_id: format!("drawspan-service-{}", std::process::id()),
        hostname: Some(host.to_owned()),
        idle_time_out_ms: Some(limits::IDLE_TIME_OUT_MS),
        ..Config::default()
    };
    let connection = Connection::client(engine, None, clock.now());
    let mut sending = Sending {
        config: Arc::clone(&config),
        cbs: None,
        link: Link::None,
        waiting: VecDeque::new(),
        sends: Sends::default(),
        next_tag: 0,
        renew_at: None,
        sweep_at: None,
        failure: None,
    };
    let ended = drive(stream, connection, &mut sending, commands, clock).await;
    let failure = sending.failure.take();
    let failure = failure.unwrap_or_else(|| failure_of_end(ended));
    tracing::debug!(hub = %config.host, reason = %failure.message, "a service's connection is over");
    for command in sending.waiting.drain(..) {
        command
            .reply
            .send(Err(SendFailure::Refused(failure.clone())));
    }
}

impl Sending {
    fn give_up(&mut self, connection: &mut Connection, failure: Failure, now: Duration) {
        self.failure.get_or_insert(failure);
        connection.close(None, now);
    }

    fn look_at_cbs(&mut self, connection: &mut Connection, now: Duration) {
        let Some(cbs) = &mut self.cbs else { return };
        if cbs.has_come_up(connection) {
            cbs.ask(Subject::Policy, now);
        }
        self.send_token(connection, now);
    }

    fn send_token(&mut self, connection: &mut Connection, now: Duration) {
        let Some(cbs) = &mut self.cbs else { return };
        let Some((subject, until)) = cbs.next_to_send(connection) else {
            return;
        };
        let sent = methods::token(&self.config).and_then(|token| {
            cbs.send(connection, subject, &token, until)
                .map_err(|error| protocol(&format!("the token could not be sent: {error}")))
        });
        if let Err(failure) = sent {
            self.give_up(connection, failure, now);
        }
    }

    fn on_token_answer(&mut self, connection: &mut Connection, answer: Answer, now: Duration) {
        match answer {
            Answer::Stray => {}
            Answer::Unreadable(text) => self.give_up(connection, protocol(&text), now),
            Answer::To(_, Err(failure)) => self.give_up(connection, failure, now),
            Answer::To(_, Ok(_)) => {
                let life = Duration::from_secs(limits::TOKEN_LIFE_S);
                self.renew_at = Some(now + renewal_after(life, 0));
                if matches!(self.link, Link::None)
                    && let Err(error) = self.attach(connection)
                {
                    let text = format!("the link could not be attached: {error}");
                    self.give_up(connection, protocol(&text), now);
                }
            }
        }
    }

    fn attach(
        &mut self,
        connection: &mut Connection,
    ) -> Result<(), drawspan_amqp::engine::CommandError> {
        let session = connection.begin()?;
        let options = named(LinkOptions::sender("drawspan-devicebound", ADDRESS));
        let link = connection.attach(session, options)?;
        self.link = Link::Asked(session, link);
        Ok(())
    }

    /// Sends what waits, as far as there is credit.
    fn flush(&mut self, connection: &mut Connection, now: Duration) {
        let Link::Up(session, link) = self.link else {
            return;
        };
        while !self.waiting.is_empty() && connection.credit(link) > 0 && connection.has_room(link) {
            let Some(command) = self.waiting.pop_front() else {
                return;
            };
            if command.deadline <= now {
                command.reply.send(Err(SendFailure::NotSent));
                continue;
            }
            let context = self
                .sends
                .insert(command.reply, session.channel(), command.deadline);
            let message = Outgoing {
                tag: DeliveryTag::from_u32(self.next_tag),
                message_format: 0,
                settled: false,
                context,
                payload: &command.message,
            };
            self.next_tag = self.next_tag.wrapping_add(1);
            if let Err(error) = connection.send(link, &message)
                && let Some(reply) = self.sends.take(context)
            {
                reply.send(Err(failure_to_send(error)));
            }
        }
    }

    /// Answers what is overdue.
    fn sweep(&mut self, connection: &mut Connection, now: Duration) {
        for (context, _) in self.sends.over(|_, deadline| deadline <= now) {
            let unsent = match self.link {
                Link::Up(_, link) => connection.withdraw(link, context),
                Link::None | Link::Asked(..) => false,
            };
            if let Some(reply) = self.sends.take(context) {
                reply.send(Err(match unsent {
                    true => SendFailure::NotSent,
                    false => SendFailure::Unsettled,
                }));
            }
        }
        let (late, waiting): (VecDeque<_>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|command| command.deadline <= now);
        self.waiting = waiting;
        for command in late {
            command.reply.send(Err(SendFailure::NotSent));
        }
        let more = !self.sends.is_empty() || !self.waiting.is_empty();
        let next = now + Duration::from_millis(limits::SWEEP_INTERVAL_MS);
        self.sweep_at = more.then_some(next);
    }
}

impl Handler for Sending {
    type Command = Command;

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::Opened(_) => match Cbs::start(connection, now) {
                Ok(cbs) => self.cbs = Some(cbs),
                Err(error) => {
                    let text = format!("the $cbs links could not be attached: {error}");
                    self.give_up(connection, protocol(&text), now);
                }
            },
            Event::Attached { link, .. } => match (&mut self.cbs, self.link) {
                (Some(cbs), _) if cbs.owns(link) => {
                    cbs.on_attached(link);
                    self.look_at_cbs(connection, now);
                }
                (_, Link::Asked(session, asked)) if asked == link => {
                    self.link = Link::Up(session, link);
                    self.flush(connection, now);
                }
                _ => {}
            },
            Event::Credit { link, drain, .. } => {
                if self.cbs.as_ref().is_some_and(|cbs| cbs.owns(link)) {
                    self.look_at_cbs(connection, now);
                } else {
                    self.flush(connection, now);
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
                if let Some(cbs) = self.cbs.as_mut().filter(|cbs| cbs.owns(link)) {
                    let answer = cbs.on_answer(connection, delivery, settled, &payload);
                    self.on_token_answer(connection, answer, now);
                }
            }
            Event::Outcome {
                context: CBS_CONTEXT,
                ..
            } => {}
            Event::Outcome { context, state, .. } => {
                if let Some(reply) = self.sends.take(context) {
                    reply.send(outcome(state, Failure::from_amqp));
                }
            }
            Event::Detached { error, .. } | Event::SessionEnded { error, .. } => {
                self.give_up(connection, failure_of(error.as_ref()), now);
            }
            Event::AttachRequested { link, .. } => {
                let error = Error::new(condition::NOT_ALLOWED, "no links are taken here");
                let _ = connection.refuse(link, error);
            }
            Event::Room { .. } => {
                self.look_at_cbs(connection, now);
                self.flush(connection, now);
            }
            Event::DeliveryTooLarge { .. }
            | Event::SettledBySender { .. }
            | Event::SaslInit { .. }
            | Event::SessionBegan { .. }
            | Event::Closed(_) => {}
        }
    }

    fn on_command(&mut self, connection: &mut Connection, command: Command, now: Duration) {
        if self.waiting.len() >= limits::SERVICE_SENDS {
            command.reply.send(Err(SendFailure::Full));
            return;
        }
        self.waiting.push_back(command);
        self.sweep_at
            .get_or_insert(now + Duration::from_millis(limits::SWEEP_INTERVAL_MS));
        self.flush(connection, now);
    }

    fn deadline(&self) -> Option<Duration> {
        if self.failure.is_some() {
            return None;
        }
        let cbs = self.cbs.as_ref().and_then(Cbs::deadline);
        [cbs, self.renew_at, self.sweep_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn on_deadline(&mut self, connection: &mut Connection, now: Duration) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(connection, now);
        }
        let late = self
            .cbs
            .as_mut()
            .is_some_and(|cbs| cbs.is_late(now) || cbs.next_overdue(now).is_some());
        if late {
            let text = "the hub did not take the service's token in time";
            self.give_up(connection, Failure::local(FailureKind::Timeout, text), now);
        }
        if self.renew_at.is_some_and(|at| at <= now) {
            self.renew_at = None;
            if let Some(cbs) = &mut self.cbs {
                cbs.ask(Subject::Policy, now);
            }
            self.send_token(connection, now);
        }
    }
}

fn protocol(text: &str) -> Failure {
    Failure::local(FailureKind::Protocol, text)
}
