//! Every bound of this crate. Units are in the names.

/// Bytes read from a socket at once.
pub const READ_CHUNK_BYTES: usize = 64 * 1_024;
/// Bytes read in one wake-up before other tasks get a turn.
pub const READ_BUDGET_BYTES: usize = 512 * 1_024;
/// Commands taken in one wake-up before other tasks get a turn.
pub const COMMAND_BUDGET: usize = 1_024;
/// Pending connections of a listener; the kernel may cap it (`net.core.somaxconn`).
pub const LISTEN_BACKLOG: i32 = 4_096;
/// Name look-up, TCP and TLS handshake of one attempt to connect.
pub const CONNECT_TIMEOUT_MS: u64 = 20_000;
/// Unacknowledged data older than this ends a TCP connection (`TCP_USER_TIMEOUT`).
pub const TCP_USER_TIMEOUT_MS: u64 = 60_000;
/// A finished connection has this long to write what is left.
pub const LINGER_MS: u64 = 5_000;
