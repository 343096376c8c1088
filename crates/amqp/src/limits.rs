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
