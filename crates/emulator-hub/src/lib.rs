//! A running IoT hub and its provisioning service, whatever protocol a device speaks.
//!
//! [`Hub`] joins the hub as a value (`drawspan-hub-model`), its store and its telemetry log, by a [`Clock`]; [`sessions`] knows one
//! session per device; [`Dps`] registers devices; everything that happens passes through [`observe`]. [`refusals`] is the log by
//! which a user finds out why a client does not get through, [`faults`] what is caused on request, [`connections`] how others reach
//! a client's connection.
//!
//! The protocol heads stand on this crate: AMQP in `drawspan-emulator-amqp`, MQTT and HTTPS in `drawspan-emulator`.

pub mod blobs;
pub mod certificate_chain;
pub mod clock;
pub mod connections;
pub mod device_message;
pub mod dps;
pub mod faults;
pub mod guid;
pub mod hub;
pub mod hub_error;
pub mod hub_set;
pub mod json_place;
pub mod limits;
pub mod message_size;
pub mod observe;
pub mod random;
pub mod reached;
pub mod refusals;
pub mod sessions;
pub mod stop;
pub mod storage;
#[cfg(any(test, feature = "test-hub"))]
pub mod test_hub;
pub mod throttle_text;
pub mod tracking_id;
pub mod twin_refusal;
pub mod waiting;

pub use clock::Clock;
pub use dps::Dps;
pub use hub::Hub;
