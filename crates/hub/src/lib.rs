//! The Azure IoT Hub and DPS contract as pure values.
//!
//! * [`ids`]: device, module, host and registration names, checked once.
//! * [`key`], [`sas`], [`connection_string`]: credentials and their signatures.
//! * [`address`]: the meaning of AMQP link addresses, in the spelling of any client.
//! * [`storage`]: accounts and blob signatures of Azure Storage, to which devices upload files.
//! * [`fleet_keys`]: the keys with which a fleet of devices connects.
//! * [`subscription`]: the kinds of events that callers subscribe to.
//! * [`session`]: a device's session at its hub while it is connected.
//! * [`c2d`]: the cloud-to-device message.
//! * [`telemetry`]: the device-to-cloud message.
//! * [`error_code`], [`error_body`]: the hub's refusals, written by the emulator and read by the client.
//! * [`failure`]: the meaning of a refusal for a device connection, and the remedy.
//! * [`status`], [`cause`]: the public words for the state of a device connection, and for why it changed.
//! * [`limits`]: quotas, throttles and sizes.
//! * [`text`]: byte order marks and encodings of text from outside.
//! * [`time`]: the one format of times on the wire.
//!
//! The crate has no sockets, clocks, random sources or async runtime.

pub mod address;
pub mod c2d;
pub mod cause;
pub mod connection_string;
pub mod error_body;
pub mod error_code;
pub mod failure;
pub mod fleet_keys;
pub mod ids;
pub mod key;
pub mod limits;
pub mod sas;
pub mod session;
pub mod status;
pub mod storage;
pub mod subscription;
pub mod telemetry;
pub mod text;
pub mod time;

mod percent_encoding;

pub use address::Address;
pub use c2d::{C2dMessage, Outcome};
pub use cause::ConnectionCause;
pub use connection_string::{
    CertifiedConnectionString, DeviceConnectionString, EventHubConnectionString,
    HubConnectionString,
};
pub use error_code::ErrorCode;
pub use failure::{Failure, FailureKind, Remedy};
pub use fleet_keys::{
    CertifiedDevice, CredentialKind, KeyPair, Keys, ListedDevice, PemCertificate,
};
pub use ids::{DeviceId, HostName, InvalidDeviceId, InvalidId, ModuleId, RegistrationId};
pub use key::SymmetricKey;
pub use session::{AttemptId, ConnectionKey, Link, Links, Receive, Wants, WhichKey};
pub use status::{ConnectionStatus, ConnectionStatusReason};
pub use subscription::SubscriptionType;
pub use telemetry::Telemetry;
pub use time::UtcTime;
