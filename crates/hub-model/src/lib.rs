//! An IoT Hub as a value: identity registry, modules, twins, policies, access, certificate authorities, consumer groups,
//! cloud-to-device queues, file uploads and their blobs, rates and quota; the provisioning service in front of hubs; and [`event`], everything
//! that happens there.
//!
//! The crate has no clocks, random sources, files or sockets: time and fresh names are arguments.

pub mod access;
pub mod blobs;
pub mod bulk;
pub mod c2d;
pub mod client_id;
pub mod device;
pub mod dps;
pub mod event;
pub mod groups;
pub mod limits;
pub mod module;
pub mod modules;
pub mod policy;
pub mod registry;
pub mod session_end;
#[cfg(test)]
mod tests;
pub mod throttle;
pub mod token_life;
pub mod twin;
pub mod twins;
pub mod uploads;
pub mod x509;
