//! The configuration of the provisioning service.

use std::collections::HashSet;

use drawspan_hub::{HostName, SymmetricKey};

use super::Allocation;
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
    /// Its enrollment groups; if empty, there is one called [`ENROLLMENT_GROUP`].
    pub groups: Vec<GroupSpec>,
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
        if self.groups.len() > ENROLLMENT_GROUPS_MAX {
            mistakes.push(Invalid::TooManyGroups(self.groups.len()));
        }
        let mut seen = HashSet::new();
        for group in &self.groups {
            if !is_group_name(&group.name) {
                mistakes.push(Invalid::GroupName);
            } else if !seen.insert(group.name.to_ascii_lowercase()) {
                mistakes.push(Invalid::SameGroup(group.name.clone()));
            }
        }
        if let Allocation::Static(hub) = &self.allocation
            && !hubs.contains(hub)
        {
            mistakes.push(Invalid::NoSuchHub(hub.clone()));
        }
        if self.retry_after_s > RETRY_AFTER_MAX_S {
            mistakes.push(Invalid::RetryAfter(self.retry_after_s));
        }
        mistakes
    }

    /// The groups, including the default one.
    pub fn groups(&self) -> Vec<GroupSpec> {
        match self.groups.as_slice() {
            [] => vec![GroupSpec::new(ENROLLMENT_GROUP)],
            groups => groups.to_vec(),
        }
    }
}

fn is_group_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    (1..=ENROLLMENT_NAME_MAX_CHARS).contains(&name.len()) && name.bytes().all(allowed)
}
