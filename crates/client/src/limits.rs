//! Every bound of this crate. Units are in the names.

/// Devices on one connection: the hub allows 1000 tokens, and the official .NET client stops at 995.
pub const DEVICES_PER_CONNECTION: usize = 995;
/// Messages on their way to the hub over one connection, waiting ones included.
pub const SENDS_PER_CONNECTION: usize = 8_192;
/// Messages of one device that wait for the hub's credit.
pub const SENDS_PER_DEVICE: usize = 256;
/// Commands to open and close devices that wait for a connection's task: each device may have one of both.
pub const CONTROL_PER_CONNECTION: usize = 2 * DEVICES_PER_CONNECTION;
/// Life of a token that we sign.
pub const TOKEN_LIFE_S: u64 = 3_600;
/// Share of its life after which a token is renewed, in percent.
pub const TOKEN_RENEWAL_PERCENT: u64 = 85;
/// The hub must answer a put-token within this time.
pub const CBS_TIMEOUT_MS: u64 = 30_000;
/// The hub must take a device's link within this time.
pub const ATTACH_TIMEOUT_MS: u64 = 30_000;
/// How often the deadlines of waiting things are looked at.
pub const SWEEP_INTERVAL_MS: u64 = 250;
/// Silence that we announce as too long; the official .NET client announces the same.
pub const IDLE_TIME_OUT_MS: u32 = 120_000;
/// Port of AMQP over TLS.
pub const AMQPS_PORT: u16 = 5_671;
