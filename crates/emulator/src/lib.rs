//! A local Azure IoT Hub that unmodified official SDKs can talk to: library and command.
//!
//! [`Emulator::start`] serves one or more hubs from one process, with its own certificate authority, and returns when all ports
//! accept connections. State is kept in memory or in a directory. [`cli`] is the same as a command.
//!
//! * [`Hub`]: one running hub, as the protocol heads see it; one folder per protocol.
//! * [`Dps`]: the provisioning service in front of the hubs.
//!
//! The hub as a value is in `drawspan-hub-model`, its state on disk in `drawspan-hub-store`, its telemetry log in
//! `drawspan-segment-log`.
//!
//! The crate does not depend on our own device client: official SDKs are the reference.

mod amqps;
mod banner;
mod ca;
pub mod cli;
mod clock;
mod config;
mod device_message;
mod device_range;
mod dps;
mod emulator;
mod faults;
mod https;
mod hub;
mod hub_set;
mod json_place;
pub mod limits;
mod mqtts;
mod observe;
mod random;
mod refusals;
mod server;
mod sessions;
mod start_error;
mod startup;
mod state;
mod stop;
pub mod tail;
#[cfg(test)]
mod test_hub;
mod tracking_id;
mod twin_refusal;

pub use ca::{CA_FILE, CaError};
pub use clock::{Clock, ClockHand};
pub use config::{
    AMQPS_PORT, Config, HTTPS_PORT, HTTPS_PORT_UNPRIVILEGED, MQTTS_PORT, Mistake, Ports,
};
pub use dps::{Dps, Observations};
pub use drawspan_hub_model::dps::{
    ENROLLMENT_GROUP, GroupSpec, ID_SCOPE, InvalidProvisioning, Provisioning,
};
pub use drawspan_hub_store::StoreError;
pub use emulator::{Emulator, Running};
pub use faults::{Fault, InvalidFault};
pub use hub::{ChangeError, Hub};
pub use hub_set::{HubSet, Served};
pub use observe::Observer;
pub use random::NoRandomness;
pub use server::Addresses;
pub use start_error::StartError;
pub use state::StateError;
