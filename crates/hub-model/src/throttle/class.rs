//! The classes of operations that have rates of their own.

use std::fmt;
use std::str::FromStr;

use drawspan_hub::limits::{
    DPS_OPERATIONS_PER_MINUTE, DPS_POLLS_PER_PERIOD, DPS_POLLS_PERIOD_S, HubSize, Rate,
};

/// A class of operations. Each has one burst and one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationClass {
    /// New connections of devices and modules. One counts when its credentials, and over AMQP its first link, are accepted.
    Connects,
    /// Messages of devices and modules.
    D2c,
    /// Messages of services to devices.
    C2dSends,
    /// Messages that devices take over HTTPS.
    C2dReceives,
    /// Reads and changes of the registry, of which each identity counts.
    Registry,
    /// Reads of twins, by devices and by services.
    TwinReads,
    /// Changes of twins, by devices and by services.
    TwinUpdates,
    /// Method calls, in blocks of 4 KB of their request.
    Methods,
    /// Queries over twins.
    Queries,
    /// Beginnings of file uploads.
    Uploads,
    /// Operations on jobs.
    Jobs,
    /// What jobs do to single devices.
    JobDevices,
    /// Operations on automatic configurations.
    Configurations,
    /// Registrations at the provisioning service.
    DpsRegistrations,
    /// Registrations and look-ups at the provisioning service, together.
    DpsOperations,
    /// Polls of the provisioning service, of each device by itself.
    DpsPolls,
}

/// A name that no class has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a class of operations; the classes are {}", names())]
pub struct UnknownClass {
    /// The name.
    pub name: String,
}

impl OperationClass {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All classes, in the order of their declaration.
    pub const ALL: [Self; 16] = [
        Self::Connects,
        Self::D2c,
        Self::C2dSends,
        Self::C2dReceives,
        Self::Registry,
        Self::TwinReads,
        Self::TwinUpdates,
        Self::Methods,
        Self::Queries,
        Self::Uploads,
        Self::Jobs,
        Self::JobDevices,
        Self::Configurations,
        Self::DpsRegistrations,
        Self::DpsOperations,
        Self::DpsPolls,
    ];

    /// Its name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::D2c => "d2c",
            Self::C2dSends => "c2d-sends",
            Self::C2dReceives => "c2d-receives",
            Self::Registry => "registry",
            Self::TwinReads => "twin-reads",
            Self::TwinUpdates => "twin-updates",
            Self::Methods => "methods",
            Self::Queries => "queries",
            Self::Uploads => "uploads",
            Self::Jobs => "jobs",
            Self::JobDevices => "job-devices",
            Self::Configurations => "configurations",
            Self::DpsRegistrations => "dps-registrations",
            Self::DpsOperations => "dps-operations",
            Self::DpsPolls => "dps-polls",
        }
    }

    /// Its rate at a hub of this size. That of the provisioning service does not depend on the size.
    pub const fn rate_of(self, size: HubSize) -> Rate {
        match self {
            Self::Connects => size.connections(),
            Self::D2c => size.d2c_sends(),
            Self::C2dSends => size.c2d_sends(),
            Self::C2dReceives => size.c2d_receives(),
            Self::Registry => size.registry_operations(),
            Self::TwinReads => size.twin_reads(),
            Self::TwinUpdates => size.twin_updates(),
            Self::Methods => size.method_blocks(),
            Self::Queries => size.queries(),
            Self::Uploads => size.uploads(),
            Self::Jobs => size.job_operations(),
            Self::JobDevices => size.job_device_operations(),
            Self::Configurations => size.configuration_operations(),
            Self::DpsRegistrations | Self::DpsOperations => {
                Rate::per_minute(DPS_OPERATIONS_PER_MINUTE)
            }
            Self::DpsPolls => Rate::per_minute(DPS_POLLS_PER_PERIOD * 60 / DPS_POLLS_PERIOD_S),
        }
    }

    /// Whether basic tiers lack it.
    pub const fn is_standard_only(self) -> bool {
        matches!(
            self,
            Self::C2dSends
                | Self::C2dReceives
                | Self::TwinReads
                | Self::TwinUpdates
                | Self::Methods
                | Self::Jobs
                | Self::JobDevices
                | Self::Configurations
        )
    }

    /// Whether it counts as messages of the daily quota (Azure article "Azure IoT Hub pricing").
    pub const fn is_metered(self) -> bool {
        matches!(
            self,
            Self::D2c
                | Self::C2dSends
                | Self::TwinReads
                | Self::TwinUpdates
                | Self::Methods
                | Self::Queries
                | Self::Uploads
                | Self::JobDevices
        )
    }

    /// Whether it is one of the provisioning service.
    pub const fn is_of_dps(self) -> bool {
        matches!(
            self,
            Self::DpsRegistrations | Self::DpsOperations | Self::DpsPolls
        )
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for OperationClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for OperationClass {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        let found = Self::ALL.iter().find(|class| class.name() == text);
        found.copied().ok_or_else(|| UnknownClass {
            name: text.to_owned(),
        })
    }
}

fn names() -> String {
    OperationClass::ALL.map(OperationClass::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_belong_to_the_classes() {
        for (at, class) in OperationClass::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), at);
            assert_eq!(class.name().parse(), Ok(class));
        }
        let error = "telemetry".parse::<OperationClass>().unwrap_err();
        assert!(error.to_string().contains("d2c, c2d-sends"), "{error}");
    }
}
