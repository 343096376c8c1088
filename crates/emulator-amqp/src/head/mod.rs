//! Handling of a connection's events: its hub, its links, its answers.

mod attaching;
mod c2d;
mod cutting;
mod messages;
mod opening;
mod refusing;
mod registering;
#[cfg(test)]
mod tests;
mod throttling;
mod twins;
mod upkeep;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use drawspan_amqp::engine::{Connection, Event, LinkId, SessionId};
use drawspan_emulator_hub::connections::{Connection as Entry, Entered};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::reached::Reached;
use drawspan_emulator_hub::waiting::Waiting;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::{DisconnectReason, Protocol};
use drawspan_net::{Handler, Transport};

use super::Shared;
use super::access::Access;
use super::answers::Answers;
use super::device_session::{AmqpSession, DeviceLink};
use super::links::Links;
use super::locked_delivery::Said;
use super::registration::Registration;
use super::signals::{Signals, Wake};
use super::telemetry::{Arrivals, Slowed};
use super::twin::RequestQueue;
use messages::Arrived;
use throttling::Held;

/// By session and client: the half of a pair of links over which the hub speaks. Its kind tells which pair.
type Pairs = HashMap<(SessionId, ClientId, DeviceLink), LinkId>;

/// The state of one AMQP connection.
pub(super) struct Head {
    shared: Arc<Shared>,
    sni: Option<Arc<str>>,
    port: u16,
    peer: SocketAddr,
    signals: Arc<Signals>,
    entered: Entered,
    hub: Option<Arc<Hub>>,
    /// The device that came to register at DPS; such a connection has no hub.
    registration: Option<Box<Registration>>,
    access: Access,
    links: Links,
    /// The session of each device and module on this connection.
    clients: HashMap<ClientId, Arc<AmqpSession>>,
    protocol: Protocol,
    /// Why the hub has detached links that are not gone yet.
    ending: HashMap<LinkId, DisconnectReason>,
    /// Why the hub closes the connection, if it does.
    closing: Option<DisconnectReason>,
    /// By session and node: where a client takes answers.
    cbs: HashMap<SessionId, Answers>,
    management: Vec<(SessionId, Answers)>,
    pairs: Pairs,
    arrivals: Arrivals,
    /// Messages that are stored later, because a fault was asked for.
    slowed: Slowed,
    /// When the stream ends, because a fault was asked for.
    sever_at: Option<Duration>,
    twins: RequestQueue,
    /// What waits because of the hub's rates.
    waiting: Waiting<Held>,
    /// Clients whose first link waits, each until a time of the hub's clock.
    connecting: HashMap<ClientId, Duration>,
    /// When the connection is woken for what waits.
    armed: Option<Duration>,
    pump: bool,
    pump_at: Option<Duration>,
    hand_out_at: Option<Duration>,
    /// When the connection is closed unless a token is put on it, because the last one has expired.
    close_at: Option<Duration>,
    /// When the first token on the connection expires, unless the clock is changed.
    sweep_at: Option<Duration>,
    /// What that is in the hub's time.
    sweep_for: Duration,
}

impl Head {
    pub(super) fn new(shared: Arc<Shared>, reached: Reached, signals: Arc<Signals>) -> Self {
        let Reached {
            sni,
            port,
            transport,
            peer,
            certificate,
        } = reached;
        let access = Access::new(transport, &shared.limits, certificate);
        let protocol = match transport {
            Transport::Amqps => Protocol::Amqps,
            Transport::WebSocket => Protocol::AmqpsWebSocket,
        };
        let wake = Arc::clone(&signals);
        let connections = shared.faults.connections();
        let entered = connections.enter(peer, protocol, move || wake.wake());
        signals.set_connection(entered.connection().number);
        Self {
            entered,
            access,
            shared,
            sni,
            port,
            peer,
            signals,
            hub: None,
            registration: None,
            links: Links::default(),
            clients: HashMap::new(),
            protocol,
            ending: HashMap::new(),
            closing: None,
            cbs: HashMap::new(),
            management: Vec::new(),
            pairs: Pairs::new(),
            arrivals: Arrivals::default(),
            slowed: Slowed::default(),
            sever_at: None,
            twins: RequestQueue::default(),
            waiting: Waiting::default(),
            connecting: HashMap::new(),
            armed: None,
            pump: false,
            pump_at: None,
            hand_out_at: None,
            close_at: None,
            sweep_at: None,
            sweep_for: Duration::MAX,
        }
    }

