//! Sizes, quotas and throttles of IoT Hub and DPS.
//!
//! Sources: Azure articles "IoT Hub quotas and throttling", "IoT Hub and DPS limits", "understand device identities";
//! where Microsoft publishes nothing, what the official SDKs assume.

mod size;

pub use size::{HubSize, InvalidSize, InvalidUnits, Rate, Sku};

/// Characters of a device or module id.
pub const DEVICE_ID_MAX_CHARS: usize = 128;
/// Characters of a DPS registration id.
pub const REGISTRATION_ID_MAX_CHARS: usize = 128;
/// Characters of a DNS name (RFC 1035).
pub const HOST_NAME_MAX_CHARS: usize = 253;
/// Characters of a link address; the longest legal one is a module's, percent-encoded, with its host.
pub const ADDRESS_MAX_CHARS: usize = 2048;
/// Characters of a connection string.
pub const CONNECTION_STRING_MAX_CHARS: usize = 4096;
/// Query of a request that carries the signature of a blob.
pub const BLOB_SIGNATURE_MAX_CHARS: usize = 4096;
/// Characters of a SAS token.
pub const TOKEN_MAX_CHARS: usize = 4096;
/// Characters of a time: date, time, 16 digits of a second and an offset, the longest that .NET's `System.Text.Json` takes.
pub const TIME_MAX_CHARS: usize = 42;

/// Bytes of the shortest symmetric key.
pub const KEY_MIN_BYTES: usize = 16;
/// Bytes of the longest symmetric key.
pub const KEY_MAX_BYTES: usize = 64;

/// How long after its expiry a token is still taken, for clocks that differ.
pub const SAS_GRACE_S: u64 = 300;
/// How long after its expiry a token still holds a connection that stands (Azure/azure-iot-sdk-csharp #564, #565).
pub const SAS_CONNECTED_GRACE_S: u64 = 600;

/// A device-to-cloud message: body, system values, and names and values of the application properties.
pub const D2C_MESSAGE_MAX_BYTES: usize = 262_144;
/// Messages in one device-to-cloud batch; the batch as a whole has the size of one message at most.
pub const D2C_BATCH_MAX_MESSAGES: usize = 500;
/// A cloud-to-device message.
pub const C2D_MESSAGE_MAX_BYTES: usize = 65_536;
/// Cloud-to-device messages waiting for one device.
pub const C2D_QUEUE_MAX_MESSAGES: usize = 50;
/// How long a cloud-to-device message stays locked for its receiver.
pub const C2D_LOCK_S: u64 = 60;

/// Identities whose tokens one AMQP connection over TCP takes.
pub const CBS_TOKENS_PER_CONNECTION: usize = 1000;
/// Of these, how many the official clients use; the rest is room for changes under way.
pub const DEVICES_PER_CONNECTION: usize = 995;
/// The same for AMQP over WebSocket.
pub const DEVICES_PER_WEBSOCKET: usize = 495;

/// The least wait after a throttling refusal that names no time.
pub const THROTTLED_WAIT_MIN_S: u32 = 10;

/// The payload of a method call counts in blocks of this size.
pub const METHOD_BLOCK_BYTES: usize = 4096;
/// Registrations, and operations of any kind, that a provisioning service takes in a minute.
pub const DPS_OPERATIONS_PER_MINUTE: u64 = 1_000;
/// Polls of one device that a provisioning service takes in [`DPS_POLLS_PERIOD_S`].
pub const DPS_POLLS_PER_PERIOD: u64 = 5;
/// Seconds in which polls of one device are counted.
pub const DPS_POLLS_PERIOD_S: u64 = 10;

/// Characters kept of what a hub says about a failure.
pub const FAILURE_MESSAGE_MAX_CHARS: usize = 256;
/// Characters kept of an AMQP condition that a hub names.
pub const CONDITION_MAX_CHARS: usize = 64;
/// How far a device's clock may be off before the hub refuses its tokens, in seconds (Azure article "troubleshoot IoT Hub error
/// codes", 401003).
pub const CLOCK_TOLERANCE_S: u64 = 300;
