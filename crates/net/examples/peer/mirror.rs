//! The mirror: listens and obeys.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{
    AcceptOptions, CommandError, Connection, Credit, DeliveryId, Event, LinkId, Outgoing, SessionId,
};
use drawspan_amqp::message::{Message, MessageId, Properties};
use drawspan_amqp::performative::{Attach, DeliveryTag, Error, Role, SaslCode, condition};
use drawspan_amqp::value::Map;
use drawspan_amqp::{DeliveryState, Symbol};
use drawspan_net::{Clock, Handler, drive};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::common::{
    CREDIT, Failure, OUTCOMES, as_asked, body, config, data, judge, message, outcome,
};

pub(crate) async fn listen(address: &str) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("{address}: {error}"))?;
    println!("ready");
    serve(listener).await;
    Ok(())
}

/// Obeys any client, forever.
pub(crate) async fn serve(listener: TcpListener) {
    let clock = Clock::start();
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                eprintln!("accept: {error}");
                continue;
            }
        };
        tokio::spawn(async move {
            let mechanisms = vec![Symbol::from_static("ANONYMOUS")];
            let connection = Connection::server(config("drawspan-mirror"), mechanisms, clock.now());
            let mut mirror = Mirror::default();
            // No commands are sent; dropping the sender would close the connection.
            let (_commands, commands) = mpsc::channel(1);
            let ended = drive(stream, connection, &mut mirror, commands, clock).await;
            eprintln!("{from}: {ended:?}");
        });
    }
}

/// What the mirror knows of one connection.
#[derive(Default)]
struct Mirror {
    receivers: HashMap<LinkId, (SessionId, Node)>,
    senders: HashMap<LinkId, Sender>,
    tally: Tally,
    next_tag: u32,
}

/// How messages on a link are treated.
#[derive(Clone, Copy)]
enum Node {
    Judge,
    Echo,
    Detach,
}

struct Sender {
    session: SessionId,
    kind: Kind,
    queue: VecDeque<Bytes>,
}

#[derive(PartialEq)]
enum Kind {
    Count,
    Tally,
    Echo,
}

/// How the deliveries of `count` ended, and how many are still open.
#[derive(Default)]
struct Tally {
    open: usize,
    seen: BTreeMap<String, i64>,
}

impl Handler for Mirror {
    type Command = ();

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        if let Err(error) = self.obey(connection, event, now) {
            eprintln!("a command failed: {error}");
        }
    }

    fn on_command(&mut self, _: &mut Connection, (): (), _: Duration) {}

    fn on_batch_end(&mut self, connection: &mut Connection, _: Duration) {
        self.report();
        for (link, sender) in &mut self.senders {
            while connection.credit(*link) > 0 {
                let Some(payload) = sender.queue.front() else {
                    break;
                };
                let message = Outgoing {
                    tag: DeliveryTag::from_u32(self.next_tag),
                    message_format: 0,
                    settled: false,
                    context: u64::from(sender.kind == Kind::Count),
                    payload,
                };
                if connection.send(*link, &message).is_err() {
                    break;
                }
                sender.queue.pop_front();
                self.next_tag = self.next_tag.wrapping_add(1);
            }
        }
    }
}

impl Mirror {
    fn obey(
        &mut self,
        connection: &mut Connection,
        event: Event,
        now: Duration,
    ) -> Result<(), CommandError> {
        match event {
            Event::SaslInit { .. } => connection.sasl_outcome(SaslCode::Ok, now),
            Event::AttachRequested {
                session,
                link,
                attach,
            } => return self.on_attach(connection, session, link, &attach),
            Event::Delivery {
                link,
                delivery,
                payload,
                ..
            } => return self.on_delivery(connection, link, delivery, &payload),
            Event::Outcome { context, state, .. } if context == u64::from(true) => {
                *self.tally.seen.entry(judge(state.as_ref())).or_default() += 1;
                self.tally.open = self.tally.open.saturating_sub(1);
            }
            Event::Detached { link, .. } => {
                self.receivers.remove(&link);
                self.senders.remove(&link);
            }
            Event::SessionEnded { session, .. } => {
                self.receivers.retain(|_, (at, _)| *at != session);
                self.senders.retain(|_, sender| sender.session != session);
            }
            _ => {}
        }
        Ok(())
    }