    /// The connection, as others reach it.
    pub(super) fn connection(&self) -> &Arc<Entry> {
        self.entered.connection()
    }

    /// The connection is over: its devices are not connected any more. `reason` counts unless the hub has closed it.
    pub(super) fn leave(&mut self, reason: DisconnectReason) {
        let links = std::mem::take(&mut self.links);
        let reason = self.closing.unwrap_or(reason);
        for (id, link) in links.iter() {
            self.left(id, link, reason);
        }
    }
}

impl Handler for Head {
    type Command = Wake;

    fn on_event(&mut self, connection: &mut Connection, event: Event, now: Duration) {
        match event {
            Event::SaslInit {
                mechanism,
                initial_response,
            } => {
                let response = initial_response.unwrap_or_default();
                self.on_sasl(connection, &mechanism, &response, now);
            }
            Event::Opened(open) => self.on_opened(connection, open.hostname.as_deref(), now),
            Event::AttachRequested {
                session,
                link,
                attach,
            } => self.on_attach(connection, session, link, &attach, now),
            Event::Detached { link, session, .. } => self.on_detached(session, link),
            Event::SessionEnded { session, .. } => self.on_session_ended(connection, session),
            Event::Delivery {
                link,
                delivery,
                message_format,
                settled,
                payload,
                ..
            } => {
                let arrived = Arrived {
                    link,
                    owed: (!settled).then_some(delivery),
                    message_format,
                    payload,
                };
                self.on_delivery(connection, &arrived, now);
            }
            Event::DeliveryTooLarge {
                link,
                delivery,
                settled,
            } => self.on_too_large(connection, link, (!settled).then_some(delivery)),
            Event::Credit { link, drain, .. } => self.on_credit(connection, link, drain, now),
            Event::Outcome {
                link,
                delivery,
                context,
                state,
                settled,
            } => {
                let said = Said {
                    delivery,
                    context,
                    state,
                    settled,
                };
                self.on_outcome(connection, link, said, now);
            }
            Event::SessionBegan { .. }
            | Event::Attached { .. }
            | Event::Room { .. }
            | Event::SettledBySender { .. }
            | Event::Closed(_) => {}
        }
    }

    fn on_command(&mut self, connection: &mut Connection, Wake: Wake, now: Duration) {
        self.look(connection, now);
    }

    fn on_batch_end(&mut self, connection: &mut Connection, now: Duration) {
        if let Some(hub) = self.hub.clone() {
            self.arrivals.store(connection, &hub);
            self.slowed.store(connection, &hub, now);
            self.serve_twins(connection, &hub, now);
            self.arm();
        }
        if self.pump {
            self.pump(connection, now);
        }
        if self.sweep_for != self.access.look_at() {
            self.sweep_when_due(now);
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let twins = self.twins.retry_at;
        let slowed = self.slowed.due();
        let all = [
            self.pump_at,
            self.hand_out_at,
            self.sweep_at,
            self.close_at,
            self.sever_at,
            twins,
            slowed,
        ];
        all.into_iter().flatten().min()
    }

    fn on_deadline(&mut self, connection: &mut Connection, now: Duration) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep_tokens(connection, now, self.shared.clock.elapsed());
        }
        if self.close_at.is_some_and(|at| at <= now) {
            self.close_without_token(connection, now);
        }
        if self.pump_at.is_some_and(|at| at <= now) {
            self.pump = true;
        }
        if self.hand_out_at.is_some_and(|at| at <= now) {
            self.hand_out_all(connection, now);
        }
        if self.sever_at.is_some_and(|at| at <= now) {
            self.sever_at = None;
            self.connection().sever();
        }
        // Checked again when the batch ends.
        self.twins.retry_at = self.twins.retry_at.filter(|at| *at > now);
    }
}
