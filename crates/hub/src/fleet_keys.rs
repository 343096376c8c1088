//! The keys with which a fleet of devices connects.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

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
    /// Certificates instead of keys: each device has a connection of its own. A device that is not listed cannot connect.
    Certificates(HashMap<DeviceId, CertifiedDevice>),
}

/// A device that is listed with its hub and certificate.
#[derive(Debug, Clone)]
pub struct CertifiedDevice {
    /// Its hub.
    pub hub: HostName,
    /// Its certificate at that hub.
    pub certificate: PemCertificate,
}

/// A certificate with its key, as PEM. `Debug` shows neither.
#[derive(Clone)]
pub struct PemCertificate {
    /// The certificate, and those that lead to its authority.
    pub chain: Arc<str>,
    key: Arc<SecretString>,
}

/// What a device's connection needs before it can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// A policy's token, one for a connection.
    PolicyToken,
    /// A token for each device of a connection.
    DeviceToken,
    /// The certificate of the one device of a connection.
    Certificate,
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
    /// What connections need.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Policy { .. } => CredentialKind::PolicyToken,
            Self::Group(_) | Self::Explicit(_) => CredentialKind::DeviceToken,
            Self::Certificates(_) => CredentialKind::Certificate,
        }
    }
}

impl PemCertificate {
    /// Of a certificate's text and its key's.
    #[must_use]
    pub fn new(chain: &str, key: String) -> Self {
        Self {
            chain: chain.into(),
            key: Arc::new(key.into()),
        }
    }

    /// The key: a secret, not for logs.
    #[must_use]
    pub fn key(&self) -> &str {
        self.key.expose_secret()
    }
}

impl fmt::Debug for PemCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PemCertificate")
    }
}
