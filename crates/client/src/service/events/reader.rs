//! The connection to an event endpoint: its token, the request for the partitions, and one receiver per partition.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_amqp::engine::{
    ClientSasl, CommandError, Config, Connection, Credit, DeliveryId, Event, LinkId, LinkOptions,
    Outgoing, SessionId,
};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag, Error, condition};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::{Failure, FailureKind, WhichKey, sas};
use drawspan_net::{Clock, Handler, Stream, drive};
use tokio::sync::{mpsc, oneshot};

use super::{Arrived, EventConfig, TelemetryEvent, WatchOptions, request};
use crate::connection::cbs::CBS_CONTEXT;
use crate::connection::device::named;
use crate::connection::{failure_of, failure_of_end};
use crate::limits;
use crate::service::token::ServiceToken;

const ANONYMOUS: Symbol = Symbol::from_static("ANONYMOUS");
/// Name and descriptor of the filter that says where a reader starts.
const SELECTOR: Symbol = Symbol::from_static("apache.org:selector-filter:string");

type Ready = oneshot::Sender<Result<usize, Failure>>;

/// The handler of the connection's events.
pub(super) struct Reading {
    config: EventConfig,
    options: WatchOptions,
    events: mpsc::Sender<Result<Arrived, Failure>>,
    /// Gets the number of partitions, once.
    ready: Option<Ready>,
    token: ServiceToken,
    stage: Stage,
    failure: Option<Failure>,
}

enum Stage {
    /// Waiting for the token, before which no operation is allowed.
    Token,
    /// The partitions are asked for.
    Management {
        session: SessionId,
        sender: LinkId,
        receiver: LinkId,
        receiving: bool,
        asked: bool,
    },
    Reading(Vec<Partition>),
}

struct Partition {
    link: LinkId,
    attached: bool,
    /// Events that wait for the reader.
    waiting: u32,
    /// Events that were taken since credit was given.
    taken: u32,
}

impl Reading {
    pub(super) fn new(
        config: EventConfig,
        options: WatchOptions,
        events: mpsc::Sender<Result<Arrived, Failure>>,
        ready: Ready,
    ) -> Self {
        Self {
            config,
            options,
            events,
            ready: Some(ready),
            token: ServiceToken::default(),
            stage: Stage::Token,
            failure: None,
        }
    }

    fn give_up(&mut self, connection: &mut Connection, failure: Failure, now: Duration) {
        self.failure.get_or_insert(failure);
        connection.close(None, now);
    }

    /// Sends a token that is asked for.
    fn advance_token(&mut self, connection: &mut Connection, now: Duration) {
        let config = &self.config;
        if let Err(failure) = self.token.advance(connection, || token(config), now) {
            self.give_up(connection, failure, now);
        }
    }

    /// The endpoint took a token; the first one opens the way to the partitions.
    fn on_token_taken(&mut self, connection: &mut Connection, now: Duration) {
        if matches!(self.stage, Stage::Token) {
            match ask_management(connection) {
                Ok(stage) => self.stage = stage,
                Err(error) => self.give_up(connection, not_attached(error), now),
            }
        }
    }

    /// Asks for the partitions, once that can be asked and answered.
    fn ask_partitions(&mut self, connection: &mut Connection, now: Duration) {
        let Stage::Management {
            sender,
            receiving: true,
            ref mut asked,
            ..
        } = self.stage
        else {
            return;
        };
        if *asked || connection.credit(sender) == 0 {
            return;
        }
        *asked = true;
        let sent = token(&self.config).and_then(|token| {
            let message = Outgoing {
                tag: DeliveryTag::from_u32(0),
                message_format: 0,
                settled: true,
                context: 0,
                payload: &request::partitions(&self.config.endpoint.entity, &token),
            };
            let sent = connection.send(sender, &message);
            sent.map_err(|error| protocol(&format!("the request could not be sent: {error}")))
        });
        if let Err(failure) = sent {
            self.give_up(connection, failure, now);
        }
    }

