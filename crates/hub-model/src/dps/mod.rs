//! The provisioning service as a value: permission to register, the assignment of hubs, and the registrations.
//!
//! Sources: DPS articles "symmetric key attestation", "X.509 attestation", "roll X.509 device certificates", "reprovision", "allocation policies".

mod access;
mod enrollment;
mod enrollment_json;
mod provisioning;
#[cfg(test)]
mod tests;
mod throttle;

use std::collections::HashMap;
use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName, RegistrationId, SymmetricKey};

pub use access::{Admission, Credential, Denied};
pub use enrollment::{Attestation, Enrollment, EnrollmentGroup, Enrollments, Terms};
pub use enrollment_json::{EnrollmentFile, InvalidEnrollment};
pub use provisioning::{ENROLLMENT_GROUP, GroupSpec, ID_SCOPE, InvalidProvisioning, Provisioning};
pub use throttle::DpsThrottle;

/// An enrollment group whose devices prove themselves by keys derived from the group's.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// The key used first.
    pub primary: SymmetricKey,
    /// The key that stays valid while the other is exchanged.
    pub secondary: SymmetricKey,
}

/// How devices are spread over hubs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allocation {
    /// Evenly, by name; adding a hub moves no more devices than it takes.
    #[default]
    Hashed,
    /// All to this one.
    Static(HostName),
}

/// A device that registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The name, as it was written first.
    pub id: RegistrationId,
    /// The group that it belongs to; empty if it has an enrollment of its own.
    pub group: Arc<str>,
    /// The assigned hub.
    pub hub: HostName,
    /// Its name there.
    pub device: DeviceId,
    /// How it came to that hub.
    pub substatus: Substatus,
    /// When it registered first, Unix milliseconds.
    pub created_unix_ms: u64,
    /// When it registered last, Unix milliseconds.
    pub updated_unix_ms: u64,
    /// Changes with every registration; written without quotes.
    pub etag: String,
    /// The last registration's operation.
    pub operation: String,
    /// The payload of the device's last registration, as JSON.
    pub payload: Option<Arc<str>>,
}

/// How a device came to its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Substatus {
    /// It was assigned there first, or is there still.
    InitialAssignment,
    /// It was moved there.
    DeviceDataMigrated,
}

/// All registrations. Names compare without case.
#[derive(Debug, Default)]
pub struct Registrations {
    by_name: HashMap<String, Arc<Registration>>,
}

impl Allocation {
    /// The hub for a device, `None` if there is none.
    pub fn choose<'h>(
        &self,
        id: &RegistrationId,
        hubs: impl Iterator<Item = &'h HostName>,
    ) -> Option<&'h HostName> {
        let mut hubs = hubs;
        match self {
            Self::Static(name) => hubs.find(|hub| *hub == name),
            Self::Hashed => {
                let name = id.as_str().to_ascii_lowercase();
                hubs.max_by_key(|hub| weight(hub, &name))
            }
        }
    }
}

/// Highest random weight: each device has its own order of the hubs (FNV-1a, then the finish of SplitMix64).
fn weight(hub: &HostName, id: &str) -> u64 {
    let bytes = [hub.as_str().as_bytes(), b"/", id.as_bytes()];
    let hash = bytes
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl Substatus {
    /// The service's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InitialAssignment => "initialAssignment",
            Self::DeviceDataMigrated => "deviceDataMigrated",
        }
    }

    /// The meaning of the service's word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::InitialAssignment, Self::DeviceDataMigrated]
            .into_iter()
            .find(|substatus| substatus.as_str() == text)
    }
}

impl Registrations {
    /// Registrations as they were stored.
    pub fn from_stored(stored: Vec<Registration>) -> Self {
        let mut registrations = Self::default();
        for registration in stored {
            registrations.put(Arc::new(registration));
        }
        registrations
    }

    /// A registration, if there is one.
    pub fn get(&self, id: &RegistrationId) -> Option<&Arc<Registration>> {
        self.by_name.get(&id.as_str().to_ascii_lowercase())
    }

    /// The registration of a device, by its name at its hub.
    pub fn of_device(&self, device: &DeviceId) -> Option<&Arc<Registration>> {
        let mut all = self.by_name.values();
        all.find(|registration| registration.device == *device)
    }

    /// Takes note of a registration, in place of the one that there was.
    pub fn put(&mut self, registration: Arc<Registration>) {
        let name = registration.id.as_str().to_ascii_lowercase();
        self.by_name.insert(name, registration);
    }
}