    fn on_attach(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        link: LinkId,
        attach: &Attach,
    ) -> Result<(), CommandError> {
        if attach.role == Role::Receiver {
            let source = attach.source.as_ref();
            let address = source.and_then(|source| source.address.as_deref());
            return self.on_receiver(connection, session, link, address.unwrap_or_default());
        }
        let target = attach.target.as_ref();
        let node = match target.and_then(|target| target.address.as_deref()) {
            Some("judge") => Node::Judge,
            Some("echo") => Node::Echo,
            Some("detach") => Node::Detach,
            Some("end") => {
                let error = as_asked(condition::RESOURCE_LIMIT_EXCEEDED);
                return connection.end(session, Some(error));
            }
            _ => return connection.refuse(link, not_found()),
        };
        self.receivers.insert(link, (session, node));
        let credit = Some(Credit::Auto(CREDIT));
        connection.accept(
            link,
            AcceptOptions {
                credit,
                ..AcceptOptions::default()
            },
        )
    }

    /// The peer wants to receive from `address`.
    fn on_receiver(
        &mut self,
        connection: &mut Connection,
        session: SessionId,
        link: LinkId,
        address: &str,
    ) -> Result<(), CommandError> {
        let (kind, queue) = match (address, counted(address)) {
            (_, Some((total, size))) => {
                self.tally.open += total;
                (
                    Kind::Count,
                    (0..total).map(|index| number(index, size)).collect(),
                )
            }
            ("tally", _) => (Kind::Tally, VecDeque::new()),
            ("echo", _) => (Kind::Echo, VecDeque::new()),
            _ => return connection.refuse(link, not_found()),
        };
        let sender = Sender {
            session,
            kind,
            queue,
        };
        self.senders.insert(link, sender);
        connection.accept(link, AcceptOptions::default())
    }

    fn on_delivery(
        &mut self,
        connection: &mut Connection,
        link: LinkId,
        delivery: DeliveryId,
        payload: &Bytes,
    ) -> Result<(), CommandError> {
        let Some(&(session, node)) = self.receivers.get(&link) else {
            return Ok(());
        };
        let Ok(message) = Message::decode(payload) else {
            let error = Error::new(condition::DECODE_ERROR, "not a message");
            return connection.settle(link, delivery, DeliveryState::Rejected(Some(error)));
        };
        match node {
            Node::Judge => {
                let properties = message.application_properties.as_ref();
                let asked = properties.and_then(|map| map.get("outcome")?.as_str());
                connection.settle(link, delivery, outcome(asked.unwrap_or_default()))
            }
            Node::Echo => {
                connection.settle(link, delivery, DeliveryState::Accepted)?;
                self.echo(session, &message);
                Ok(())
            }
            Node::Detach => {
                connection.settle(link, delivery, DeliveryState::Accepted)?;
                connection.detach(link, true, Some(as_asked(condition::DETACH_FORCED)))
            }
        }
    }

    fn echo(&mut self, session: SessionId, received: &Message) {
        let properties = Properties {
            correlation_id: received
                .properties
                .as_ref()
                .and_then(|found| found.message_id.clone()),
            ..Properties::default()
        };
        let back = message(
            data(received).unwrap_or_default(),
            properties,
            Map::default(),
        );
        let echo = |sender: &&mut Sender| sender.session == session && sender.kind == Kind::Echo;
        if let Some(sender) = self.senders.values_mut().find(echo) {
            sender.queue.push_back(back);
        }
    }

    /// Answers a `tally` link once nothing is open any more: its attach may overtake the last dispositions.
    fn report(&mut self) {
        if self.tally.open > 0 {
            return;
        }
        let waiting = |sender: &&mut Sender| sender.kind == Kind::Tally;
        let Some(sender) = self.senders.values_mut().find(waiting) else {
            return;
        };
        // Said once; what follows on the link is nothing.
        sender.kind = Kind::Echo;
        let mut said = Map::default();
        for name in OUTCOMES {
            self.tally.seen.entry(name.to_owned()).or_default();
        }
        for (name, number) in std::mem::take(&mut self.tally.seen) {
            said.push(name.as_str(), number);
        }
        sender
            .queue
            .push_back(message(Bytes::new(), Properties::default(), said));
    }
}

/// `count/N/SIZE`
fn counted(address: &str) -> Option<(usize, usize)> {
    let (total, size) = address.strip_prefix("count/")?.split_once('/')?;
    Some((total.parse().ok()?, size.parse().ok()?))
}

/// Message `index` of `count`.
fn number(index: usize, size: usize) -> Bytes {
    let properties = Properties {
        message_id: Some(MessageId::String(format!("m-{index}"))),
        ..Properties::default()
    };
    let mut application = Map::default();
    application.push("index", i64::try_from(index).unwrap_or(i64::MAX));
    message(body(index, size), properties, application)
}

fn not_found() -> Error {
    Error::new(condition::NOT_FOUND, "no such node")
}