    fn attach_all(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        partitions: &[String],
    ) -> Result<(), CommandError> {
        let mut attached = Vec::with_capacity(partitions.len());
        for number in partitions {
            let (entity, group) = (&self.config.endpoint.entity, &self.options.group);
            let address = format!("{entity}/ConsumerGroups/{group}/Partitions/{number}");
            let credit = Credit::Manual(limits::EVENTS_PER_PARTITION);
            let name = format!("drawspan-events-{number}");
            let mut options = named(LinkOptions::receiver(name, address, credit));
            options.max_message_bytes = Some(limits::EVENT_BYTES);
            let selector = self.options.start.selector();
            let filter = Value::described(SELECTOR, selector.as_str());
            options.source.filter = Some(Map(vec![(Value::Symbol(SELECTOR), filter)]));
            attached.push(Partition {
                link: connection.attach(session, options)?,
                attached: false,
                waiting: 0,
                taken: 0,
            });
        }
        self.stage = Stage::Reading(attached);
        Ok(())
    }

    fn on_attached(&mut self, connection: &mut Connection, link: LinkId, now: Duration) {
        if self.token.owns(link) {
            self.token.on_attached(link);
            return self.advance_token(connection, now);
        }
        match &mut self.stage {
            Stage::Token => {}
            Stage::Management {
                receiver,
                receiving,
                ..
            } => {
                *receiving |= *receiver == link;
                self.ask_partitions(connection, now);
            }
            Stage::Reading(partitions) => {
                for partition in &mut *partitions {
                    partition.attached |= partition.link == link;
                }
                if partitions.iter().all(|partition| partition.attached)
                    && let Some(ready) = self.ready.take()
                {
                    // The stream may have been dropped meanwhile.
                    let _ = ready.send(Ok(partitions.len()));
                }
            }
        }
    }

    fn on_delivery(
        &mut self,
        connection: &mut Connection,
        (link, delivery, settled): (LinkId, DeliveryId, bool),
        payload: &bytes::Bytes,
        now: Duration,
    ) {
        if self.token.owns(link) {
            let delivery = (delivery, settled);
            return match self.token.on_delivery(connection, delivery, payload, now) {
                Ok(true) => self.on_token_taken(connection, now),
                Ok(false) => {}
                Err(failure) => self.give_up(connection, failure, now),
            };
        }
        if !settled {
            // An error means that the link is gone, of which an event tells.
            let _ = connection.settle(link, delivery, DeliveryState::Accepted);
        }
        match &mut self.stage {
            Stage::Management {
                session, receiver, ..
            } if *receiver == link => {
                let session = *session;
                let attached = request::read(payload).and_then(|partitions| {
                    self.attach_all(connection, session, &partitions)
                        .map_err(not_attached)
                });
                if let Err(failure) = attached {
                    self.give_up(connection, failure, now);
                }
            }
            Stage::Reading(partitions) => {
                let of = partitions.iter_mut().find(|of| of.link == link);
                let Some(partition) = of else { return };
                partition.waiting += 1;
                match TelemetryEvent::decode(payload) {
                    Ok(event) => {
                        // Credit is given for what fits in. Without a reader the connection is about to end.
                        let _ = self.events.try_send(Ok(Arrived { link, event }));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "an event is left out: it is not an AMQP message");
                        self.taken(connection, link);
                    }
                }
            }
            Stage::Token | Stage::Management { .. } => {}
        }
    }

    /// An event was taken: gives its partition credit again, some at a time.
    fn taken(&mut self, connection: &mut Connection, link: LinkId) {
        let Stage::Reading(partitions) = &mut self.stage else {
            return;
        };
        let of = partitions.iter_mut().find(|of| of.link == link);
        let Some(partition) = of else { return };
        partition.waiting = partition.waiting.saturating_sub(1);
        partition.taken += 1;
        if partition.taken >= limits::EVENTS_PER_PARTITION / 2 {
            partition.taken = 0;
            let room = limits::EVENTS_PER_PARTITION.saturating_sub(partition.waiting);
            // An error means that the link is gone, of which an event tells.
            let _ = connection.grant(link, room);
        }
    }
}

