//! The AMQP connection of a service: its token, one link, messages and their outcomes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{Config, Connection, Event, LinkId, LinkOptions, Outgoing, SessionId};
use drawspan_amqp::performative::{DeliveryTag, Error, condition};
use drawspan_hub::{Failure, FailureKind};
use drawspan_net::{Clock, Handler, drive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::token::ServiceToken;
use super::{ServiceConfig, methods};
use crate::connection::SendFailure;
use crate::connection::cbs::CBS_CONTEXT;
use crate::connection::device::named;
use crate::connection::pending_sends::PendingSends;
use crate::connection::reply::Reply;
use crate::connection::send_queue::{failure_to_send, outcome};
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
    token: ServiceToken,
    link: Link,
    /// Wait for credit, oldest first.
    waiting: VecDeque<Command>,
    sends: PendingSends,
    next_tag: u32,
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
    /// Connects after `pause`, in a separate task.
    pub(super) fn start(config: Arc<ServiceConfig>, clock: Clock, pause: Duration) -> Self {
        let (sender, commands) = mpsc::channel(limits::SERVICE_SENDS);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            run(config, clock, commands).await;
        });
        Self(sender)
    }

    /// On a stream that stands already.
    #[cfg(test)]
    fn on_stream(
        config: Arc<ServiceConfig>,
        clock: Clock,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Self {
        let (sender, commands) = mpsc::channel(limits::SERVICE_SENDS);
        tokio::spawn(converse(config, clock, stream, commands));
        Self(sender)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_closed()
    }

    /// Queues a message, and returns its future outcome.
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
                Ok(()) => answer.await.unwrap_or(Err(SendFailure::FateUnknown)),
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
    converse(config, clock, stream, commands).await;
}

