//! What a fault is: which operations of whom fail, and how.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use drawspan_hub::{DeviceId, ErrorCode, HostName, InvalidDeviceId};
use drawspan_hub_model::client_id::ClientId;

/// A fault that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Operations are refused.
    Refuse {
        /// Which.
        operation: Operation,
        /// Whose.
        scope: Scope,
        /// The hub's code.
        code: ErrorCode,
        /// The share of them, in percent: 1 to 100.
        share: u8,
    },
    /// Operations are answered later.
    Slow {
        /// Which: one that [can be slow](Operation::can_be_slow).
        operation: Operation,
        /// Whose.
        scope: Scope,
        /// How much later.
        delay: Duration,
    },
    /// Nothing is accepted from these clients: windows of their AMQP sessions are shut, their MQTT connections are not read.
    Stall(Scope),
}

/// What can be refused or slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A device or module connects: the first link on an AMQP connection, CONNECT over MQTT.
    Connects,
    /// Tokens that are renewed over AMQP.
    Renewals,
    /// Messages of devices.
    D2c,
    /// Requests of devices about their twins, over AMQP and MQTT.
    Twins,
    /// Messages of services to devices.
    C2d,
    /// Method calls of services.
    Methods,
    /// Other REST requests of services: registry, twins, queries.
    Service,
}

/// Whose operations are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those at one hub.
    Hub(HostName),
    /// A device's and its modules', at every hub.
    Device(DeviceId),
    /// One client's, at one hub.
    Client(HostName, ClientId),
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// A name that no fault has.
    #[error("`{0}` is neither renewals=PERCENT% nor stall=DEVICE_ID")]
    Unknown(String),
    /// The share is not a percentage from 1% to 100%.
    #[error("`{0}`: the share of renewals must be 1% to 100%")]
    Share(String),
    /// The device id is invalid.
    #[error("`{text}`: {cause}")]
    Device {
        /// The whole text.
        text: String,
        /// The mistake in the id.
        #[source]
        cause: InvalidDeviceId,
    },
}

impl Operation {
    /// All, in the order of the help.
    pub const ALL: [Self; 7] = [
        Self::Connects,
        Self::Renewals,
        Self::D2c,
        Self::Twins,
        Self::C2d,
        Self::Methods,
        Self::Service,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::Renewals => "renewals",
            Self::D2c => "d2c",
            Self::Twins => "twins",
            Self::C2d => "c2d",
            Self::Methods => "methods",
            Self::Service => "service",
        }
    }

    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whether it can be answered later on request.
    pub const fn can_be_slow(self) -> bool {
        matches!(self, Self::D2c | Self::Methods | Self::Service)
    }

    /// The code by which it is refused unless another one is asked for.
    pub const fn default_code(self) -> ErrorCode {
        match self {
            Self::Connects => ErrorCode::CONNECTION_REJECTED_ON_FAULT_INJECTION,
            Self::Renewals => ErrorCode::SERVER_ERROR,
            _ => ErrorCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Scope {
    /// Whether `client` at `hub` is meant. Who is not known is meant by what means everybody.
    pub fn covers(&self, hub: &HostName, client: Option<&ClientId>) -> bool {
        match (self, client) {
            (Self::All, _) => true,
            (Self::Hub(of), _) => of == hub,
            (Self::Device(device), Some(client)) => client.device == *device,
            (Self::Client(of, one), Some(client)) => of == hub && one == client,
            (Self::Device(_) | Self::Client(..), None) => false,
        }
    }
}

impl Fault {
    /// Whose operations are meant.
    pub const fn scope(&self) -> &Scope {
        match self {
            Self::Refuse { scope, .. } | Self::Slow { scope, .. } | Self::Stall(scope) => scope,
        }
    }

    fn renewals(percent: u8) -> Self {
        let operation = Operation::Renewals;
        Self::Refuse {
            operation,
            scope: Scope::All,
            code: operation.default_code(),
            share: percent,
        }
    }
}

/// As `--fault` has it: `renewals=PERCENT%` or `stall=DEVICE_ID`.
impl FromStr for Fault {
    type Err = InvalidFault;

    fn from_str(text: &str) -> Result<Self, InvalidFault> {
        match text.split_once('=') {
            Some(("renewals", share)) => {
                let percent = share
                    .strip_suffix('%')
                    .and_then(|digits| digits.parse().ok());
                percent
                    .filter(|percent| (1..=100).contains(percent))
                    .map(Self::renewals)
                    .ok_or_else(|| InvalidFault::Share(text.to_owned()))
            }
            Some(("stall", id)) => match DeviceId::parse(id) {
                Ok(device) => Ok(Self::Stall(Scope::Device(device))),
                Err(cause) => Err(InvalidFault::Device {
                    text: text.to_owned(),
                    cause,
                }),
            },
            _ => Err(InvalidFault::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse {
                operation,
                scope,
                code,
                share,
            } => {
                let name = operation.name();
                write!(f, "refuse {name} of {scope} with {code}")?;
                match share {
                    100 => Ok(()),
                    share => write!(f, ", {share}% of them"),
                }
            }
            Self::Slow {
                operation,
                scope,
                delay,
            } => {
                let (name, ms) = (operation.name(), delay.as_millis());
                write!(f, "slow {name} of {scope} by {ms} ms")
            }
            Self::Stall(scope) => write!(f, "stall {scope}"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Hub(hub) => write!(f, "hub {hub}"),
            Self::Device(device) => write!(f, "device {device}"),
            Self::Client(hub, client) => write!(f, "{} at {hub}", client.described()),
        }
    }
}
