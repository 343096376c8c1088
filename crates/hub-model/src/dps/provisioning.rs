//! The configuration of the provisioning service.

use std::collections::HashSet;

use drawspan_hub::{HostName, RegistrationId, SymmetricKey};

use super::Allocation;
use super::enrollment::{Enrollment, EnrollmentGroup, Terms};
use crate::limits::{
    ENROLLMENT_GROUPS_MAX, ENROLLMENT_NAME_MAX_CHARS, ID_SCOPE_MAX_CHARS, RETRY_AFTER_MAX_S,
};

/// The id scope unless another one is given.
pub const ID_SCOPE: &str = "0ne00000001";
/// The enrollment group unless others are given.
pub const ENROLLMENT_GROUP: &str = "default";
/// The wait that real services request.
const RETRY_AFTER_S: u32 = 3;

/// The configuration of the provisioning service. The default is a service with one group.
#[derive(Clone, Debug)]
pub struct Provisioning {
    /// Its id scope.
    pub id_scope: String,
    /// Its enrollment groups with symmetric keys, whose missing keys are made; if empty, there is one called [`ENROLLMENT_GROUP`].
    pub groups: Vec<GroupSpec>,
    /// Enrollments of one device each.
    pub individual: Vec<Enrollment>,
    /// Enrollment groups beside `groups`, complete as they are.
    pub other_groups: Vec<EnrollmentGroup>,
    /// How devices are spread over hubs.
    pub allocation: Allocation,
    /// How long a device is asked to wait for its assignment, 0 to 300 s. The assignment is made at once in any case; with 0 the
    /// answer to the registration already has it, so that devices do not wait.
    pub retry_after_s: u32,
    /// Registrations accepted per minute; `None` for no limit.
    pub registrations_per_minute: Option<u32>,
}

/// An enrollment group to be served.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// Its primary key; by default one of the emulator's choice, kept in the state directory.
    pub primary: Option<SymmetricKey>,
    /// Its secondary key, likewise.
    pub secondary: Option<SymmetricKey>,
}

/// Mistakes in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProvisioning {
    /// Characters that no id scope has, or too many or few of them.
    #[error("an id scope has 1 to {ID_SCOPE_MAX_CHARS} letters and digits")]
    IdScope,
    /// Too many groups.
    #[error("{0} enrollment groups are too many, at most {ENROLLMENT_GROUPS_MAX} are allowed")]
    TooManyGroups(usize),
    /// A name that is no group's.
    #[error(
        "an enrollment group's name has 1 to {ENROLLMENT_NAME_MAX_CHARS} letters, digits and - . _ :"
    )]
    GroupName,
    /// A name that is there twice.
    #[error("the enrollment group {0} is there twice")]
    SameGroup(String),
    /// A device that is enrolled twice.
    #[error("the enrollment {0} is there twice")]
    SameEnrollment(RegistrationId),
    /// Allocation to a hub that is not served.
    #[error("devices cannot be allocated to {0}: there is no such hub")]
    NoSuchHub(HostName),
    /// Too long a wait.
    #[error("{0} s to wait are too many, at most {RETRY_AFTER_MAX_S} are allowed")]
    RetryAfter(u32),
}

impl Default for Provisioning {
    fn default() -> Self {
        Self {
            id_scope: ID_SCOPE.to_owned(),
            groups: Vec::new(),
            individual: Vec::new(),
            other_groups: Vec::new(),
            allocation: Allocation::default(),
            retry_after_s: RETRY_AFTER_S,
            registrations_per_minute: None,
        }
    }
}

impl GroupSpec {
    /// A group with keys of the emulator's choice.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            primary: None,
            secondary: None,
        }
    }
}

impl Provisioning {
    /// All mistakes, for an emulator with `hubs`.
    pub fn mistakes(&self, hubs: &[HostName]) -> Vec<InvalidProvisioning> {
        use InvalidProvisioning as Invalid;
        let mut mistakes = Vec::new();
        let is_scope = (1..=ID_SCOPE_MAX_CHARS).contains(&self.id_scope.len())
            && self
                .id_scope
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric());
        if !is_scope {
            mistakes.push(Invalid::IdScope);
        }
        let named = self.groups.iter().map(|group| group.name.as_str());
        let others = self.other_groups.iter().map(|group| &*group.name);
        let groups: Vec<_> = named.chain(others).collect();
        if groups.len() > ENROLLMENT_GROUPS_MAX {
            mistakes.push(Invalid::TooManyGroups(groups.len()));
        }
        let mut seen = HashSet::new();
        for name in groups {
            if !is_group_name(name) {
                mistakes.push(Invalid::GroupName);
            } else if !seen.insert(name.to_ascii_lowercase()) {
                mistakes.push(Invalid::SameGroup(name.to_owned()));
            }
        }
        let mut seen = HashSet::new();
        let ids = self.individual.iter().map(|it| &it.id);
        let repeated = ids.filter(|id| !seen.insert(id.as_str().to_ascii_lowercase()));
        mistakes.extend(repeated.cloned().map(Invalid::SameEnrollment));
        let allocated = match &self.allocation {
            Allocation::Static(hub) => Some(hub),
            Allocation::Hashed => None,
        };
        let terms = self.individual.iter().map(|it| &it.terms);
        let terms = terms.chain(self.other_groups.iter().map(|it| &it.terms));
        let named = terms.filter_map(|terms: &Terms| terms.hub.as_ref());
        let unknown: HashSet<_> = allocated.into_iter().chain(named).collect();
        let unknown = unknown.into_iter().filter(|hub| !hubs.contains(hub));
        mistakes.extend(unknown.cloned().map(Invalid::NoSuchHub));
        if self.retry_after_s > RETRY_AFTER_MAX_S {
            mistakes.push(Invalid::RetryAfter(self.retry_after_s));
        }
        mistakes
    }

    /// The groups with symmetric keys, including the default one, unless another group has its name.
    pub fn groups(&self) -> Vec<GroupSpec> {
        let mut others = self.other_groups.iter();
        match self.groups.as_slice() {
            [] if others.any(|it| it.name.eq_ignore_ascii_case(ENROLLMENT_GROUP)) => Vec::new(),
            [] => vec![GroupSpec::new(ENROLLMENT_GROUP)],
            groups => groups.to_vec(),
        }
    }
}

/// Whether an enrollment group may have this name.
pub(super) fn is_group_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    (1..=ENROLLMENT_NAME_MAX_CHARS).contains(&name.len()) && name.bytes().all(allowed)
}
