//! The server's end of an MQTT 3.1.1 connection as a value, and the topics of Azure IoT Hub and its provisioning service.
//!
//! * [`server`]: bytes in, events and bytes out. It knows no socket and no clock.
//! * [`topic`]: what a topic of IoT Hub or DPS means.
//! * [`subscriptions`]: what a device gets.
//! * [`property_bag`]: the properties of a message, as a topic carries them.
//! * [`user_name`]: whom a CONNECT is for.
//! * [`limits`]: every limit.
//!
//! Packets and the rules for their order are those of `mqtt-protocol-core`; its types do not leave this crate.

pub mod limits;
pub mod property_bag;
pub mod server;
pub mod subscriptions;
pub mod topic;
pub mod user_name;

pub use server::{Event, Qos, Server, ServerError};
pub use subscriptions::{HubTopic, Subscriptions};
