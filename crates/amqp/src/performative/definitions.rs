//! Types shared by several performatives.

use std::fmt;

use bytes::{BufMut, BytesMut};

use crate::codec::{
    Decode, DecodeError, Encode, ListReader, Reader, composite, constructor, descriptor, list,
    numbered,
};
use crate::limits::MAX_DELIVERY_TAG_BYTES;
use crate::value::{Map, Symbol, Value};

/// A map with symbol keys: `fields` of the specification.
pub type Fields = Map;

/// The end of a link that sends the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// `false` on the wire
    Sender,
    /// `true` on the wire
    Receiver,
}

/// How the sender settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SenderSettleMode {
    /// All deliveries unsettled.
    Unsettled,
    /// All deliveries settled.
    Settled,
    /// Either, per delivery.
    #[default]
    Mixed,
}

/// How the receiver settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiverSettleMode {
    /// The receiver settles at once.
    #[default]
    First,
    /// The receiver settles after the sender did.
    Second,
}

/// Identifies a delivery on its link; at most 32 bytes (specification 2.8.7). Kept inline, no allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryTag {
    len: u8,
    bytes: [u8; MAX_DELIVERY_TAG_BYTES],
}

/// An AMQP error (specification 2.8.14).
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// Machine-readable condition, see [`condition`].
    pub condition: Symbol,
    /// Text for people; IoT Hub puts a JSON object here.
    pub description: Option<String>,
    /// Further facts.
    pub info: Option<Fields>,
}

/// State of a delivery (specification 3.4).
#[derive(Debug, Clone, PartialEq)]
pub enum DeliveryState {
    /// Received up to a section and offset; not an outcome.
    Received {
        /// Number of the section.
        section_number: u32,
        /// Offset within that section.
        section_offset: u64,
    },
    /// The receiver took the message.
    Accepted,
    /// The receiver finds the message invalid.
    Rejected(Option<Error>),
    /// The receiver did not and will not process the message.
    Released,
    /// As released, with changes to be applied.
    Modified {
        /// Count this as a failed attempt.
        delivery_failed: bool,
        /// Do not deliver to this link again.
        undeliverable_here: bool,
        /// Annotations to merge.
        message_annotations: Option<Fields>,
    },
    /// A state that this crate does not interpret (declared by transactions, vendor states).
    Other(Value),
}

/// Name for the terminal states among [`DeliveryState`].
pub type Outcome = DeliveryState;

/// Error conditions (specification 2.8.15 to 2.8.18, and those of IoT Hub).
pub mod condition {
    use crate::value::Symbol;

    macro_rules! conditions {
        ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] pub const $name: Symbol = Symbol::from_static($text);)*
        };
    }
    conditions! {
        INTERNAL_ERROR = "amqp:internal-error";
        NOT_FOUND = "amqp:not-found";
        UNAUTHORIZED_ACCESS = "amqp:unauthorized-access";
        DECODE_ERROR = "amqp:decode-error";
        RESOURCE_LIMIT_EXCEEDED = "amqp:resource-limit-exceeded";
        NOT_ALLOWED = "amqp:not-allowed";
        INVALID_FIELD = "amqp:invalid-field";
        NOT_IMPLEMENTED = "amqp:not-implemented";
        RESOURCE_LOCKED = "amqp:resource-locked";
        PRECONDITION_FAILED = "amqp:precondition-failed";
        RESOURCE_DELETED = "amqp:resource-deleted";
        ILLEGAL_STATE = "amqp:illegal-state";
        FRAME_SIZE_TOO_SMALL = "amqp:frame-size-too-small";
        CONNECTION_FORCED = "amqp:connection:forced";
        FRAMING_ERROR = "amqp:connection:framing-error";
        CONNECTION_REDIRECT = "amqp:connection:redirect";
        WINDOW_VIOLATION = "amqp:session:window-violation";
        ERRANT_LINK = "amqp:session:errant-link";
        HANDLE_IN_USE = "amqp:session:handle-in-use";
        UNATTACHED_HANDLE = "amqp:session:unattached-handle";
        DETACH_FORCED = "amqp:link:detach-forced";
        TRANSFER_LIMIT_EXCEEDED = "amqp:link:transfer-limit-exceeded";
        MESSAGE_SIZE_EXCEEDED = "amqp:link:message-size-exceeded";
        LINK_REDIRECT = "amqp:link:redirect";
        LINK_STOLEN = "amqp:link:stolen";
    }
}

