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
/// TCP handshake with one address: enough for three SYN packets.
pub const TCP_CONNECT_TIMEOUT_MS: u64 = 4_000;
/// Unacknowledged data older than this ends a TCP connection (`TCP_USER_TIMEOUT`).
pub const TCP_USER_TIMEOUT_MS: u64 = 60_000;
/// A finished connection has this long to write what is left.
pub const LINGER_MS: u64 = 5_000;
/// Head of a proxy's answer.
pub const PROXY_HEAD_BYTES: usize = 16 * 1_024;
/// Maximum length of a proxy's reason for refusing.
pub const PROXY_REASON_CHARS: usize = 100;
/// A WebSocket message that is written is cut at the last AMQP frame that ends before this; a longer frame goes alone.
pub const WEBSOCKET_MESSAGE_BYTES: usize = 64 * 1_024;
/// A WebSocket message that is read may be so long; a longer one ends the connection.
pub const WEBSOCKET_MESSAGE_MAX_BYTES: usize = 1_024 * 1_024;
/// Bytes that are read from a WebSocket's stream at once.
pub const WEBSOCKET_READ_BYTES: usize = 16 * 1_024;
/// A WebSocket gathers so much before it writes unasked.
pub const WEBSOCKET_WRITE_BYTES: usize = 64 * 1_024;
/// An HTTP connection takes no new request after this time, since names may mean other addresses.
pub const HTTP_CONNECTION_LIFE_MS: u64 = 60_000;
/// Head of an answer over HTTP.
pub const HTTP_HEAD_BYTES: usize = 64 * 1_024;
/// Longest common name of a certificate (RFC 5280, appendix A: `ub-common-name`).
pub const MAX_COMMON_NAME_CHARS: usize = 64;
