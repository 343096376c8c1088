//! Shared access policies. All of them share one key, so that a user has one to remember; each has its own rights.

use drawspan_hub::SymmetricKey;

/// One thing that a caller may do (IoT Hub article "Control access", permissions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Read identities.
    RegistryRead = 1,
    /// Create, change and delete identities.
    RegistryWrite = 2,
    /// Use the service's endpoints: events, commands, statistics.
    ServiceConnect = 4,
    /// Send and receive as a device.
    DeviceConnect = 8,
}

/// A named set of rights.
#[derive(Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, as in `SharedAccessKeyName`.
    pub name: &'static str,
    rights: u8,
}

/// The policies that every new hub has.
pub const POLICIES: [Policy; 5] = [
    Policy::new(
        "iothubowner",
        &[
            Right::RegistryRead,
            Right::RegistryWrite,
            Right::ServiceConnect,
            Right::DeviceConnect,
        ],
    ),
    Policy::new("service", &[Right::ServiceConnect]),
    Policy::new("device", &[Right::DeviceConnect]),
    Policy::new("registryRead", &[Right::RegistryRead]),
    Policy::new(
        "registryReadWrite",
        &[Right::RegistryRead, Right::RegistryWrite],
    ),
];

/// The policies of a hub and their key.
#[derive(Clone, Debug)]
pub struct Policies {
    /// The key of every policy.
    pub key: SymmetricKey,
}

impl Policy {
    const fn new(name: &'static str, granted: &[Right]) -> Self {
        let mut rights = 0;
        let mut rest = granted;
        while let [first, others @ ..] = rest {
            rights |= *first as u8;
            rest = others;
        }
        Self { name, rights }
    }

    /// Whether it includes `right`.
    pub fn allows(&self, right: Right) -> bool {
        self.rights & right as u8 != 0
    }
}

impl Policies {
    /// The policy of that name, compared without case.
    pub fn find(&self, name: &str) -> Option<&'static Policy> {
        POLICIES
            .iter()
            .find(|policy| policy.name.eq_ignore_ascii_case(name))
    }
}
