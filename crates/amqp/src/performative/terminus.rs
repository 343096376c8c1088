//! Source and target of a link (specification 3.5.3, 3.5.4).

use bytes::{BufMut, BytesMut};

use super::definitions::{DeliveryState, Fields};
use crate::codec::{Decode, DecodeError, Encode, Reader, composite, constructor, numbered};
use crate::value::{Map, Symbol};

/// The durable state of a terminus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TerminusDurability {
    /// Nothing.
    #[default]
    None,
    /// The configuration.
    Configuration,
    /// The unsettled state too.
    UnsettledState,
}

/// When a terminus expires.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ExpiryPolicy {
    /// With its link.
    LinkDetach,
    /// With its session.
    #[default]
    SessionEnd,
    /// With its connection.
    ConnectionClose,
    /// Never.
    Never,
}

/// The source of messages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Source {
    /// Address of the node; every client of IoT Hub sends text.
    pub address: Option<String>,
    /// See [`TerminusDurability`].
    pub durable: TerminusDurability,
    /// See [`ExpiryPolicy`].
    pub expiry_policy: ExpiryPolicy,
    /// Seconds from the start of expiry.
    pub timeout_s: u32,
    /// The peer is to make a node.
    pub dynamic: bool,
    /// Properties of the node to make.
    pub dynamic_node_properties: Option<Fields>,
    /// `move` or `copy`.
    pub distribution_mode: Option<Symbol>,
    /// Filters by name; values are usually described.
    pub filter: Option<Map>,
    /// Outcome of deliveries that are settled without one.
    pub default_outcome: Option<DeliveryState>,
    /// Outcomes that the source understands.
    pub outcomes: Option<Vec<Symbol>>,
    /// Capabilities of the source.
    pub capabilities: Option<Vec<Symbol>>,
}

/// The target of messages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// Address of the node.
    pub address: Option<String>,
    /// See [`TerminusDurability`].
    pub durable: TerminusDurability,
    /// See [`ExpiryPolicy`].
    pub expiry_policy: ExpiryPolicy,
    /// Seconds from the start of expiry.
    pub timeout_s: u32,
    /// The peer is to make a node.
    pub dynamic: bool,
    /// Properties of the node to make.
    pub dynamic_node_properties: Option<Fields>,
    /// Capabilities of the target.
    pub capabilities: Option<Vec<Symbol>>,
}

composite! {
    Source = SOURCE {
        address: optional,
        durable: or(TerminusDurability::None),
        expiry_policy: or(ExpiryPolicy::SessionEnd),
        timeout_s: or(0),
        dynamic: or(false),
        dynamic_node_properties: optional,
        distribution_mode: optional,
        filter: optional,
        default_outcome: optional,
        outcomes: multiple,
        capabilities: multiple,
    }
}

composite! {
    Target = TARGET {
        address: optional,
        durable: or(TerminusDurability::None),
        expiry_policy: or(ExpiryPolicy::SessionEnd),
        timeout_s: or(0),
        dynamic: or(false),
        dynamic_node_properties: optional,
        capabilities: multiple,
    }
}

numbered! {
    TerminusDurability as u32, "durable" {
        0 => None,
        1 => Configuration,
        2 => UnsettledState,
    }
}

impl Decode for ExpiryPolicy {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match Symbol::decode(reader)?.as_str() {
            "link-detach" => Ok(Self::LinkDetach),
            "session-end" => Ok(Self::SessionEnd),
            "connection-close" => Ok(Self::ConnectionClose),
            "never" => Ok(Self::Never),
            _ => Err(DecodeError::InvalidValue("expiry-policy")),
        }
    }
}

impl Encode for ExpiryPolicy {
    fn encode(&self, out: &mut BytesMut) {
        let name = match self {
            Self::LinkDetach => "link-detach",
            // The default; null says so in one byte.
            Self::SessionEnd => return out.put_u8(constructor::NULL),
            Self::ConnectionClose => "connection-close",
            Self::Never => "never",
        };
        Symbol::from_static(name).encode(out);
    }
}
