//! What is done with a connection's events.

mod connect;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use drawspan_emulator_hub::connections::{Connection, Cut, CutHow, Entered, Frame, Order, Report};
use drawspan_emulator_hub::hub::Hub;
use drawspan_emulator_hub::reached::Reached;
use drawspan_emulator_hub::refusals::Door;
use drawspan_emulator_hub::throttle_text::throttled_text;
use drawspan_hub::ErrorCode;
use drawspan_hub_model::event::{DisconnectReason, Protocol};
use drawspan_mqtt::server::TracedPacket;
use drawspan_mqtt::topic::Filter;
use drawspan_mqtt::{Event, Server, ServerError};
use drawspan_net::Transport;
use tokio::sync::mpsc;

use super::device::{Device, Fault, broken, fault};
use super::device_session::Wake;
use super::registration::{Refused, Registration};
use super::{Shared, foreign};
use crate::limits;

/// Everything that the emulator keeps about one MQTT connection.
pub(super) struct Head {
    shared: Arc<Shared>,
    reached: Reached,
    entered: Entered,
    /// Whether nothing is read, because a fault is asked for.
    stalled: bool,
    wake: mpsc::Sender<Wake>,
    client: Client,
    ended: Option<DisconnectReason>,
    /// When it is looked at whether the device may still be connected.
    sweep_at: Option<Duration>,
    /// When its token expires, unless the clock is changed.
    expires_at: Option<Duration>,
}

/// Who is on the other side.
enum Client {
    /// Its CONNECT has not come, or was refused.
    Unknown,
    /// A device or module that may connect, at a time of the hub's clock.
    Connecting(Box<Device>, Duration),
    /// A device or module, at its hub.
    Device(Box<Device>),
    /// One that registers at DPS.
    Registration(Box<Registration>),
}

impl Head {
    pub(super) fn new(shared: Arc<Shared>, reached: Reached, wake: mpsc::Sender<Wake>) -> Self {
        let protocol = match reached.transport {
            Transport::Amqps => Protocol::Mqtts,
            Transport::WebSocket => Protocol::MqttsWebSocket,
        };
        let waker = wake.clone();
        let connections = shared.faults.connections();
        let entered = connections.enter(reached.peer, protocol, move || {
            // Full means that a wake-up waits already; closed, that there is no connection any more.
            let _ = waker.try_send(Wake);
        });
        Self {
            shared,
            entered,
            stalled: false,
            reached,
            wake,
            client: Client::Unknown,
            ended: None,
            sweep_at: None,
            expires_at: None,
        }
    }