fn token(config: &EventConfig) -> Result<String, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let expiry = now.map_or(0, |now| now.as_secs()) + limits::TOKEN_LIFE_S;
    let endpoint = &config.endpoint;
    let resource = sas::event_resource(&endpoint.host, &endpoint.entity);
    let credentials = &config.credentials;
    let token = credentials.policy_token_for(&resource, WhichKey::Primary, expiry);
    token.ok_or_else(|| {
        let text = "there is no policy key to sign with";
        Failure::local(FailureKind::Unauthorized, text)
    })
}

/// Runs a reader to its end, and says why that came.
pub(super) async fn run(
    stream: Stream,
    mut reading: Reading,
    commands: mpsc::Receiver<LinkId>,
    clock: Clock,
) {
    let engine = Config {
        container_id: format!("drawspan-events-{}", std::process::id()),
        hostname: Some(reading.config.endpoint.host.as_str().to_owned()),
        idle_time_out_ms: Some(limits::IDLE_TIME_OUT_MS),
        ..Config::default()
    };
    let sasl = ClientSasl {
        mechanism: ANONYMOUS,
        initial_response: None,
    };
    let connection = Connection::client(engine, Some(sasl), clock.now());
    let ended = drive(stream, connection, &mut reading, commands, clock).await;
    let failure = reading.failure.take();
    let failure = failure.unwrap_or_else(|| failure_of_end(ended));
    match reading.ready.take() {
        // A caller that no longer waits needs no answer.
        Some(ready) => drop(ready.send(Err(failure))),
        None => drop(reading.events.send(Err(failure)).await),
    }
}

fn ask_management(connection: &mut Connection) -> Result<Stage, CommandError> {
    let session = connection.begin()?;
    Ok(Stage::Management {
        session,
        sender: connection.attach(session, request::sender())?,
        receiver: connection.attach(session, request::receiver())?,
        receiving: false,
        asked: false,
    })
}

impl Handler for Reading {
    type Command = LinkId;

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::Opened(_) => {
                if let Err(failure) = self.token.start(connection, now) {
                    self.give_up(connection, failure, now);
                }
            }
            Event::Attached { link, .. } => self.on_attached(connection, link, now),
            Event::Room { .. } => self.advance_token(connection, now),
            Event::Credit { link, drain, .. } => {
                if self.token.owns(link) {
                    self.advance_token(connection, now);
                } else {
                    self.ask_partitions(connection, now);
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
            } => self.on_delivery(connection, (link, delivery, settled), &payload, now),
            Event::DeliveryTooLarge { link, .. } => {
                tracing::warn!("an event is left out: it is larger than any of a hub");
                self.taken(connection, link);
            }
            Event::Outcome {
                context: CBS_CONTEXT,
                ..
            } => {}
            Event::Detached { error, .. } | Event::SessionEnded { error, .. } => {
                self.give_up(connection, failure_of(error.as_ref()), now);
            }
            Event::AttachRequested { link, .. } => {
                let error = Error::new(condition::NOT_ALLOWED, "no links are taken here");
                let _ = connection.refuse(link, error);
            }
            Event::Outcome { .. }
            | Event::SettledBySender { .. }
            | Event::SaslInit { .. }
            | Event::SessionBegan { .. }
            | Event::Closed(_) => {}
        }
    }

    fn on_command(&mut self, connection: &mut Connection, link: LinkId, _: Duration) {
        self.taken(connection, link);
    }

    fn deadline(&self) -> Option<Duration> {
        if self.failure.is_some() {
            return None;
        }
        self.token.deadline()
    }

    fn on_deadline(&mut self, connection: &mut Connection, now: Duration) {
        match self.token.on_deadline(now) {
            Ok(()) => self.advance_token(connection, now),
            Err(failure) => self.give_up(connection, failure, now),
        }
    }
}

fn not_attached(error: CommandError) -> Failure {
    protocol(&format!("a link could not be attached: {error}"))
}

pub(super) fn protocol(text: &str) -> Failure {
    Failure::local(FailureKind::Protocol, text)
}
