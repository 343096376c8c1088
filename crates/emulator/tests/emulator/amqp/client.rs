//! An AMQP client for the tests: the engine in the client's role, driven by hand over a TLS socket.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drawspan_amqp::engine::{
    ClientSasl, Closed, Config as AmqpConfig, Connection, Credit, Event, LinkId, LinkOptions,
    Outgoing, SessionId,
};
use drawspan_amqp::message::{Body, Message, MessageId, Properties};
use drawspan_amqp::performative::{DeliveryState, DeliveryTag, Error, Source};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_emulator::{Config, Emulator, Hub, Running};
use drawspan_hub::DeviceId;
use drawspan_net::{Clock, Connector, Route, Transport, client_config};
use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

pub(super) use super::tokens::{
    device_token, device_token_by, device_token_until, owner, policy, unix_s,
};
use super::wire::Wire;
use crate::support::{HUB, Identity, client_tls, config};

/// Nothing here takes long; this is for what never comes.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) const SASTOKEN: &str = "servicebus.windows.net:sastoken";

/// A connection, open, with one session and the links of `$cbs` on it.
pub(super) struct Client {
    wire: Wire,
    pub(super) connection: Connection,
    clock: Clock,
    events: VecDeque<Event>,
    tags: u32,
    pub(super) session: SessionId,
    cbs: Option<(LinkId, LinkId)>,
}

/// The answer of `$cbs` or `$management`.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: i32,
    pub(super) description: String,
    pub(super) message: Message,
}

/// An emulator with one hub of one partition, and these devices.
pub(super) async fn start(devices: &[&str]) -> Running {
    start_with(devices, |_| {}).await
}

pub(super) async fn start_with(devices: &[&str], change: impl FnOnce(&mut Config)) -> Running {
    let mut config = config();
    config.partitions = 1;
    config.devices = devices.iter().map(|id| device(id)).collect();
    change(&mut config);
    Emulator::start(config).await.unwrap()
}

pub(super) fn device(id: &str) -> DeviceId {
    DeviceId::parse(id).unwrap()
}

pub(super) fn hub(running: &Running) -> &Hub {
    &running.hubs().hubs()[0]
}

/// A connection without SASL.
pub(super) async fn connect(running: &Running) -> Client {
    connect_with(running, None).await.unwrap()
}

/// A connection without SASL, with one token on it.
pub(super) async fn connect_as(running: &Running, token: &str) -> Client {
    connect_over(running, Transport::Amqps, token).await
}