    /// The connection, as others reach it.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        self.entered.connection()
    }

    /// Whether nothing is to be read.
    pub(super) const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Why the connection is to be closed, if it is.
    pub(super) const fn ended(&self) -> Option<DisconnectReason> {
        self.ended
    }

    /// Closes the connection.
    pub(super) const fn end(&mut self, reason: DisconnectReason) {
        self.ended = Some(reason);
    }

    /// The connection is over.
    pub(super) fn leave(self, reason: DisconnectReason) {
        if let Client::Device(device) = self.client {
            device.leave(reason);
        }
    }

    /// Takes what came.
    pub(super) fn received(&mut self, server: &mut Server, bytes: &[u8], now: Duration) {
        // First of all whether the device still is this connection's.
        self.look(server, now);
        if self.ended.is_some() {
            return;
        }
        let result = server.received(bytes, now);
        self.on_events(server, now);
        self.store(server);
        if let (Err(error), None) = (result, self.ended) {
            self.fail_protocol(error);
        }
        self.look(server, now);
    }

    fn on_events(&mut self, server: &mut Server, now: Duration) {
        while self.ended.is_none()
            && let Some(event) = server.event()
        {
            if let Err(fault) = self.on_event(server, event, now) {
                self.fail(&fault);
            }
        }
    }

    /// Stores what the device sent.
    fn store(&mut self, server: &mut Server) {
        if let Client::Device(device) = &mut self.client {
            let stored = device.store(server);
            if let Err(fault) = stored {
                self.fail(&fault);
            }
        }
    }

    fn on_event(&mut self, server: &mut Server, event: Event, now: Duration) -> Result<(), Fault> {
        match (event, &mut self.client) {
            (Event::Connect(connect), _) => self.connect(server, &connect, now),
            (Event::Publish(publish), Client::Device(device)) => {
                device.publish(server, publish, now)?;
            }
            (Event::Publish(publish), Client::Registration(registration)) => {
                // Acknowledged before it is answered, which the C# client insists on.
                if let Some(id) = publish.packet_id {
                    server.acknowledge(id).map_err(broken)?;
                }
                if !registration.take(&publish.topic, publish.payload) {
                    return Err(fault("the provisioning service has no such topic"));
                }
            }
            (Event::Subscribe { packet_id, filters }, client) => {
                let granted = match client {
                    Client::Device(device) => device.subscribe(&filters),
                    Client::Registration(registration) => (filters.iter())
                        .map(|(filter, wanted)| registration.subscribe(filter, *wanted))
                        .collect(),
                    // Nothing is read before CONNACK.
                    Client::Unknown | Client::Connecting(..) => return Ok(()),
                };
                let lacks = matches!(client, Client::Device(device) if !device.has_every_topic());
                for ((filter, _), _) in filters.iter().zip(&granted).filter(|(_, it)| it.is_none())
                {
                    self.refused(filter, &why_not_subscribed(filter, lacks));
                }
                self.sent(server.subscribed(packet_id, &granted));
                if let Client::Device(device) = &mut self.client {
                    device.hand_out(server, now);
                }
            }
            (Event::Unsubscribe { packet_id, filters }, client) => {
                if let Client::Device(device) = client {
                    device.unsubscribe(&filters);
                }
                self.sent(server.unsubscribed(packet_id));
            }
            (Event::Acknowledged { packet_id }, Client::Device(device)) => {
                device.acknowledged(server, packet_id, now);
            }
            (Event::Disconnect, client) => {
                if let Client::Device(device) = client {
                    device.forget_will();
                }
                self.end(DisconnectReason::ClientClosed);
            }
            (Event::Acknowledged { .. } | Event::Publish(_), _) => {}
        }
        Ok(())
    }

    /// Answers what a device has asked DPS for.
    pub(super) async fn register(&mut self, server: &mut Server) {
        let Client::Registration(registration) = &mut self.client else {
            return;
        };
        let served = registration.serve(server).await;
        let id = registration.id().to_owned();
        match served {
            Ok(refused) => {
                for Refused(refusal) in refused {
                    let (code, peer) = (refusal.code.to_string(), self.reached.peer);
                    let refusals = &self.shared.refusals;
                    refusals.log(Door::Dps, &code, peer, &id, refusal.reason());
                }
            }
            Err(error) => self.fail_protocol(error),
        }
    }

    /// Does what others asked for.
    pub(super) fn look(&mut self, server: &mut Server, now: Duration) {
        server.set_trace_time(now);
        for order in self.connection().take_orders() {
            self.obey(server, order, now);
        }
        self.connect_in_turn(server, now);
        let Client::Device(device) = &mut self.client else {
            return;
        };
        if self.ended.is_some() {
            return;
        }
        let what = device.id.to_string();
        match device.look(server, now) {
            Ok(refused) => {
                for refusal in refused {
                    let (code, peer) = (refusal.0.to_string(), self.reached.peer);
                    let refusals = &self.shared.refusals;
                    refusals.log(Door::Twin, &code, peer, &what, &refusal.1);
                }
            }
            Err(fault) => self.fail(&fault),
        }
        self.store(server);
    }

    /// When something that waits because of the hub's rates is due.
    pub(super) fn next_release(&self) -> Option<(Arc<Hub>, Duration)> {
        match &self.client {
            Client::Connecting(device, at) => Some((Arc::clone(&device.hub), *at)),
            Client::Device(device) => Some((Arc::clone(&device.hub), device.next_release()?)),
            Client::Unknown | Client::Registration(_) => None,
        }
    }

    /// Whether the client waits for its CONNECT to be answered.
    pub(super) const fn waits_to_connect(&self) -> bool {
        matches!(self.client, Client::Connecting(..))
    }

    /// Whether more is read: a client that waits to connect may send a little meanwhile.
    pub(super) fn reads(&self, server: &Server) -> bool {
        !self.waits_to_connect() || server.bytes_behind_connect() < limits::MQTT_READ_BYTES
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Duration> {
        let Client::Device(device) = &self.client else {
            return None;
        };
        let all = [device.due(), self.sweep_at, self.expires_at];
        all.into_iter().flatten().min()
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self, server: &mut Server, now: Duration) {
        let Client::Device(device) = &mut self.client else {
            return;
        };
        let done = device.on_time(server, now);
        if let Err(fault) = done {
            return self.fail(&fault);
        }
        let Client::Device(device) = &mut self.client else {
            return;
        };
        let due = [self.sweep_at, self.expires_at];
        if due.into_iter().flatten().any(|at| at <= now) {
            let allowed = device.check();
            self.sweep_soon(now);
            if let Err(fault) = allowed {
                self.fail(&fault);
            }
        }
    }

    /// Does what is ordered. Who ordered it may have given up.
    fn obey(&mut self, server: &mut Server, order: Order, now: Duration) {
        match order {
            Order::Cut(Cut {
                how: CutHow::Connection | CutHow::ShutDown,
                ..
            }) => {
                let code = ErrorCode::CONNECTION_FORCEFULLY_CLOSED_ON_FAULT_INJECTION;
                self.log(Door::Protocol, &code.to_string(), "a fault is asked for");
                self.end(DisconnectReason::FaultInjected);
            }
            // There are no sessions and links over MQTT.
            Order::Cut(_) => {}
            Order::Stall(_) => {
                self.stalled = true;
                self.log(Door::Session, "stall", "a fault is asked for");
            }
            Order::GoOn(_) => self.stalled = false,
            Order::Report(answer) => {
                let report = match &self.client {
                    Client::Device(device) => device.report(),
                    Client::Unknown | Client::Connecting(..) | Client::Registration(_) => {
                        Report::default()
                    }
                };
                let _ = answer.send(report);
            }
            Order::Frames(answer) => {
                let unix_ms = self.shared.faults.now_unix_ms();
                let frame = |packet: &TracedPacket| Frame {
                    unix_ms: Frame::time(unix_ms, now.saturating_sub(packet.at)),
                    sent: packet.sent,
                    channel: None,
                    bytes: packet.bytes,
                    text: packet.text.clone(),
                };
                let _ = answer.send(server.traced().map(frame).collect());
                server.trace();
            }
        }
    }

    /// The hub's clock was changed: what is to be done by it is due at another time.
    pub(super) fn clock_changed(&mut self, now: Duration) {
        if self.expires_at.is_some() || self.sweep_at.is_some() {
            self.sweep_soon(now);
        }
    }

    /// Has it looked at in a while whether the device may still be connected, and when its token expires.
    fn sweep_soon(&mut self, now: Duration) {
        let Client::Device(device) = &self.client else {
            return;
        };
        self.sweep_at = Some(now + Duration::from_millis(limits::TOKEN_SWEEP_MS));
        let left = (self.shared.clock).machine_time_until(device.holds_until());
        // Tokens may last for ever.
        let left = left.map(|left| left.min(Duration::from_millis(limits::TOKEN_SWEEP_MAX_MS)));
        self.expires_at = left.map(|left| now + left);
    }

    /// The client was silent for too long.
    pub(super) fn silent(&mut self, is_connected: bool) {
        let reason = match is_connected {
            true => "the client was silent for one and a half times its keep-alive",
            false => "there was no CONNECT in time",
        };
        self.log(Door::Protocol, "Silent", reason);
        self.end(DisconnectReason::Silent);
    }

    /// Ends the connection for a fault, which is logged.
    fn fail(&mut self, fault: &Fault) {
        self.log(Door::Protocol, &fault.code.to_string(), &fault.text);
        self.end(fault.reason);
    }

    fn fail_protocol(&mut self, error: ServerError) {
        let code = match error {
            ServerError::NotMqtt => "WrongProtocol",
            ServerError::UnsupportedVersion(_) => "UnsupportedVersion",
            ServerError::PacketTooLarge => "PacketTooLarge",
            ServerError::Malformed => "Malformed",
        };
        self.log(Door::Protocol, code, &error.to_string());
        self.end(DisconnectReason::ClientFault);
    }

    fn sent(&mut self, result: Result<(), ServerError>) {
        if let Err(error) = result {
            self.fail_protocol(error);
        }
    }

    fn refused(&self, what: &str, reason: &str) {
        let what = format!("{what} of {}", self.name());
        let refusals = &self.shared.refusals;
        refusals.log(
            Door::Topic,
            "ForeignTopic",
            self.reached.peer,
            &what,
            reason,
        );
    }

    fn log(&self, door: Door, code: &str, reason: &str) {
        let refusals = &self.shared.refusals;
        refusals.log(door, code, self.reached.peer, &self.name(), reason);
    }

    /// Who is connected, as the log has it.
    fn name(&self) -> String {
        match &self.client {
            Client::Unknown => String::new(),
            Client::Device(device) | Client::Connecting(device, _) => {
                format!("{} at {}", device.id.described(), device.hub.host())
            }
            Client::Registration(registration) => format!("registration {}", registration.id()),
        }
    }
}

fn why_not_subscribed(filter: &str, lacks: bool) -> String {
    match Filter::parse(filter) {
        Some(_) if lacks => {
            throttled_text(ErrorCode::OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER).to_owned()
        }
        Some(Filter::Inputs) => "the inputs of modules are served by IoT Edge alone".to_owned(),
        _ => foreign(filter, "nothing is sent to such topics"),
    }
}
