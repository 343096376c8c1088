//! A local Azure IoT Hub that unmodified official SDKs can talk to: library and command.

mod ca;
mod clock;
pub mod limits;
pub mod log;
pub mod model;
mod random;
mod store;
