//! Every bound of this crate. Units are in the names.

/// Smallest `max-frame-size` a peer may announce (specification 2.4.1).
pub const MIN_MAX_FRAME_BYTES: u32 = 512;
/// The `max-frame-size` that we announce; official .NET clients and IoT Hub use the same.
pub const MAX_FRAME_BYTES: u32 = 65_536;
/// Values nested deeper than this are refused.
pub const MAX_DEPTH: usize = 32;
/// Longest delivery tag (specification 2.8.7).
pub const MAX_DELIVERY_TAG_BYTES: usize = 32;
/// Most characters of a link name, container id or symbol that we keep.
pub const MAX_NAME_BYTES: usize = 1_024;
/// The `channel-max` that we announce: one session per device, as the official .NET client has it.
pub const CHANNEL_MAX: u16 = 8_191;
/// The `handle-max` that we announce: the C client puts all links of all its devices on one session.
pub const HANDLE_MAX: u32 = 65_535;
/// Links on one connection, over all sessions.
pub const MAX_LINKS: usize = 65_536;
/// The `incoming-window` of a session, in transfers.
pub const INCOMING_WINDOW: u32 = 5_000;
/// The `idle-time-out` that we announce: what IoT Hub announces.
pub const IDLE_TIME_OUT_MS: u32 = 240_000;
/// A peer must have opened, or answered our close, within this time.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 30_000;
/// Transfers wait in their sessions while this much is waiting to be written.
pub const OUTPUT_SOFT_BYTES: usize = 128 * 1_024;
/// More than this waiting to be written means that the peer does not read.
pub const OUTPUT_HARD_BYTES: usize = 8 * 1_024 * 1_024;
/// An embedder keeps further messages of a session while this much of it is waiting, so that it can take them back.
pub const SESSION_QUEUE_BYTES: usize = 32 * 1_024;
/// Bytes of messages that wait for a session window or for room to write, per connection.
pub const MAX_QUEUED_BYTES: usize = 32 * 1_024 * 1_024;
/// Largest message that a receiver takes when its link names no limit.
pub const MAX_MESSAGE_BYTES: u64 = 1_024 * 1_024;
/// A peer's idle time-out below this is served as if it were this: one heartbeat every 50 ms at most.
pub const MIN_PEER_IDLE_TIME_OUT_MS: u32 = 100;
/// Frames of a connection that are noted on request.
pub const TRACED_FRAMES: usize = 256;
/// Characters of the name and fields of one such frame.
pub const TRACED_CHARS: usize = 300;
