//! What the process keeps of each device, counted for itself.

use std::time::Duration;

use drawspan_fleet::{CallerId, ServiceId};
use drawspan_hub::{AttemptId, ConnectionKey, ConnectionStatus, ConnectionStatusReason, Wants};

use crate::hub::{DeviceNo, LineNo, Token};

/// What the process keeps of a device.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) place: Option<ConnectAttempt>,
    /// The connection that took no more tokens, if that ended the last attempt.
    pub(crate) full: Option<(ServiceId, ConnectionKey)>,
    /// When it was connected last, if it is not.
    pub(crate) connected_until: Option<Duration>,
    /// The last reported status.
    pub(crate) status: Option<(ConnectionStatus, ConnectionStatusReason)>,
    /// The highest number of an attempt that was seen, and of which device of the fleet.
    pub(crate) epoch: Option<(u32, u32)>,
    /// The number of the attempt that was registering when the device was removed.
    pub(crate) removed: Option<u32>,
}

/// The caller of a device. There are a few callers, each with its own devices.
pub(crate) const fn caller_of(device: DeviceNo) -> CallerId {
    CallerId(device % 3)
}

impl Notes {
    /// The device's place, which is not open any more.
    pub(crate) fn ends(&mut self, now: Duration) -> Option<&mut ConnectAttempt> {
        let place = self.place.as_mut()?;
        if place.phase == Phase::Open {
            self.connected_until = Some(now);
        }
        Some(place)
    }
}

/// Where an attempt is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectAttempt {
    pub(crate) attempt: AttemptId,
    pub(crate) line: LineNo,
    pub(crate) phase: Phase,
    /// Life of its token.
    pub(crate) life: Duration,
    /// The links it should have.
    pub(crate) wants: Wants,
    /// Once it was sent.
    pub(crate) token: Option<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Opening,
    Open,
    Closing,
}
