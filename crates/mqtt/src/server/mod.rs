//! One connection, as the server has it.
//!
//! [`Server::received`] takes what came, [`Server::event`] says what it means, and the methods that answer put packets into
//! [`Server::output`], which is to be written. [`Server::deadline`] says when the client has been silent for too long.

mod head;
mod packet;
mod silence;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mqtt_protocol_core::mqtt::Version;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{
    Connection, ConnectionOptions, Event as CoreEvent, role,
};
use mqtt_protocol_core::mqtt::packet::v3_1_1 as packets;
use mqtt_protocol_core::mqtt::packet::{GenericPacketTrait as _, Packet};
use mqtt_protocol_core::mqtt::result_code::{ConnectReturnCode, MqttError, SubackReturnCode};

use crate::limits::SILENCE_MAX;
use head::Head;
pub use packet::{Connect, Event, Publish, Qos, Will};
use silence::Silence;
use trace::Trace;
pub use trace::TracedPacket;

/// Why a connection cannot go on. The socket is to be closed once [`Server::output`] is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// The client does not speak MQTT, or not first of all.
    #[error("the first packet is not a CONNECT of MQTT")]
    NotMqtt,
    /// It speaks another version, with this protocol level. It was refused with the return code of its own version.
    #[error("the client speaks MQTT of protocol level {0}; only 3.1.1 (level 4) is served")]
    UnsupportedVersion(u8),
    /// A packet is larger than it may be.
    #[error("a packet is too large")]
    PacketTooLarge,
    /// A packet is malformed, or comes where it may not.
    #[error("a packet breaks the rules of MQTT 3.1.1")]
    Malformed,
}

/// Why CONNECT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectRefusal {
    /// Return code 3: the service is not available at the moment.
    Unavailable,
    /// Return code 5: the client may not connect.
    NotAuthorized,
}

/// The server's end of a connection.
pub struct Server {
    head: Option<Head>,
    connection: Connection<role::Server>,
    keep_alive: Option<Duration>,
    silence: Silence,
    events: VecDeque<Event>,
    output: BytesMut,
    mqtt_5_reason: u8,
    /// What came behind a CONNECT that is not answered yet: nothing may be sent before CONNACK.
    behind_connect: Option<Vec<u8>>,
    /// Packets that are noted, once that is asked for.
    trace: Option<Box<Trace>>,
}

/// The reason code of MQTT 5 for a version that a server does not speak.
pub const UNSUPPORTED_PROTOCOL_VERSION: u8 = 0x84;

impl Server {
    /// For a connection that is there since `now`, whose client may send packets of so many bytes.
    #[must_use]
    pub fn new(packet_bytes_max: u32, now: Duration) -> Self {
        let options = ConnectionOptions::new().maximum_packet_size_recv(packet_bytes_max);
        Self {
            head: Some(Head::default()),
            connection: Connection::with_options(Version::V3_1_1, options),
            keep_alive: None,
            silence: Silence::new(now),
            events: VecDeque::new(),
            output: BytesMut::new(),
            mqtt_5_reason: UNSUPPORTED_PROTOCOL_VERSION,
            behind_connect: None,
            trace: None,
        }
    }

    /// The same, with another reason code by which clients of MQTT 5 are refused.
    #[must_use]
    pub const fn with_mqtt_5_reason(mut self, code: u8) -> Self {
        self.mqtt_5_reason = code;
        self
    }