/// Speaks AMQP until one side ends it.
async fn converse(
    config: Arc<ServiceConfig>,
    clock: Clock,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    commands: mpsc::Receiver<Command>,
) {
    let host = config.host.as_str();
    let engine = Config {
        container_id: format!("drawspan-service-{}", std::process::id()),
        hostname: Some(host.to_owned()),
        idle_time_out_ms: Some(limits::IDLE_TIME_OUT_MS),
        ..Config::default()
    };
    let connection = Connection::client(engine, None, clock.now());
    let mut sending = Sending {
        config: Arc::clone(&config),
        token: ServiceToken::default(),
        link: Link::None,
        waiting: VecDeque::new(),
        sends: PendingSends::default(),
        next_tag: 0,
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

    /// Sends a token that is asked for.
    fn advance_token(&mut self, connection: &mut Connection, now: Duration) {
        let config = &self.config;
        let sign = || methods::token(config);
        if let Err(failure) = self.token.advance(connection, sign, now) {
            self.give_up(connection, failure, now);
        }
    }

    /// The hub took a token; with the first one comes the link.
    fn on_token_taken(&mut self, connection: &mut Connection, now: Duration) {
        if matches!(self.link, Link::None)
            && let Err(error) = self.attach(connection)
        {
            let text = format!("the link could not be attached: {error}");
            self.give_up(connection, protocol(&text), now);
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
                    false => SendFailure::FateUnknown,
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
            Event::Opened(_) => {
                if let Err(failure) = self.token.start(connection, now) {
                    self.give_up(connection, failure, now);
                }
            }
            Event::Attached { link, .. } => match self.link {
                _ if self.token.owns(link) => {
                    self.token.on_attached(link);
                    self.advance_token(connection, now);
                }
                Link::Asked(session, asked) if asked == link => {
                    self.link = Link::Up(session, link);
                    self.flush(connection, now);
                }
                _ => {}
            },
            Event::Credit { link, drain, .. } => {
                if self.token.owns(link) {
                    self.advance_token(connection, now);
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
            } if self.token.owns(link) => {
                let delivery = (delivery, settled);
                match self.token.on_delivery(connection, delivery, &payload, now) {
                    Ok(true) => self.on_token_taken(connection, now),
                    Ok(false) => {}
                    Err(failure) => self.give_up(connection, failure, now),
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
                self.advance_token(connection, now);
                self.flush(connection, now);
            }
            Event::Delivery { .. }
            | Event::DeliveryTooLarge { .. }
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
        let token = self.token.deadline();
        [token, self.sweep_at].into_iter().flatten().min()
    }

    fn on_deadline(&mut self, connection: &mut Connection, now: Duration) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(connection, now);
        }
        match self.token.on_deadline(now) {
            Ok(()) => self.advance_token(connection, now),
            Err(failure) => self.give_up(connection, failure, now),
        }
    }
}

fn protocol(text: &str) -> Failure {
    Failure::local(FailureKind::Protocol, text)
}

#[cfg(test)]
mod tests {
    use drawspan_hub::{HostName, SymmetricKey};
    use drawspan_net::{Connector, Transport, client_config};
    use tokio::io::duplex;

    use super::*;
    use crate::connection::tests::hub::{Hub, Seen, Tokens};
    use crate::credentials::{Credentials, KeyPair, Keys};

    const HOST: &str = "hub.example";

    fn connect() -> (Sender, Hub, Clock) {
        let certificate = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let trusted = client_config(vec![certificate.cert.der().clone()]).unwrap();
        let key = SymmetricKey::from_bytes(&[1; 32]).unwrap();
        let config = ServiceConfig {
            host: HostName::parse(HOST).unwrap(),
            credentials: Arc::new(Credentials::new(Keys::Policy {
                name: "service".to_owned(),
                keys: KeyPair::single(key),
            })),
            connector: Connector::new(trusted, Vec::new()),
            transport: Transport::Amqps,
        };
        let clock = Clock::start();
        let (ours, theirs) = duplex(64 * 1_024);
        let hub = Hub::start(theirs, clock);
        let sender = Sender::on_stream(Arc::new(config), clock, ours);
        (sender, hub, clock)
    }

    async fn send(sender: &Sender, clock: Clock) -> Result<(), SendFailure> {
        let message = drawspan_amqp::message::Message::from_data("x").to_bytes();
        let deadline = clock.now() + Duration::from_secs(30);
        sender.send(message, deadline).await
    }

    /// Waits until so many tokens were sent in all.
    async fn tokens(hub: &Hub, count: usize) {
        let is_token = |seen: &&Seen| matches!(seen, Seen::Token(_));
        hub.until(|state| {
            let tokens = state.seen.iter().filter(is_token).count();
            (tokens >= count).then_some(())
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_that_fails_is_tried_again_while_the_token_is_good() {
        for fault in [Tokens::Refuse(500, "busy"), Tokens::Ignore] {
            let (sender, hub, clock) = connect();
            assert_eq!(send(&sender, clock).await, Ok(()));
            hub.with(|state| state.tokens = fault);
            tokens(&hub, 4).await;
            assert_eq!(send(&sender, clock).await, Ok(()));
            hub.with(|state| state.tokens = Tokens::Take);
            tokens(&hub, 6).await;
            assert!(clock.now() > Duration::from_secs(limits::TOKEN_LIFE_S));
            assert_eq!(send(&sender, clock).await, Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_before_its_token_does() {
        for fault in [Tokens::Refuse(500, "busy"), Tokens::Ignore] {
            let (sender, hub, clock) = connect();
            assert_eq!(send(&sender, clock).await, Ok(()));
            hub.with(|state| state.tokens = fault);
            hub.ended().await;
            let life = Duration::from_secs(limits::TOKEN_LIFE_S);
            let left = life.saturating_sub(clock.now());
            assert!((1..60).contains(&left.as_secs()), "{left:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_token_that_is_refused_ends_the_connection() {
        let (sender, hub, clock) = connect();
        hub.with(|state| state.tokens = Tokens::Refuse(401, "no"));
        assert!(matches!(
            send(&sender, clock).await,
            Err(SendFailure::Refused(_))
        ));
        hub.ended().await;
    }
}
