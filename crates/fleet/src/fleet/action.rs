//! Actions and reports of a fleet.

use std::time::Duration;

use drawspan_hub::{AttemptId, ConnectionStatus, ConnectionStatusReason, DeviceId};

use crate::device::{Epoch, OpenOptions, Why};

/// A hub, or the provisioning service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub(super) u16);

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Register a device at DPS.
    Provision {
        /// Index of the device.
        device: u32,
        /// To be repeated in the answer.
        epoch: Epoch,
    },
    /// A registration that was asked for with this number may start now.
    Register {
        /// The number.
        registration: u64,
    },
    /// Open a connection for a device.
    Open {
        /// The attempt.
        attempt: AttemptId,
        /// The hub.
        hub: ServiceId,
        /// How it differs from the usual.
        options: OpenOptions,
    },
    /// Close it, or stop opening it.
    Close {
        /// The attempt.
        attempt: AttemptId,
    },
    /// A device's public status changed, or only the cause of it.
    StatusChanged {
        /// Index of the device, if it was not forgotten with this.
        device: u32,
        /// Its id.
        id: DeviceId,
        /// The public status.
        status: ConnectionStatus,
        /// Its public reason.
        reason: ConnectionStatusReason,
        /// Why.
        why: Why,
        /// Whether status or reason changed.
        is_new: bool,
        /// How long the session lasted that ended by this, if one did.
        session: Option<Duration>,
    },
    /// A hub's state, or DPS's, changed.
    News(ServiceId, News),
    /// Callers of devices that wait for this service wait in vain; [`Fleet::refusal`](super::Fleet::refusal) says why.
    TurnAway(ServiceId),
    /// Callers of this device wait in vain if [`Fleet::refusal`](super::Fleet::refusal) or [`Fleet::stands_back`](super::Fleet::stands_back)
    /// says so: its hub, or DPS, refuses everyone.
    MayWaitInVain(u32),
    /// Callers of this device wait in vain: its hub, or DPS, refuses everyone, and too many others are to be tried before it.
    TurnAwayDevice(u32),
}

/// A change of state of a hub or of DPS, reported once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It cannot be reached.
    Unreachable,
    /// It can be reached again.
    Reachable,
    /// It has refused credentials, and accepted none since the start.
    RefusesCredentials,
    /// It refuses the credentials of many devices.
    RefusesEveryone,
    /// It takes credentials again.
    TakesCredentials,
    /// It leaves what is asked of it without an answer.
    Silent,
    /// It answers with server errors.
    Failing,
    /// Its daily quota is used up.
    QuotaExceeded,
    /// Its quota is not used up any more, or a new day has begun.
    QuotaRestored,
    /// It is neither silent nor failing any more.
    Recovered,
    /// All connections to it that this process may have are full, and a device was refused for that.
    Full,
    /// Its connections have room again.
    HasRoom,
}

impl ServiceId {
    /// The provisioning service.
    pub const DPS: Self = Self(0);

    /// The service of that number, as it was given out by [`number`](Self::number).
    #[must_use]
    pub const fn of(number: u16) -> Self {
        Self(number)
    }

    /// A number for it.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}
