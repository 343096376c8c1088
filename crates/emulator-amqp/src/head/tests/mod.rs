//! A connection's head without sockets.

mod clock;
mod expiry;
mod methods;
mod mutations;
mod registering;
mod replaced;
mod throttling;

use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{ClientSasl, Closed, Config, Connection, Event};
use drawspan_emulator_hub::clock::Clock;
use drawspan_emulator_hub::dps::Dps;
use drawspan_emulator_hub::faults::Faults;
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_emulator_hub::reached::Reached;
use drawspan_emulator_hub::refusals::Refusals;
use drawspan_emulator_hub::test_hub::{HUB, create, device_token, dps, hub, owner, unix_s};
use drawspan_hub::HostName;
use drawspan_hub_model::limits::Limits;
use drawspan_net::Handler as _;
use drawspan_net::Transport;
use tokio::sync::mpsc;

use super::Head;
use crate::signals::Signals;
use crate::{Shared, engine_config, sasl};

const DPS: &str = "dps.localtest";

fn shared(hub: &Arc<Hub>) -> Arc<Shared> {
    shared_with(hub, dps(hub, None))
}

fn shared_with(hub: &Arc<Hub>, dps: Arc<Dps>) -> Arc<Shared> {
    let refusals = Refusals::new("ca.pem".into(), Clock::system());
    Shared::new(
        hub.clock().clone(),
        Limits::default(),
        HubSet::new(vec![Arc::clone(hub)], HostName::parse(DPS).ok()),
        dps,
        refusals,
        Faults::none(),
    )
}

/// The emulator's end of a connection.
struct End {
    connection: Connection,
    head: Head,
    now: Duration,
    closed: Option<Closed>,
}

impl End {
    fn new(shared: &Arc<Shared>) -> Self {
        let (wake, _) = mpsc::channel(1);
        let signals = Arc::new(Signals::new(wake));
        let now = Duration::ZERO;
        let reached = Reached {
            sni: None,
            port: 5671,
            transport: Transport::Amqps,
            peer: ([127, 0, 0, 1], 1).into(),
            certificate: None,
        };
        Self {
            connection: Connection::server(engine_config(), sasl::mechanisms(), now),
            head: Head::new(Arc::clone(shared), reached, signals),
            now,
            closed: None,
        }
    }

    /// As if the client had put the token.
    fn put(&mut self, hub: &Hub, token: &str) {
        let grant = hub.authenticate(token).unwrap();
        self.head.access.put(grant).unwrap();
    }

    /// Takes bytes in and returns what is to be written; all that one wake-up does.
    fn take(&mut self, bytes: &[u8]) -> bytes::BytesMut {
        self.connection.input().extend_from_slice(bytes);
        self.connection.received(self.now);
        self.handle_events();
        self.head.on_batch_end(&mut self.connection, self.now);
        self.handle_events();
        self.connection.poll_output().split()
    }

    fn handle_events(&mut self) {
        while let Some(event) = self.connection.poll_event(self.now) {
            if let Event::Closed(closed) = &event {
                self.closed = Some(closed.clone());
            }
            self.head.on_event(&mut self.connection, event, self.now);
        }
    }
}

/// Both ends, joined.
struct Pair {
    client: Connection,
    /// Everything that the client sent.
    sent: Vec<u8>,
    events: Vec<Event>,
    end: End,
}

impl Pair {
    fn new(shared: &Arc<Shared>) -> Self {
        Self::open(shared, HUB, None)
    }

    fn open(shared: &Arc<Shared>, hostname: &str, sasl: Option<ClientSasl>) -> Self {
        let config = Config {
            hostname: Some(hostname.into()),
            ..Config::default()
        };
        let mut pair = Self {
            client: Connection::client(config, sasl, Duration::ZERO),
            sent: Vec::new(),
            events: Vec::new(),
            end: End::new(shared),
        };
        pair.run();
        pair
    }

    /// What is due at the hub's end.
    fn deadline(&mut self) {
        let End {
            head,
            connection,
            now,
            ..
        } = &mut self.end;
        head.on_deadline(connection, *now);
        self.run();
    }

    /// Until neither end has anything to say.
    fn run(&mut self) {
        loop {
            let sent = self.client.poll_output().split();
            self.sent.extend_from_slice(&sent);
            let answered = self.end.take(&sent);
            self.client.input().extend_from_slice(&answered);
            self.client.received(self.end.now);
            while let Some(event) = self.client.poll_event(self.end.now) {
                self.events.push(event);
            }
            if sent.is_empty() && answered.is_empty() {
                return;
            }
        }
    }
}
