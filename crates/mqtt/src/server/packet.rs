//! What a client's packets say.

use std::fmt;

use bytes::Bytes;
use mqtt_protocol_core::mqtt::packet::{Packet, Qos as CoreQos, v3_1_1 as packets};

use super::ServerError;

/// How often a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// QoS 0: once, or not at all.
    AtMostOnce,
    /// QoS 1: until it is acknowledged.
    AtLeastOnce,
    /// QoS 2, which IoT Hub does not serve.
    ExactlyOnce,
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// To be connected. To be answered by [`Server::accept`](super::Server::accept) or [`Server::refuse`](super::Server::refuse).
    Connect(Box<Connect>),
    /// To have a message taken.
    Publish(Publish),
    /// To get messages. To be answered by [`Server::subscribed`](super::Server::subscribed).
    Subscribe {
        /// Names the request in its answer.
        packet_id: u16,
        /// Filters of topics, each with the QoS that is asked for.
        filters: Vec<(String, Qos)>,
    },
    /// To get such messages no more. To be answered by [`Server::unsubscribed`](super::Server::unsubscribed).
    Unsubscribe {
        /// Names the request in its answer.
        packet_id: u16,
        /// Filters of topics.
        filters: Vec<String>,
    },
    /// It has a message of QoS 1.
    Acknowledged {
        /// The message.
        packet_id: u16,
    },
    /// It is about to close the connection: its will is void.
    Disconnect,
}

/// Who connects, and how.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// The client's id.
    pub client_id: String,
    /// The user name.
    pub user_name: Option<String>,
    /// The password.
    pub password: Option<Bytes>,
    /// Whether nothing of an earlier session counts, and nothing of this one is kept.
    pub clean_session: bool,
    /// Seconds within which the client sends something; 0 for no limit.
    pub keep_alive_s: u16,
    /// The message that is published if the connection ends without DISCONNECT.
    pub will: Option<Will>,
}

/// A message to be published on behalf of a client that is gone.
#[derive(Clone, PartialEq, Eq)]
pub struct Will {
    /// Its topic.
    pub topic: String,
    /// Its content.
    pub payload: Bytes,
    /// Whether it asks to be retained.
    pub retain: bool,
    /// How it is delivered.
    pub qos: Qos,
}

/// A message of a client.
#[derive(Clone, PartialEq, Eq)]
pub struct Publish {
    /// Its topic.
    pub topic: String,
    /// Its content.
    pub payload: Bytes,
    /// How it is delivered.
    pub qos: Qos,
    /// Whether it asks to be retained.
    pub retain: bool,
    /// Names it in its acknowledgement; `None` with QoS 0.
    pub packet_id: Option<u16>,
}

impl Event {
    pub(super) fn of(packet: Packet) -> Result<Self, ServerError> {
        Ok(match packet {
            Packet::V3_1_1Connect(connect) => Self::Connect(Box::new(Connect::of(&connect))),
            Packet::V3_1_1Publish(publish) => Self::Publish(Publish {
                topic: publish.topic_name().to_owned(),
                payload: Bytes::copy_from_slice(publish.payload().as_slice()),
                qos: publish.qos().into(),
                retain: publish.retain(),
                packet_id: publish.packet_id(),
            }),
            Packet::V3_1_1Subscribe(subscribe) => Self::Subscribe {
                packet_id: subscribe.packet_id(),
                filters: (subscribe.entries().iter())
                    .map(|entry| {
                        (
                            entry.topic_filter().to_owned(),
                            entry.sub_opts().qos().into(),
                        )
                    })
                    .collect(),
            },
            Packet::V3_1_1Unsubscribe(unsubscribe) => Self::Unsubscribe {
                packet_id: unsubscribe.packet_id(),
                filters: (unsubscribe.entries().iter())
                    .map(|filter| filter.as_str().to_owned())
                    .collect(),
            },
            Packet::V3_1_1Puback(puback) => Self::Acknowledged {
                packet_id: puback.packet_id(),
            },
            Packet::V3_1_1Disconnect(_) => Self::Disconnect,
            // The rest of QoS 2, of which there is no first part, and what only a server sends.
            _ => return Err(ServerError::Malformed),
        })
    }
}

impl Connect {
    fn of(connect: &packets::Connect) -> Self {
        let will = connect.will_topic().map(|topic| Will {
            topic: topic.to_owned(),
            payload: Bytes::copy_from_slice(connect.will_payload().unwrap_or_default()),
            retain: connect.will_retain(),
            qos: connect.will_qos().into(),
        });
        Self {
            client_id: connect.client_id().to_owned(),
            user_name: connect.user_name().map(str::to_owned),
            password: connect.password().map(Bytes::copy_from_slice),
            clean_session: connect.clean_session(),
            keep_alive_s: connect.keep_alive(),
            will,
        }
    }
}

impl From<CoreQos> for Qos {
    fn from(qos: CoreQos) -> Self {
        match qos {
            CoreQos::AtMostOnce => Self::AtMostOnce,
            CoreQos::AtLeastOnce => Self::AtLeastOnce,
            CoreQos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

impl From<Qos> for CoreQos {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => Self::AtMostOnce,
            Qos::AtLeastOnce => Self::AtLeastOnce,
            Qos::ExactlyOnce => Self::ExactlyOnce,
        }
    }
}

// Passwords and payloads do not belong into logs.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("client_id", &self.client_id)
            .field("user_name", &self.user_name)
            .field("clean_session", &self.clean_session)
            .field("keep_alive_s", &self.keep_alive_s)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Will {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Will")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publish")
            .field("topic", &self.topic)
            .field("payload_bytes", &self.payload.len())
            .field("qos", &self.qos)
            .finish_non_exhaustive()
    }
}
