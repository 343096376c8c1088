//! An IoT Hub as a value: identity registry, twins, policies, access, consumer groups, cloud-to-device queues; the
//! provisioning service in front of hubs; and [`event`], everything that happens there.
//!
//! Nothing here knows a clock, a random source, a file or a socket: time and fresh names come in as arguments.

pub mod access;
pub mod c2d;
pub mod device;
pub mod dps;
pub mod event;
pub mod groups;
pub mod limits;
pub mod policy;
pub mod registry;
#[cfg(test)]
mod tests;
pub mod twin;
pub mod twins;
