//! Enrollments: who may register, and what becomes of the device.

use std::collections::HashMap;
use std::sync::Arc;

use drawspan_hub::{DeviceId, HostName, RegistrationId, SymmetricKey};

use super::{Group, Registration};
use crate::device::DeviceStatus;
use crate::x509::Certificate;

/// How devices prove that they are enrolled.
#[derive(Clone, Debug)]
pub enum Attestation {
    /// By tokens of one of two keys. Those of a group are not used themselves: a device of it has keys derived from them.
    SymmetricKey {
        /// The key used first.
        primary: SymmetricKey,
        /// The key that stays valid while the other is exchanged.
        secondary: SymmetricKey,
    },
    /// By a certificate with one of these thumbprints. Of an individual enrollment.
    Thumbprints(Vec<String>),
    /// By a certificate that one of these issued, or one below it. Of a group.
    Signing(Vec<Certificate>),
}

/// What an enrollment says of the devices that register by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whether they may register.
    pub status: DeviceStatus,
    /// The hub that they are assigned to; by default the service's allocation decides.
    pub hub: Option<HostName>,
    /// Whether they become IoT Edge devices.
    pub iot_edge: bool,
}

/// An enrollment of one device. Such a device registers by nothing else: its own enrollment goes before a group's.
#[derive(Clone, Debug)]
pub struct Enrollment {
    /// The name by which it registers.
    pub id: RegistrationId,
    /// Its name at the hub; by default the one by which it registers.
    pub device: Option<DeviceId>,
    /// How it proves that it is that device.
    pub attestation: Attestation,
    /// What is said of it.
    pub terms: Terms,
}

/// An enrollment of any number of devices.
#[derive(Clone, Debug)]
pub struct EnrollmentGroup {
    /// Its name.
    pub name: Arc<str>,
    /// How its devices prove that they belong to it.
    pub attestation: Attestation,
    /// What is said of them.
    pub terms: Terms,
}

/// All enrollments of a service. Names compare without case.
#[derive(Clone, Debug, Default)]
pub struct Enrollments {
    groups: Vec<EnrollmentGroup>,
    individual: HashMap<String, Enrollment>,
}

impl Enrollments {
    /// Enrollments in which no name is twice; of those that are, the last counts.
    pub fn new(groups: Vec<EnrollmentGroup>, individual: Vec<Enrollment>) -> Self {
        let named = |it: Enrollment| (it.id.as_str().to_ascii_lowercase(), it);
        Self {
            groups,
            individual: individual.into_iter().map(named).collect(),
        }
    }

    /// The groups.
    pub fn groups(&self) -> &[EnrollmentGroup] {
        &self.groups
    }

    /// A device's own enrollment, if it has one.
    pub fn individual(&self, id: &RegistrationId) -> Option<&Enrollment> {
        self.individual.get(&id.as_str().to_ascii_lowercase())
    }

    /// How the device of a registration proved itself, as far as the enrollment is still there.
    pub fn attestation_of(&self, registration: &Registration) -> Option<&Attestation> {
        if registration.group.is_empty() {
            let own = self.individual(&registration.id);
            return own.map(|it| &it.attestation);
        }
        let mut groups = self.groups.iter();
        groups
            .find(|group| group.name.eq_ignore_ascii_case(&registration.group))
            .map(|group| &group.attestation)
    }
}

impl From<Group> for EnrollmentGroup {
    fn from(group: Group) -> Self {
        Self {
            name: group.name,
            attestation: Attestation::SymmetricKey {
                primary: group.primary,
                secondary: group.secondary,
            },
            terms: Terms::default(),
        }
    }
}
