//! Messages to devices, and their outcomes.

use std::sync::Arc;

use bytes::Bytes;
use drawspan_hub::DeviceId;

use super::queue::Queued;
use crate::limits;

/// How a hub treats messages to devices (IoT Hub's `cloudToDevice` properties).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A device has a message for this long before others may get it.
    pub lock_ms: u64,
    /// How long a message waits that does not say how long it should.
    pub default_ttl_ms: u64,
    /// How often a device may give a message back; the last time it goes to the dead letters.
    pub max_delivery_count: u32,
    /// A batch of feedback is sent this long after its first record, however few there are.
    pub feedback_gather_ms: u64,
    /// A service has a batch of feedback for this long before others may get it.
    pub feedback_lock_ms: u64,
    /// How long feedback is kept.
    pub feedback_ttl_ms: u64,
    /// How often a service may give a batch of feedback back; the last time it is dropped.
    pub feedback_max_delivery_count: u32,
}

/// The ends of a message that its sender wants feedback on (property `iothub-ack`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ack {
    /// No feedback.
    #[default]
    None,
    /// The device completed it.
    Positive,
    /// It became a dead letter.
    Negative,
    /// Both.
    Full,
}

/// A message as its sender gives it to the hub.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its id, as text.
    pub message_id: Option<String>,
    /// The ends that its sender wants feedback on.
    pub ack: Ack,
    /// When it expires, Unix milliseconds; `None` leaves the choice to the hub.
    pub expires_unix_ms: Option<u64>,
    /// Generation id of its device, which distinguishes devices that had the same name.
    pub generation_id: Arc<str>,
    /// Properties and body, as an encoded AMQP message without annotations.
    pub payload: Bytes,
}

/// A message that the hub has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When it came, Unix milliseconds.
    pub enqueued_unix_ms: u64,
    /// Its id, as text.
    pub message_id: Option<String>,
    /// The ends that its sender wants feedback on.
    pub ack: Ack,
    /// Generation id of its device, which distinguishes devices that had the same name.
    pub generation_id: Arc<str>,
    /// Properties and body, as an encoded AMQP message without annotations.
    pub payload: Bytes,
}

/// A message in a device's queue.
pub type QueuedMessage = Queued<Arc<Message>>;

/// How a receiver settles a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done with.
    Complete,
    /// Another receiver, or another time.
    Abandon,
    /// The message is not usable.
    Reject,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The device completed it.
    Success,
    /// The message expired.
    Expired,
    /// The device gave it back too often.
    DeliveryCountExceeded,
    /// The device rejected it.
    Rejected,
    /// A service emptied the queue.
    Purged,
}

/// How a message ended, for its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the order of all records.
    pub number: u64,
    /// The device.
    pub device: DeviceId,
    /// Generation id of its device.
    pub generation_id: Arc<str>,
    /// The message's id.
    pub message_id: Option<String>,
    /// How it ended.
    pub end: End,
    /// When it ended, Unix milliseconds.
    pub at_unix_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lock_ms: limits::C2D_LOCK_MS,
            default_ttl_ms: limits::C2D_TTL_MS,
            max_delivery_count: limits::C2D_DELIVERY_COUNT,
            feedback_gather_ms: limits::FEEDBACK_GATHER_MS,
            feedback_lock_ms: limits::FEEDBACK_LOCK_MS,
            feedback_ttl_ms: limits::FEEDBACK_TTL_MS,
            feedback_max_delivery_count: limits::C2D_DELIVERY_COUNT,
        }
    }
}

impl Ack {
    /// The names on the wire.
    pub const NAMES: [(Self, &'static str); 4] = [
        (Self::None, "none"),
        (Self::Positive, "positive"),
        (Self::Negative, "negative"),
        (Self::Full, "full"),
    ];

    /// Reads the property, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = Self::NAMES.into_iter();
        names
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(ack, _)| ack)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.into_iter();
        names
            .find(|(ack, _)| *ack == self)
            .map_or("none", |(_, name)| name)
    }

    /// Whether the sender wants feedback on such an end.
    pub fn wants(self, end: End) -> bool {
        match self {
            Self::None => false,
            Self::Full => true,
            Self::Positive => end == End::Success,
            Self::Negative => end != End::Success,
        }
    }
}

impl End {
    /// The names on the wire.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::Success, "Success"),
        (Self::Expired, "Expired"),
        (Self::DeliveryCountExceeded, "DeliveryCountExceeded"),
        (Self::Rejected, "Rejected"),
        (Self::Purged, "Purged"),
    ];

    /// The end of that name.
    pub fn parse(text: &str) -> Option<Self> {
        let mut names = Self::NAMES.into_iter();
        names.find(|(_, name)| *name == text).map(|(end, _)| end)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.into_iter();
        names
            .find(|(end, _)| *end == self)
            .map_or("Success", |(_, name)| name)
    }
}
