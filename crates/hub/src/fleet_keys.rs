//! The keys with which a fleet of devices connects.

use std::collections::HashMap;

use crate::{DeviceId, HostName, SymmetricKey, WhichKey};

/// A key, and perhaps a second one.
#[derive(Debug, Clone)]
pub struct KeyPair {
    /// Used first.
    pub primary: SymmetricKey,
    /// Used when the first one is refused.
    pub secondary: Option<SymmetricKey>,
}

/// The keys of a fleet.
#[derive(Debug, Clone)]
pub enum Keys {
    /// Of a shared access policy of the hub that may connect devices: one token serves a whole connection.
    Policy {
        /// Its name, such as `device`.
        name: String,
        /// Its keys.
        keys: KeyPair,
    },
    /// Of a DPS enrollment group: each device's own key is derived from them.
    Group(KeyPair),
    /// Each device's own. A device that is not listed cannot connect.
    Explicit(HashMap<DeviceId, ListedDevice>),
}

/// A device that is listed with its hub and keys.
#[derive(Debug, Clone)]
pub struct ListedDevice {
    /// Its hub.
    pub hub: HostName,
    /// Its keys at that hub.
    pub keys: KeyPair,
}

impl KeyPair {
    /// One key only.
    #[must_use]
    pub const fn single(primary: SymmetricKey) -> Self {
        Self {
            primary,
            secondary: None,
        }
    }

    /// The key of that place; the primary one where there is no second.
    #[must_use]
    pub fn get(&self, which: WhichKey) -> &SymmetricKey {
        match (which, &self.secondary) {
            (WhichKey::Secondary, Some(secondary)) => secondary,
            _ => &self.primary,
        }
    }
}

impl Keys {
    /// Whether each device has its own keys, and therefore needs its own token.
    #[must_use]
    pub const fn is_per_device(&self) -> bool {
        !matches!(self, Self::Policy { .. })
    }
}
