//! Effects that a device requests.

use drawspan_hub::{ConnectionStatus, ConnectionStatusReason};

use super::cause::Why;

/// Number of an attempt of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u32);

/// How an attempt differs from the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// Look at the clock and make a new token, even if one is at hand.
    pub fresh_token: bool,
    /// Not on the connection that was full.
    pub other_connection: bool,
}

/// An effect for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Ask the governor for a permit: the hub's, or DPS's if the hub is unknown.
    RequestPermit {
        /// The attempt.
        epoch: Epoch,
    },
    /// A permit came too late: give it to somebody else.
    ReturnPermit {
        /// The attempt it was for.
        epoch: Epoch,
    },
    /// Register at DPS.
    Provision {
        /// The attempt.
        epoch: Epoch,
    },
    /// Open a connection to [`super::Device::hub`].
    Open {
        /// The attempt.
        epoch: Epoch,
        /// How it differs from the usual.
        options: OpenOptions,
    },
    /// Close the connection, or stop opening it.
    Close {
        /// The attempt.
        epoch: Epoch,
    },
    /// Tell who wants to know: the public status changed, or only the cause of it.
    StatusChanged {
        /// The public status.
        status: ConnectionStatus,
        /// Its public reason.
        reason: ConnectionStatusReason,
        /// Why.
        why: Why,
        /// Whether status or reason changed.
        is_new: bool,
    },
}

/// Effects, in this order: at most a change of the public status and one other thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Effects {
    status: Option<Effect>,
    action: Option<Effect>,
}

impl Epoch {
    /// It counts up, and starts again at its end.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    pub(super) const FIRST: Self = Self(0);

    pub(super) const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl OpenOptions {
    /// No special treatment.
    pub const USUAL: Self = Self {
        fresh_token: false,
        other_connection: false,
    };
}

impl Effects {
    /// No effect.
    pub const NONE: Self = Self {
        status: None,
        action: None,
    };

    /// Joins two effects, of which at most one has an action.
    pub(super) fn then(self, other: Self) -> Self {
        Self {
            status: self.status.or(other.status),
            action: self.action.or(other.action),
        }
    }
}

impl From<Effect> for Effects {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::StatusChanged { .. } => Self {
                status: Some(effect),
                action: None,
            },
            _ => Self {
                status: None,
                action: Some(effect),
            },
        }
    }
}

impl IntoIterator for Effects {
    type Item = Effect;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Effect>, 2>>;

    fn into_iter(self) -> Self::IntoIter {
        [self.status, self.action].into_iter().flatten()
    }
}
