//! Sections that are lists: header and properties.

use bytes::Bytes;

use super::MessageId;
use crate::codec::composite;
use crate::value::Symbol;

/// Delivery details (specification 3.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Survive a crash of an intermediary.
    pub durable: bool,
    /// Relative priority, 4 by default.
    pub priority: u8,
    /// Milliseconds to live.
    pub ttl_ms: Option<u32>,
    /// No other link has acquired it before.
    pub first_acquirer: bool,
    /// Earlier deliveries that failed.
    pub delivery_count: u32,
}

/// Standard properties (specification 3.2.4). Strings are accepted for symbols and the other way round.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// Identifies the message.
    pub message_id: Option<MessageId>,
    /// The user who created it.
    pub user_id: Option<Bytes>,
    /// Address of the node it is meant for.
    pub to: Option<String>,
    /// The subject of the message.
    pub subject: Option<String>,
    /// Address for answers.
    pub reply_to: Option<String>,
    /// Identifies the message that this one belongs to.
    pub correlation_id: Option<MessageId>,
    /// Media type of the body.
    pub content_type: Option<Symbol>,
    /// Encoding of the body.
    pub content_encoding: Option<Symbol>,
    /// When it expires: milliseconds since the Unix epoch.
    pub absolute_expiry_time: Option<i64>,
    /// When it was made: milliseconds since the Unix epoch.
    pub creation_time: Option<i64>,
    /// Group that it belongs to.
    pub group_id: Option<String>,
    /// Its place in the group.
    pub group_sequence: Option<u32>,
    /// Group for answers.
    pub reply_to_group_id: Option<String>,
}

/// The priority of a message without one (specification 3.2.1).
const DEFAULT_PRIORITY: u8 = 4;

impl Default for Header {
    fn default() -> Self {
        Self {
            durable: false,
            priority: DEFAULT_PRIORITY,
            ttl_ms: None,
            first_acquirer: false,
            delivery_count: 0,
        }
    }
}

composite! {
    Header = HEADER {
        durable: or(false),
        priority: or(DEFAULT_PRIORITY),
        ttl_ms: optional,
        first_acquirer: or(false),
        delivery_count: or(0),
    }
}

composite! {
    Properties = PROPERTIES {
        message_id: optional,
        user_id: optional,
        to: optional,
        subject: optional,
        reply_to: optional,
        correlation_id: optional,
        content_type: optional,
        content_encoding: optional,
        absolute_expiry_time: optional,
        creation_time: optional,
        group_id: optional,
        group_sequence: optional,
        reply_to_group_id: optional,
    }
}