    /// Takes what came.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub fn received(&mut self, bytes: &[u8], now: Duration) -> Result<(), ServerError> {
        self.silence.broken(now);
        self.set_trace_time(now);
        let Some(head) = &mut self.head else {
            return self.feed(bytes);
        };
        match head.read(bytes) {
            Ok(None) => Ok(()),
            Ok(Some(all)) => {
                self.head = None;
                self.feed(&all)
            }
            Err(error) => {
                if let ServerError::UnsupportedVersion(level) = error {
                    let refusal = head::refusal_of(level, self.mqtt_5_reason);
                    self.output.extend_from_slice(&refusal);
                }
                Err(error)
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), ServerError> {
        let mut cursor = Cursor::new(bytes);
        while (cursor.position() as usize) < bytes.len() {
            if let Some(behind) = &mut self.behind_connect {
                behind
                    .extend_from_slice(bytes.get(cursor.position() as usize..).unwrap_or_default());
                return Ok(());
            }
            for event in self.connection.recv(&mut cursor) {
                match event {
                    CoreEvent::NotifyPacketReceived(packet) => self.take(packet)?,
                    CoreEvent::NotifyError(MqttError::PacketTooLarge) => {
                        return Err(ServerError::PacketTooLarge);
                    }
                    CoreEvent::NotifyError(_) => return Err(ServerError::Malformed),
                    // Keep-alive is counted here, since the service has a limit of its own.
                    CoreEvent::RequestTimerReset { .. }
                    | CoreEvent::RequestTimerCancel(_)
                    | CoreEvent::NotifyPacketIdReleased(_)
                    | CoreEvent::RequestSendPacket { .. }
                    | CoreEvent::RequestClose => {}
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, packet: Packet) -> Result<(), ServerError> {
        if let Some(trace) = &mut self.trace {
            trace.note(false, &packet);
        }
        let event = match packet {
            Packet::V3_1_1Pingreq(_) => {
                let answer = packets::Pingresp::builder().build();
                return self.send(answer.map(Packet::from));
            }
            packet => Event::of(packet)?,
        };
        if let Event::Connect(connect) = &event {
            self.keep_alive = Some(silence_of(connect.keep_alive_s));
            self.behind_connect = Some(Vec::new());
        }
        self.events.push_back(event);
        Ok(())
    }

    /// What the client wants, in the order in which it came.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Notes packets from now on: as many as [`TRACED_PACKETS`](crate::limits::TRACED_PACKETS), the newest.
    pub fn trace(&mut self) {
        self.trace.get_or_insert_default();
    }

    /// It is `now`, for the packets that are noted.
    pub fn set_trace_time(&mut self, now: Duration) {
        if let Some(trace) = &mut self.trace {
            trace.now = now;
        }
    }

    /// The packets that were noted, oldest first.
    pub fn traced(&self) -> impl Iterator<Item = &TracedPacket> {
        self.trace.iter().flat_map(|trace| trace.packets())
    }

    /// What is to be written.
    pub fn output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn output_bytes(&self) -> usize {
        self.output.len()
    }

    /// When the client has been silent for too long; `None` before its CONNECT.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        Some(self.silence.lasts_until(self.keep_alive?))
    }

    /// Counts the client's silence `pace` times as fast as time passes, from now on: 1 unless the client is judged by another clock. `pace`
    /// is above 0.
    pub fn set_pace(&mut self, pace: f64, now: Duration) {
        self.silence.set_pace(pace, now);
    }

    /// Bytes that came behind a CONNECT that is not answered yet.
    #[must_use]
    pub fn bytes_behind_connect(&self) -> usize {
        self.behind_connect.as_ref().map_or(0, Vec::len)
    }

    /// Counts the client's silence from `now` on, because it was the server that had it wait.
    pub const fn restart_silence(&mut self, now: Duration) {
        self.silence.broken(now);
    }

    /// Accepts CONNECT.
    ///
    /// # Errors
    /// When there is no CONNECT to be answered.
    pub fn accept(&mut self, session_present: bool) -> Result<(), ServerError> {
        self.connack(session_present, ConnectReturnCode::Accepted)
    }

    /// Refuses CONNECT. The socket is to be closed once that is written.
    ///
    /// # Errors
    /// When there is no CONNECT to be answered.
    pub fn refuse(&mut self, why: ConnectRefusal) -> Result<(), ServerError> {
        self.connack(
            false,
            match why {
                ConnectRefusal::Unavailable => ConnectReturnCode::ServerUnavailable,
                ConnectRefusal::NotAuthorized => ConnectReturnCode::NotAuthorized,
            },
        )
    }

    fn connack(
        &mut self,
        session_present: bool,
        code: ConnectReturnCode,
    ) -> Result<(), ServerError> {
        let answer = packets::Connack::builder()
            .session_present(session_present)
            .return_code(code)
            .build();
        self.send(answer.map(Packet::from))?;
        match self.behind_connect.take() {
            Some(behind) if code == ConnectReturnCode::Accepted => self.feed(&behind),
            _ => Ok(()),
        }
    }

    /// Acknowledges a message of QoS 1.
    ///
    /// # Errors
    /// When the client did not send it.
    pub fn acknowledge(&mut self, packet_id: u16) -> Result<(), ServerError> {
        let answer = packets::Puback::builder().packet_id(packet_id).build();
        self.send(answer.map(Packet::from))
    }

    /// Answers a SUBSCRIBE: for each filter, in their order, what is granted; `None` refuses it.
    ///
    /// # Errors
    /// When the client did not ask.
    pub fn subscribed(
        &mut self,
        packet_id: u16,
        granted: &[Option<Qos>],
    ) -> Result<(), ServerError> {
        let code = |granted: &Option<Qos>| match granted {
            Some(Qos::AtMostOnce) => SubackReturnCode::SuccessMaximumQos0,
            Some(Qos::AtLeastOnce) => SubackReturnCode::SuccessMaximumQos1,
            Some(Qos::ExactlyOnce) => SubackReturnCode::SuccessMaximumQos2,
            None => SubackReturnCode::Failure,
        };
        let answer = packets::Suback::builder()
            .packet_id(packet_id)
            .return_codes(granted.iter().map(code).collect())
            .build();
        self.send(answer.map(Packet::from))
    }

    /// Answers an UNSUBSCRIBE.
    ///
    /// # Errors
    /// When the client did not ask.
    pub fn unsubscribed(&mut self, packet_id: u16) -> Result<(), ServerError> {
        let answer = packets::Unsuback::builder().packet_id(packet_id).build();
        self.send(answer.map(Packet::from))
    }

    /// Sends a message of QoS 0.
    ///
    /// # Errors
    /// When the topic is none, or the connection is not accepted.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), ServerError> {
        let message = packets::Publish::builder()
            .topic_name(topic)
            .and_then(|message| message.payload(payload).build());
        self.send(message.map(Packet::from))
    }

    /// Sends a message of QoS 1, and returns the id by which [`Event::Acknowledged`] will name it.
    ///
    /// # Errors
    /// When the topic is none, the connection is not accepted, or every id is in use.
    pub fn publish_at_least_once(
        &mut self,
        topic: &str,
        payload: &[u8],
    ) -> Result<u16, ServerError> {
        let id = self.connection.acquire_packet_id();
        let id = id.map_err(|_| ServerError::Malformed)?;
        let message = packets::Publish::builder()
            .topic_name(topic)
            .and_then(|message| {
                message
                    .qos(Qos::AtLeastOnce.into())
                    .packet_id(id)
                    .payload(payload)
                    .build()
            });
        self.send(message.map(Packet::from)).map(|()| id)
    }

    fn send(&mut self, packet: Result<Packet, MqttError>) -> Result<(), ServerError> {
        let packet = packet.map_err(|_| ServerError::Malformed)?;
        if let Some(trace) = &mut self.trace {
            trace.note(true, &packet);
        }
        for event in self.connection.send(packet) {
            match event {
                CoreEvent::RequestSendPacket { packet, .. } => {
                    for part in packet.to_buffers() {
                        self.output.extend_from_slice(&part);
                    }
                }
                CoreEvent::NotifyError(_) => return Err(ServerError::Malformed),
                _ => {}
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("keep_alive", &self.keep_alive)
            .field("output_bytes", &self.output.len())
            .finish_non_exhaustive()
    }
}

/// How long a client with this keep-alive may be silent; 0 asks for no limit of its own.
fn silence_of(keep_alive_s: u16) -> Duration {
    match keep_alive_s {
        0 => SILENCE_MAX,
        seconds => (Duration::from_secs(seconds.into()) * 3 / 2).min(SILENCE_MAX),
    }
}
