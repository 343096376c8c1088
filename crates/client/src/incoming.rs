//! What devices receive.

use std::fmt;

use bytes::Bytes;
use drawspan_amqp::engine::{DeliveryId, LinkId};
use drawspan_amqp::message::MessageId;
use drawspan_hub::UtcTime;

use crate::board::Owner;
use crate::connection::DeviceSession;

/// Something for a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// A direct method: [`HubConnection::answer_method`](crate::HubConnection::answer_method) is due.
    Method {
        /// Whose device it is for.
        owner: Owner,
        /// The device, where the answer goes.
        session: DeviceSession,
        /// Names it in the answer.
        request: MethodRequestId,
        /// Name of the method.
        name: String,
        /// JSON, or nothing.
        payload: Bytes,
    },
    /// A cloud-to-device message. The next one comes after
    /// [`HubConnection::settle_c2d`](crate::HubConnection::settle_c2d).
    C2d {
        /// Whose device it is for.
        owner: Owner,
        /// The device, where its outcome goes.
        session: DeviceSession,
        /// Names it in the outcome.
        delivery: C2dDelivery,
        /// The message.
        message: Box<C2dMessage>,
    },
    /// Desired properties were changed.
    Desired {
        /// Whose device it is for.
        owner: Owner,
        /// The device.
        session: DeviceSession,
        /// The change, a JSON object with `$version`.
        body: Bytes,
    },
    /// Changes of desired properties were not kept, for want of room: only the twin itself tells what they are.
    DesiredMissed {
        /// Whose device it is.
        owner: Owner,
    },
}

/// Names a method request in its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MethodRequestId(pub(crate) MessageId);

/// As the hub shows it: a uuid, as a rule.
impl fmt::Display for MethodRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a cloud-to-device message in its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct C2dDelivery {
    pub(crate) link: LinkId,
    pub(crate) delivery: DeliveryId,
}

/// A cloud-to-device message. What its sender did not set is absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct C2dMessage {
    /// What it is about.
    pub body: Bytes,
    /// The sender's own properties, in the order of the wire.
    pub properties: Vec<(String, String)>,
    /// Names the message.
    pub message_id: Option<String>,
    /// Names what it belongs to.
    pub correlation_id: Option<String>,
    /// Who sent it; text as a rule.
    pub user_id: Option<Bytes>,
    /// Where it was sent.
    pub to: Option<String>,
    /// When it expires.
    pub expiry: Option<UtcTime>,
    /// When its sender made it.
    pub creation_time: Option<UtcTime>,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Encoding of the body.
    pub content_encoding: Option<String>,
    /// Feedback that the sender asked for: `none`, `positive`, `negative` or `full`.
    pub ack: Option<String>,
    /// The hub's number of the message, per device.
    pub sequence_number: Option<u64>,
    /// When the hub took it.
    pub enqueued: Option<UtcTime>,
    /// Earlier deliveries that were abandoned.
    pub delivery_count: u32,
    /// The hub's name of this delivery, in the byte order of .NET.
    pub lock_token: Option<[u8; 16]>,
}

impl C2dMessage {
    /// Bytes that it takes, more or less.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let properties = self.properties.iter();
        let properties: usize = properties
            .map(|(name, value)| name.len() + value.len())
            .sum();
        size_of::<Self>() + self.body.len() + properties
    }
}

impl Incoming {
    /// Bytes that it holds, more or less.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Method { name, payload, .. } => name.len() + payload.len(),
            Self::C2d { message, .. } => message.size_bytes(),
            Self::Desired { body, .. } => body.len(),
            Self::DesiredMissed { .. } => 0,
        }
    }
}
