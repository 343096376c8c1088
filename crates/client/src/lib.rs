//! Device client for Azure IoT Hub: many device identities over few multiplexed AMQP connections.
//!
//! * [`HubConnection`]: one AMQP connection in one task. Devices are opened on it, each with a session of its own; it
//!   tells what happens to them through a [`StatusMailbox`], and what they receive through an [`Inbox`]. It never retries:
//!   whoever opened a device decides.
//! * [`DeviceClient`]: one device on its own connection, for programs that are a single device.
//! * [`Credentials`]: the keys that sign tokens, which can be replaced at any time.
//! * [`dps`]: registration, which assigns a device its hub.
//! * [`service`]: the other side of the hub: messages and direct methods to devices, twins, telemetry.
//! * [`probe`]: checks whether a hub is reachable and accepts a token.
//! * [`encode`](message::encode): a telemetry message as the hub's own clients write it.

pub mod clock_skew;
mod connection;
pub mod credentials;
mod device_client;
mod downlink;
pub mod dps;
mod https;
mod inbox;
pub mod limits;
pub mod message;
pub mod probe;
pub mod service;
mod session;
mod status;

pub use connection::{
    C2dOutcome, ConnectionConfig, HubConnection, MethodAnswer, Open, Send, SendFailure, TwinAnswer,
    TwinOperation, TwinRequest,
};
pub use credentials::{Credentials, KeyPair, Keys, ListedDevice};
pub use device_client::{
    DeviceClient, DeviceEvent, DeviceEvents, DeviceOptions, MethodCall, ReceivedMessage,
};
pub use downlink::{C2dDelivery, Incoming, MethodRequestId};
pub use inbox::{HeldBytes, Inbox};
pub use session::DeviceSession;
pub use status::{Status, StatusMailbox};
