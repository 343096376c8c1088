//! The scope of a process's credentials.

use crate::limits::BREAKER_DEVICES;

/// Whose credentials a hub, or DPS, refuses when it refuses a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialScope {
    /// The device's: each has its own key, which proves nothing about others.
    Device,
    /// The hub policy's, whose key signs the tokens of all devices.
    Policy,
}

impl CredentialScope {
    /// Whether devices that were not tried have to expect the refusal that the others met, where a service refuses everyone.
    pub(crate) const fn concerns_all(self) -> bool {
        matches!(self, Self::Policy)
    }

    /// So many devices are refused, and the fault is not theirs.
    pub(crate) const fn devices_to_doubt(self) -> usize {
        match self {
            Self::Device => BREAKER_DEVICES,
            Self::Policy => 1,
        }
    }
}
