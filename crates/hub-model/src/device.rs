//! A device identity.

use std::sync::Arc;

use drawspan_hub::{DeviceId, SymmetricKey};

/// A device as the registry knows it. Replaced as a whole when it changes.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// Differs between devices that had the same name one after the other.
    pub generation_id: Arc<str>,
    /// Changes with every change of the identity; written without quotes.
    pub etag: String,
    /// Whether it may connect.
    pub status: DeviceStatus,
    /// Why it has that status, in the operator's words.
    pub status_reason: Option<String>,
    /// When the status last changed, Unix milliseconds; `None` if it never did.
    pub status_updated_unix_ms: Option<u64>,
    /// How it proves who it is.
    pub authentication: Authentication,
    /// Whether it was registered as an IoT Edge device. Kept and reported, without effect.
    pub iot_edge: bool,
}

/// Whether a device may connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceStatus {
    /// It may.
    #[default]
    Enabled,
    /// It may not.
    Disabled,
}

/// How a device proves who it is.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// By tokens that one of two keys signed.
    Sas {
        /// The key used first.
        primary: SymmetricKey,
        /// The key that stays valid while the other is exchanged.
        secondary: SymmetricKey,
    },
    /// By a certificate with one of these thumbprints (hex).
    SelfSigned {
        /// The thumbprint used first.
        primary: String,
        /// The other one.
        secondary: Option<String>,
    },
    /// By a certificate that a registered authority issued.
    CertificateAuthority,
    /// Not at all.
    None,
}

impl Authentication {
    /// Whether a device proves itself by the same keys or thumbprints in both cases.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Sas { primary, secondary },
                Self::Sas {
                    primary: other_primary,
                    secondary: other_secondary,
                },
            ) => {
                primary.to_base64() == other_primary.to_base64()
                    && secondary.to_base64() == other_secondary.to_base64()
            }
            (
                Self::SelfSigned { primary, secondary },
                Self::SelfSigned {
                    primary: other_primary,
                    secondary: other_secondary,
                },
            ) => primary == other_primary && secondary == other_secondary,
            (Self::CertificateAuthority, Self::CertificateAuthority) | (Self::None, Self::None) => {
                true
            }
            _ => false,
        }
    }
}

/// The device as a caller wants it.
#[derive(Clone, Debug)]
pub struct DeviceSpec {
    /// Its name.
    pub id: DeviceId,
    /// Whether it may connect.
    pub status: DeviceStatus,
    /// Why it has that status.
    pub status_reason: Option<String>,
    /// How it proves who it is.
    pub authentication: AuthenticationSpec,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
}

/// How a caller wants a device to prove who it is.
#[derive(Clone, Debug)]
pub enum AuthenticationSpec {
    /// By keys; `None` leaves them to the hub, which makes new ones.
    Sas(Option<(SymmetricKey, SymmetricKey)>),
    /// In the given way.
    Other(Authentication),
}

/// Unguessable names and keys, generated for one change.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// For a device that is new.
    pub generation_id: Arc<str>,
    /// For any change.
    pub etag: String,
    /// For a change that names no keys.
    pub primary: SymmetricKey,
    /// The same.
    pub secondary: SymmetricKey,
}

impl DeviceSpec {
    /// An enabled device with keys of the hub's choice.
    pub fn new(id: DeviceId) -> Self {
        let authentication = AuthenticationSpec::Sas(None);
        Self {
            id,
            status: DeviceStatus::Enabled,
            status_reason: None,
            authentication,
            iot_edge: false,
        }
    }

    /// The resulting identity; `before` is the one that it replaces.
    pub(super) fn into_device(
        self,
        before: Option<&Device>,
        fresh: Fresh,
        now_unix_ms: u64,
    ) -> Device {
        let authentication = self.authentication.or_keys(fresh.primary, fresh.secondary);
        let status_updated_unix_ms = match before {
            Some(before) if before.status == self.status => before.status_updated_unix_ms,
            Some(_) => Some(now_unix_ms),
            None => None,
        };
        Device {
            id: self.id,
            generation_id: before.map_or(fresh.generation_id, |before| {
                Arc::clone(&before.generation_id)
            }),
            etag: fresh.etag,
            status: self.status,
            status_reason: self.status_reason,
            status_updated_unix_ms,
            authentication,
            iot_edge: self.iot_edge,
        }
    }
}

impl Device {
    /// The keys that may sign for it; empty for a device without keys.
    pub fn keys(&self) -> impl Iterator<Item = &SymmetricKey> {
        self.authentication.keys()
    }
}

impl Authentication {
    /// The keys that may sign; empty without keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &SymmetricKey> {
        let keys = match self {
            Self::Sas { primary, secondary } => [Some(primary), Some(secondary)],
            _ => [None, None],
        };
        keys.into_iter().flatten()
    }
}

impl AuthenticationSpec {
    /// What comes of it; with these keys if it leaves them to the hub.
    pub(super) fn or_keys(self, primary: SymmetricKey, secondary: SymmetricKey) -> Authentication {
        match self {
            Self::Other(authentication) => authentication,
            Self::Sas(Some((primary, secondary))) => Authentication::Sas { primary, secondary },
            // Also of one that had keys: an update resets what it does not name (comment of `Registry.update` in
            // azure-iot-sdk-node).
            Self::Sas(None) => Authentication::Sas { primary, secondary },
        }
    }
}
