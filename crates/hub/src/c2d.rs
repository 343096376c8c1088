//! Cloud-to-device messages.

use bytes::Bytes;

use crate::time::UtcTime;

/// A cloud-to-device message. What its sender did not set is absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct C2dMessage {
    /// The body.
    pub body: Bytes,
    /// The sender's own properties, in the order of the wire.
    pub properties: Vec<(String, String)>,
    /// Names the message.
    pub message_id: Option<String>,
    /// Names what it belongs to.
    pub correlation_id: Option<String>,
    /// The sender; usually text.
    pub user_id: Option<Bytes>,
    /// The address of the recipient.
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

/// Outcomes of a cloud-to-device message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Taken: the hub forgets it.
    Complete,
    /// Rejected: the hub dead-letters it.
    Reject,
    /// Not taken: the hub delivers it again, until it has done so too often.
    Abandon,
    /// No settlement: the hub delivers it again when its lock has ended, which does not count as a delivery.
    Leave,
}