impl DeliveryTag {
    /// A tag of these bytes; `None` if there are more than [`MAX_DELIVERY_TAG_BYTES`].
    #[must_use]
    pub fn new(tag: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_DELIVERY_TAG_BYTES];
        bytes.get_mut(..tag.len())?.copy_from_slice(tag);
        Some(Self {
            len: u8::try_from(tag.len()).ok()?,
            bytes,
        })
    }

    /// A tag of four bytes, for those who count their deliveries.
    #[must_use]
    pub fn from_u32(number: u32) -> Self {
        let [a, b, c, d] = number.to_be_bytes();
        let mut bytes = [0; MAX_DELIVERY_TAG_BYTES];
        (bytes[0], bytes[1], bytes[2], bytes[3]) = (a, b, c, d);
        Self { len: 4, bytes }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

impl fmt::Debug for DeliveryTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryTag(")?;
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

impl Decode for DeliveryTag {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let constructor = reader.byte()?;
        Self::new(reader.octets_of(constructor)?).ok_or(DecodeError::InvalidValue("delivery-tag"))
    }
}

impl Encode for DeliveryTag {
    fn encode(&self, out: &mut BytesMut) {
        self.as_bytes().encode(out);
    }
}

impl Error {
    /// An error without further facts.
    #[must_use]
    pub fn new(condition: Symbol, description: impl Into<String>) -> Self {
        Self {
            condition,
            description: Some(description.into()),
            info: None,
        }
    }

    /// The same with further facts.
    #[must_use]
    pub fn with_info(mut self, info: Fields) -> Self {
        self.info = Some(info);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.description {
            Some(description) => write!(f, "{}: {description}", self.condition),
            None => write!(f, "{}", self.condition),
        }
    }
}

composite! {
    Error = ERROR {
        condition: required,
        description: optional,
        info: optional,
    }
}

numbered! {
    SenderSettleMode as u8, "snd-settle-mode" {
        0 => Unsettled,
        1 => Settled,
        2 => Mixed,
    }
}

numbered! {
    ReceiverSettleMode as u8, "rcv-settle-mode" {
        0 => First,
        1 => Second,
    }
}

impl Decode for Role {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(reader)? {
            Self::Receiver
        } else {
            Self::Sender
        })
    }
}

impl Encode for Role {
    fn encode(&self, out: &mut BytesMut) {
        (*self == Self::Receiver).encode(out);
    }
}

impl Decode for DeliveryState {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        match reader.descriptor()?.code() {
            Some(descriptor::ACCEPTED) => ListReader::read(reader, |_| Ok(Self::Accepted)),
            Some(descriptor::RELEASED) => ListReader::read(reader, |_| Ok(Self::Released)),
            Some(descriptor::REJECTED) => ListReader::read(reader, |fields| {
                Ok(Self::Rejected(fields.optional::<Error>()?))
            }),
            Some(descriptor::RECEIVED) => ListReader::read(reader, |fields| {
                Ok(Self::Received {
                    section_number: fields.required("section-number")?,
                    section_offset: fields.required("section-offset")?,
                })
            }),
            Some(descriptor::MODIFIED) => ListReader::read(reader, |fields| {
                Ok(Self::Modified {
                    delivery_failed: fields.optional()?.unwrap_or(false),
                    undeliverable_here: fields.optional()?.unwrap_or(false),
                    message_annotations: fields.optional()?,
                })
            }),
            _ => {
                *reader = start;
                reader.value().map(Self::Other)
            }
        }
    }
}

impl Encode for DeliveryState {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Received {
                section_number,
                section_offset,
            } => list(out, descriptor::RECEIVED, 2, |out| {
                section_number.encode(out);
                section_offset.encode(out);
            }),
            Self::Accepted => bare(out, descriptor::ACCEPTED),
            Self::Rejected(error) => list(out, descriptor::REJECTED, 1, |out| error.encode(out)),
            Self::Released => bare(out, descriptor::RELEASED),
            Self::Modified {
                delivery_failed,
                undeliverable_here,
                message_annotations,
            } => {
                list(out, descriptor::MODIFIED, 3, |out| {
                    delivery_failed.encode(out);
                    undeliverable_here.encode(out);
                    message_annotations.encode(out);
                });
            }
            Self::Other(value) => value.encode(out),
        }
    }
}

/// An outcome without fields: clients were seen to accept the empty list here, unlike in performatives.
fn bare(out: &mut BytesMut, code: u8) {
    out.put_slice(&[
        constructor::DESCRIBED,
        constructor::SMALL_ULONG,
        code,
        constructor::LIST_0,
    ]);
}
