//! The hub as a value: identity registry, twins, policies, who may do what, consumer groups, messages to devices; and the
//! provisioning service.
//!
//! Nothing in here knows a clock, a random source, a file or a socket: time and fresh names come in as arguments.

pub mod access;
pub mod c2d;
pub mod device;
pub mod dps;
pub mod groups;
pub mod policy;
pub mod registry;
#[cfg(test)]
mod tests;
pub mod twin;
pub mod twins;
