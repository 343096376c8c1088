//! One device on a connection.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_amqp::engine::{LinkId, LinkOptions, SessionId};
use drawspan_amqp::value::{Map, Symbol, Value};

use super::Send;
use super::sends::Reply;
use crate::board::Owner;

/// Link property that names the client in the hub's logs. Official clients set it on every link, those of `$cbs` included.
const CLIENT_VERSION: Symbol = Symbol::from_static("com.microsoft:client-version");
const CLIENT_VERSION_TEXT: &str = concat!("drawspan/", env!("CARGO_PKG_VERSION"));

/// A device and its session. Links beyond telemetry are attached when they are wanted.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) owner: Owner,
    pub(super) session: SessionId,
    pub(super) telemetry: LinkId,
    pub(super) phase: Phase,
    pub(super) next_tag: u32,
    /// Messages that wait for credit, oldest first.
    pub(super) waiting: VecDeque<(Send, Reply)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The hub must take the link until then.
    Attaching {
        until: Duration,
    },
    Open,
    /// The session is ending, and why has been told already, or is that it was asked for.
    Ending {
        asked: bool,
    },
}

/// A link that says who attaches it.
pub(super) fn named(mut options: LinkOptions) -> LinkOptions {
    options.properties = Some(Map(vec![(
        Value::Symbol(CLIENT_VERSION),
        Value::from(CLIENT_VERSION_TEXT),
    )]));
    options
}
