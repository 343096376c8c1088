//! What the shell keeps beside each machine.

use std::time::Duration;

use drawspan_bridge::fleet::{Beside, CallerId, ServiceId};
use drawspan_hub::{ConnectionKey, ConnectionStatus, ConnectionStatusReason};

use crate::hub::{DeviceNo, LineNo, Token};

/// What the shell keeps beside each machine.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) number: DeviceNo,
    /// Callers who wait for it.
    pub(crate) waiters: usize,
    pub(crate) place: Option<Place>,
    /// When it was last used over the connection that stands, without the fleet being told.
    pub(crate) used: Option<Duration>,
    /// The connection that took no more tokens.
    pub(crate) full: Option<(ServiceId, ConnectionKey)>,
    /// The words that were told last.
    pub(crate) status: Option<(ConnectionStatus, ConnectionStatusReason)>,
    /// The highest number of an attempt that was seen.
    pub(crate) epoch: u32,
    /// The number of the registration that is awaited.
    pub(crate) registering: Option<u32>,
}

/// Who asks for a device. There are a few callers, each with devices of its own.
pub(crate) const fn caller_of(device: DeviceNo) -> CallerId {
    CallerId(device % 3)
}

/// Where an attempt is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) line: LineNo,
    pub(crate) hub: ServiceId,
    pub(crate) key: ConnectionKey,
    pub(crate) phase: Phase,
    /// Once it was sent.
    pub(crate) token: Option<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Opening,
    Open,
    Closing,
}

impl Beside for Notes {
    fn callers(&self) -> impl Iterator<Item = CallerId> {
        (self.waiters > 0)
            .then(|| caller_of(self.number))
            .into_iter()
    }

    fn may_be_forgotten(&self) -> bool {
        self.place.is_none() && self.waiters == 0
    }

    fn last_use(&self) -> Option<Duration> {
        self.used
    }
}
