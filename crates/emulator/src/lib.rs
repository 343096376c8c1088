//! A local Azure IoT Hub that unmodified official SDKs can talk to: library and command.
//!
//! [`Emulator::start`] serves one or more hubs from one process, with its own certificate authority, and returns when all ports
//! accept connections. State is kept in memory or in a directory. [`cli`] is the same as a command.
//!
//! The hubs and the provisioning service that run behind the ports are in `drawspan-emulator-hub`, the AMQP head is in
//! `drawspan-emulator-amqp`; MQTT and HTTPS are folders of this crate. State on disk is in `drawspan-hub-store`, the telemetry log
//! in `drawspan-segment-log`.
//!
//! The crate does not depend on our own device client: official SDKs are the reference.

mod banner;
mod ca;
mod cert;
pub mod cli;
mod config;
mod control;
mod device_range;
mod emulator;
mod https;
mod lifecycle_args;
mod limit_args;
pub mod limits;
mod mqtts;
mod pictures;
mod retention;
mod server;
mod snapshots;
mod start_error;
mod startup;
mod state;
pub mod tail;
mod x509_args;

pub use ca::{CA_FILE, CaError};
pub use cert::CertError;
pub use config::{
    AMQPS_PORT, Config, HTTPS_PORT, HTTPS_PORT_UNPRIVILEGED, MQTTS_PORT, Mistake, Ports,
};
pub use control::client::NotDone;
pub use control::ctl::CtlError;
pub use drawspan_emulator_hub::clock::{Clock, ClockHand};
pub use drawspan_emulator_hub::dps::{Dps, Observations};
pub use drawspan_emulator_hub::faults::{Fault, InvalidFault};
pub use drawspan_emulator_hub::hub::{ChangeError, Hub};
pub use drawspan_emulator_hub::hub_set::{HubSet, Served};
pub use drawspan_emulator_hub::observe::Observer;
pub use drawspan_emulator_hub::random::NoRandomness;
pub use drawspan_hub_model::device::Authentication;
pub use drawspan_hub_model::dps::{
    Attestation, ENROLLMENT_GROUP, EnrollmentGroup, GroupSpec, ID_SCOPE, InvalidProvisioning,
    Provisioning, Terms,
};
pub use drawspan_hub_model::x509::Certificate;
pub use drawspan_hub_store::StoreError;
pub use emulator::{Emulator, Running};
pub use server::Addresses;
pub use start_error::StartError;
pub use state::StateError;