/// As [`connect_as`], over `transport`.
pub(super) async fn connect_over(running: &Running, transport: Transport, token: &str) -> Client {
    let mut client = open(running, None, transport).await.unwrap();
    let answer = client.put_token(token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    client
}

pub(super) async fn connect_with(
    running: &Running,
    sasl: Option<ClientSasl>,
) -> Result<Client, Closed> {
    open(running, sasl, Transport::Amqps).await
}

/// Reaches the emulator's ports as if they were the usual ones.
pub(super) fn connector(running: &Running) -> Connector {
    let authority = CertificateDer::from_pem_file(running.ca_path()).unwrap();
    connector_with(running, client_config(vec![authority]).unwrap())
}

fn connector_with(running: &Running, tls: Arc<ClientConfig>) -> Connector {
    let addresses = running.addresses();
    let route = |port, to| Route {
        host: HUB.to_owned(),
        port: Some(port),
        to,
    };
    let routes = vec![route(5671, addresses.amqps), route(443, addresses.https)];
    Connector::new(tls, routes)
}

/// A connection of either kind.
pub(super) async fn open(
    running: &Running,
    sasl: Option<ClientSasl>,
    transport: Transport,
) -> Result<Client, Closed> {
    open_by(&connector(running), sasl, transport).await
}

/// A connection without SASL and without token, of a client with a certificate.
pub(super) async fn open_as(
    running: &Running,
    identity: &Identity,
    transport: Transport,
) -> Client {
    let tls = client_tls(running.ca_path(), Some(identity));
    let connector = connector_with(running, tls);
    open_by(&connector, None, transport).await.unwrap()
}

async fn open_by(
    connector: &Connector,
    sasl: Option<ClientSasl>,
    transport: Transport,
) -> Result<Client, Closed> {
    let stream = connector.connect_to(HUB, transport).await.unwrap();
    let clock = Clock::start();
    let config = AmqpConfig {
        container_id: "test".into(),
        hostname: Some(HUB.into()),
        ..AmqpConfig::default()
    };
    let mut connection = Connection::client(config, sasl, clock.now());
    let mut wire = Wire::new(stream);
    let mut events = VecDeque::new();
    let opened = tokio::time::timeout(LIMIT, async {
        loop {
            while let Some(event) = connection.poll_event(clock.now()) {
                match event {
                    Event::Opened(_) => return Ok(()),
                    Event::Closed(closed) => return Err(closed),
                    other => events.push_back(other),
                }
            }
            wire.turn(&mut connection, clock).await;
        }
    });
    opened.await.unwrap()?;
    let session = connection.begin().unwrap();
    Ok(Client {
        wire,
        connection,
        clock,
        events,
        tags: 0,
        session,
        cbs: None,
    })
}

impl Client {
    /// Waits for an event that `wanted` makes something of. Others stay for later, in their order.
    pub(super) async fn next<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let found = tokio::time::timeout(LIMIT, async {
            loop {
                while let Some(event) = self.connection.poll_event(self.clock.now()) {
                    self.events.push_back(event);
                }
                let mut found = self.events.iter().enumerate();
                if let Some((at, value)) = found.find_map(|(at, event)| Some((at, wanted(event)?)))
                {
                    self.events.remove(at);
                    return value;
                }
                self.wire.turn(&mut self.connection, self.clock).await;
            }
        });
        match found.await {
            Ok(value) => value,
            Err(_) => panic!("it did not come; there is {:?}", self.events),
        }
    }

    /// Lets everything that was sent be answered, by asking something that is answered behind it.
    pub(super) async fn settle_down(&mut self) {
        let answer = self.request_cbs(Message::default()).await;
        assert_eq!(answer.status, 400, "an empty request");
    }

    pub(super) fn begin(&mut self) -> SessionId {
        self.connection.begin().unwrap()
    }

    pub(super) async fn attach(&mut self, options: LinkOptions) -> Result<LinkId, Error> {
        self.attach_on(self.session, options).await
    }

    pub(super) async fn attach_on(
        &mut self,
        session: SessionId,
        options: LinkOptions,
    ) -> Result<LinkId, Error> {
        let wanted = self.connection.attach(session, options).unwrap();
        let attached = self
            .next(|event| match event {
                Event::Attached { link, .. } if *link == wanted => Some(Ok(())),
                Event::Detached { link, error, .. } if *link == wanted => Some(Err(error.clone())),
                _ => None,
            })
            .await;
        match attached {
            Ok(()) => Ok(wanted),
            Err(error) => Err(error.expect("a refusal has a reason")),
        }
    }

    pub(super) async fn telemetry(&mut self, id: &str) -> LinkId {
        let address = format!("/devices/{id}/messages/events");
        self.attach(LinkOptions::sender(format!("telemetry-{id}"), address))
            .await
            .unwrap()
    }

    pub(super) fn detach(&mut self, link: LinkId) {
        self.connection.detach(link, true, None).unwrap();
    }

    pub(super) fn grant(&mut self, link: LinkId, credit: u32) {
        self.connection.grant(link, credit).unwrap();
    }

    /// Sends messages of any size, regardless of the limits of links that are attached from now on.
    pub(super) fn heed_no_size(&mut self) {
        self.wire.heedless = true;
    }

    /// Has `credit` used up: the messages that came before it was.
    pub(super) async fn drain(&mut self, link: LinkId, credit: u32) -> Vec<Message> {
        self.wire.drain_next = true;
        self.wire.drained = false;
        self.grant(link, credit);
        let drained = tokio::time::timeout(LIMIT, async {
            while !self.wire.drained {
                self.wire.turn(&mut self.connection, self.clock).await;
                while let Some(event) = self.connection.poll_event(self.clock.now()) {
                    self.events.push_back(event);
                }
            }
        });
        drained.await.unwrap();
        self.arrived(link)
    }

    /// Messages of a link that are there already.
    pub(super) fn arrived(&mut self, of: LinkId) -> Vec<Message> {
        let mut messages = Vec::new();
        self.events.retain(|event| match event {
            Event::Delivery { link, payload, .. } if *link == of => {
                messages.push(Message::decode(payload).unwrap());
                false
            }
            _ => true,
        });
        messages
    }

    /// Why the emulator detached a link.
    pub(super) async fn detached(&mut self, of: LinkId) -> Error {
        let error = self.next(|event| match event {
            Event::Detached { link, error, .. } if *link == of => Some(error.clone()),
            _ => None,
        });
        error.await.expect("a reason")
    }

    /// Why the emulator closed the connection.
    pub(super) async fn closed(&mut self) -> Error {
        match self.end().await {
            Closed::ByPeer(Some(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    /// Closes the connection and waits until that is agreed.
    pub(super) async fn close(&mut self) {
        self.connection.close(None, self.clock.now());
        assert_eq!(self.end().await, Closed::ByUs);
    }

    async fn end(&mut self) -> Closed {
        let closed = self.next(|event| match event {
            Event::Closed(closed) => Some(closed.clone()),
            _ => None,
        });
        let closed = closed.await;
        self.wire.flush(&mut self.connection, self.clock).await;
        closed
    }

    /// Sends a message, settled or not, once there is credit.
    pub(super) async fn send(&mut self, link: LinkId, format: u32, payload: &[u8], settled: bool) {
        while self.connection.credit(link) == 0 {
            self.next(|event| {
                matches!(event, Event::Credit { link: of, .. } if *of == link).then_some(())
            })
            .await;
        }
        self.tags += 1;
        let message = Outgoing {
            tag: DeliveryTag::from_u32(self.tags),
            message_format: format,
            settled,
            context: self.tags.into(),
            payload,
        };
        self.connection.send(link, &message).unwrap();
    }

    /// Sends a message and waits for what became of it.
    pub(super) async fn deliver(
        &mut self,
        link: LinkId,
        format: u32,
        payload: &[u8],
    ) -> DeliveryState {
        self.send(link, format, payload, false).await;
        let wanted = u64::from(self.tags);
        let state = self.next(|event| match event {
            Event::Outcome {
                context,
                state,
                settled: true,
                ..
            } if *context == wanted => Some(state.clone()),
            _ => None,
        });
        state.await.expect("an outcome")
    }

    /// The next message on a link.
    pub(super) async fn receive(&mut self, of: LinkId) -> Message {
        let payload: Bytes = self
            .next(|event| match event {
                Event::Delivery { link, payload, .. } if *link == of => Some(payload.clone()),
                _ => None,
            })
            .await;
        Message::decode(&payload).unwrap()
    }

    /// The links of `$cbs` on the first session.
    async fn cbs(&mut self) -> (LinkId, LinkId) {
        if let Some(links) = self.cbs {
            return links;
        }
        let links = self.cbs_on(self.session).await;
        self.cbs = Some(links);
        links
    }

    /// Links of `$cbs`; that for answers has no target.
    pub(super) async fn cbs_on(&mut self, session: SessionId) -> (LinkId, LinkId) {
        let sender = LinkOptions::sender("cbs", "$cbs");
        let receiver = LinkOptions::receiver("cbs", "$cbs", Credit::Auto(10));
        let sender = self.attach_on(session, sender).await.unwrap();
        (sender, self.attach_on(session, receiver).await.unwrap())
    }

    pub(super) async fn put_token(&mut self, token: &str) -> Answer {
        self.request_cbs(put_token(token, SASTOKEN, "id".into()))
            .await
    }

    pub(super) async fn request_cbs(&mut self, request: Message) -> Answer {
        let links = self.cbs().await;
        self.request(links, request).await
    }

    /// Sends a request and waits for its answer, before which it must have been accepted.
    pub(super) async fn request(
        &mut self,
        (sender, receiver): (LinkId, LinkId),
        request: Message,
    ) -> Answer {
        self.send(sender, 0, &request.to_bytes(), false).await;
        let wanted = u64::from(self.tags);
        let first = self.next(|event| match event {
            Event::Outcome { context, state, .. } if *context == wanted => Some(state.clone()),
            Event::Delivery { link, .. } if *link == receiver => Some(None),
            _ => None,
        });
        assert_eq!(first.await, Some(DeliveryState::Accepted));
        let message = self.receive(receiver).await;
        let properties = message.application_properties.as_ref().unwrap();
        let Some(Value::Int(status)) = properties.get("status-code") else {
            panic!("the status code is no AMQP int: {message:?}");
        };
        Answer {
            status: *status,
            description: properties
                .get("status-description")
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned(),
            message,
        }
    }
}

pub(super) fn put_token(token: &str, kind: &str, message_id: MessageId) -> Message {
    let text = |text: &str| Value::from(text);
    Message {
        properties: Some(Properties {
            message_id: Some(message_id),
            ..Properties::default()
        }),
        application_properties: Some(Map(vec![
            (text("operation"), text("put-token")),
            (text("type"), text(kind)),
            (text("name"), text("whatever the client calls it")),
        ])),
        body: Body::Value(text(token)),
        ..Message::default()
    }
}

/// A message with this body and nothing else.
pub(super) fn data(body: &str) -> Message {
    Message {
        body: Body::Data(vec![Bytes::copy_from_slice(body.as_bytes())]),
        ..Message::default()
    }
}

/// The body of a message with one data section.
pub(super) fn body_of(message: &Message) -> String {
    match &message.body {
        Body::Data(parts) => String::from_utf8(parts.concat()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// A reader's link without credit.
pub(super) fn reader(name: &str, filter: Option<&str>) -> LinkOptions {
    reader_of(name, "contoso/ConsumerGroups/$Default/Partitions/0", filter)
}

pub(super) fn reader_of(name: &str, address: &str, filter: Option<&str>) -> LinkOptions {
    let selector = Symbol::from_static("apache.org:selector-filter:string");
    let filter = filter.map(|filter| {
        let described = Value::described(Value::Symbol(selector.clone()), Value::from(filter));
        Map(vec![(Value::Symbol(selector), described)])
    });
    let mut options = LinkOptions::receiver(name, address, Credit::Manual(0));
    options.source = Source {
        filter,
        ..options.source
    };
    options
}

/// All that was stored, read by the owner from the start.
pub(super) async fn stored(running: &Running, count: usize) -> Vec<Message> {
    let mut client = connect_as(running, &owner()).await;
    let link = client.attach(reader("all", None)).await.unwrap();
    client.grant(link, 1000);
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(client.receive(link).await);
    }
    assert_eq!(
        hub(running).partition(0).unwrap().next_sequence,
        count as u64,
        "no more than that"
    );
    messages
}

/// Text of the hub's code in a refusal.
pub(super) fn code_in(error: &Error) -> u64 {
    let description = error.description.as_deref().unwrap_or_default();
    let json: serde_json::Value =
        serde_json::from_str(description).unwrap_or_else(|_| panic!("no JSON: {error:?}"));
    json["errorCode"].as_u64().unwrap()
}
