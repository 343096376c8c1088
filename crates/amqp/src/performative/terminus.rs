//! Source and target of a link (specification 3.5.3, 3.5.4).

use super::definitions::{DeliveryState, Fields};
use crate::value::{Map, Symbol, Value};

/// What of a terminus survives.
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

/// Where messages come from.
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

/// Where messages go.
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

/// Marker so that unusual terminus types (a transaction coordinator) are told apart from a missing one.
#[derive(Debug, Clone, PartialEq)]
#[allow(dead_code)]
pub(crate) struct Unknown(pub(crate) Value);
