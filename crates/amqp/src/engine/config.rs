//! Options that an embedder chooses for a connection.

use bytes::Bytes;

use crate::limits;
use crate::performative::{Fields, ReceiverSettleMode, Role, SenderSettleMode, Source, Target};
use crate::value::Symbol;

/// Settings of a connection, for either role.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this container.
    pub container_id: String,
    /// Host that a client means; also the SNI name as a rule.
    pub hostname: Option<String>,
    /// Largest frame that we accept, in bytes.
    pub max_frame_bytes: u32,
    /// Highest channel number, one session each.
    pub channel_max: u16,
    /// The idle timeout that we announce, in milliseconds; 0 for no timeout.
    pub idle_time_out_ms: Option<u32>,
    /// How long the peer may be silent before it is dropped, in milliseconds; `None` for 1.5 times of what is announced.
    pub silence_ms: Option<u32>,
    /// Transfers that a session accepts before it announces a new window.
    pub incoming_window: u32,
    /// Highest link handle that a peer may use on a session.
    pub handle_max: u32,
    /// Properties of the open frame.
    pub properties: Option<Fields>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            container_id: String::from("drawspan"),
            hostname: None,
            max_frame_bytes: limits::MAX_FRAME_BYTES,
            channel_max: limits::CHANNEL_MAX,
            idle_time_out_ms: Some(limits::IDLE_TIME_OUT_MS),
            silence_ms: None,
            incoming_window: limits::INCOMING_WINDOW,
            handle_max: limits::HANDLE_MAX,
            properties: None,
        }
    }
}

/// How a client authenticates on the SASL layer.
#[derive(Debug, Clone)]
pub struct ClientSasl {
    /// Mechanism to choose.
    pub mechanism: Symbol,
    /// Its first answer. Not logged by this crate.
    pub initial_response: Option<Bytes>,
}

/// Credit that a receiver gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credit {
    /// This much, then only by [`grant`](crate::Connection::grant).
    Manual(u32),
    /// Kept topped up: credit plus unsettled deliveries stay at most this much.
    Auto(u32),
}

/// A link to attach.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Unique per session and direction.
    pub name: String,
    /// Our end.
    pub role: Role,
    /// Where messages come from.
    pub source: Source,
    /// Where they go.
    pub target: Target,
    /// How the sender settles.
    pub snd_settle_mode: SenderSettleMode,
    /// How the receiver settles.
    pub rcv_settle_mode: ReceiverSettleMode,
    /// Largest message that we take as a receiver, in bytes.
    pub max_message_bytes: Option<u64>,
    /// Link properties.
    pub properties: Option<Fields>,
    /// Capabilities desired of the peer.
    pub desired_capabilities: Option<Vec<Symbol>>,
    /// For a receiver.
    pub credit: Credit,
}

impl LinkOptions {
    /// A sender to `target`.
    pub fn sender(name: impl Into<String>, target: impl Into<String>) -> Self {
        let target = Target {
            address: Some(target.into()),
            ..Target::default()
        };
        Self::new(name.into(), Role::Sender, Source::default(), target)
    }

    /// A receiver from `source`.
    pub fn receiver(name: impl Into<String>, source: impl Into<String>, credit: Credit) -> Self {
        let source = Source {
            address: Some(source.into()),
            ..Source::default()
        };
        Self {
            credit,
            ..Self::new(name.into(), Role::Receiver, source, Target::default())
        }
    }

    fn new(name: String, role: Role, source: Source, target: Target) -> Self {
        Self {
            name,
            role,
            source,
            target,
            snd_settle_mode: SenderSettleMode::default(),
            rcv_settle_mode: ReceiverSettleMode::default(),
            max_message_bytes: None,
            properties: None,
            desired_capabilities: None,
            credit: Credit::Manual(0),
        }
    }
}

/// How to answer a link that the peer attaches.
#[derive(Debug, Clone, Default)]
pub struct AcceptOptions {
    /// Source to answer; the peer's when absent.
    pub source: Option<Source>,
    /// Target to answer; the peer's when absent.
    pub target: Option<Target>,
    /// Largest message that we take, in bytes.
    pub max_message_bytes: Option<u64>,
    /// How much a message may exceed that before it is discarded: clients count differently.
    pub slack_bytes: u64,
    /// Link properties.
    pub properties: Option<Fields>,
    /// Capabilities offered.
    pub offered_capabilities: Option<Vec<Symbol>>,
    /// For a receiver.
    pub credit: Option<Credit>,
}
