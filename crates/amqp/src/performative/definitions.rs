//! Types shared by several performatives.

use crate::limits::MAX_DELIVERY_TAG_BYTES;
use crate::value::{Map, Symbol, Value};

/// A map with symbol keys: `fields` of the specification.
pub type Fields = Map;

/// Which end of a link sends the frame.
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
