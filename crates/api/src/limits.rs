//! Every bound of this crate. Units are in the names.

/// Largest HTTP request body that is read. A message of the hub's 262,144 bytes fits with its envelope, escapes and white space.
pub const MAX_BODY_BYTES: usize = 524_288;
/// Largest body of a batch.
pub const MAX_BATCH_BYTES: usize = 4 * 1_048_576;
/// Messages in a batch.
pub const MAX_BATCH_ITEMS: usize = 500;
/// Devices of a batch that are served at the same time.
pub const BATCH_DEVICES_AT_ONCE: usize = 64;
/// Longest `Idempotency-Key`.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;
/// Keys of requests that are under way at the same time. One costs about 150 bytes.
pub const MAX_IDEMPOTENT_UNDER_WAY: usize = 10_000;
/// How long a key is remembered.
pub const IDEMPOTENCY_LIFE_S: u64 = drawspan_store::limits::IDEMPOTENCY_LIFE_S;
/// Keys remembered without a state directory; the oldest go first. One costs about 150 bytes.
pub const MAX_IDEMPOTENCY_KEYS_IN_MEMORY: usize = 100_000;
/// Bytes of bodies that came in more than one piece and are not done with, of all connections together.
pub const MAX_BODIES_BYTES: usize = 256 * 1_048_576;
/// In such steps they are accounted for.
pub const BODIES_STEP_BYTES: usize = 65_536;
/// Longest time that a device may wait for a message.
pub const MAX_RECEIVE_WAIT_S: u64 = 60;
/// Default number of devices in a page of the list.
pub const LIST_LIMIT: u64 = 100;
/// Most devices in a page.
pub const MAX_LIST_LIMIT: u64 = 1_000;
/// Default number of devices in a report of what was used today.
pub const USAGE_LIMIT: u64 = 20;
/// Most devices in such a report.
pub const MAX_USAGE_LIMIT: u64 = 1_000;
/// Default number of dead letters in a page of the list.
pub const DEAD_LETTER_LIMIT: u64 = 50;
/// The highest number of a dead letter that may be asked for: the highest that every JSON reader keeps exact (RFC 8259 section 6).
pub const MAX_DEAD_LETTER_NUMBER: u64 = 9_007_199_254_740_991;
/// Listeners to changes of connections, …
pub const MAX_LISTENERS: usize = 64;
/// … and those of them with one API key.
pub const MAX_LISTENERS_PER_KEY: usize = 32;
/// A listener that hears nothing for so long gets a comment, so that nothing on the way takes its connection for idle.
pub const LISTENER_HEARTBEAT_MS: u64 = 15_000;
/// After so long a listener that was cut off should come back.
pub const LISTENER_RETRY_MS: u64 = 2_000;
/// Changes that a listener is sent at once.
pub const STREAM_CHANGES_AT_ONCE: usize = 64;
/// Longest path of a member that an error in JSON names.
pub const MAX_SHOWN_MEMBER_BYTES: usize = 80;
/// Most dead letters in a page: each may have half a megabyte.
pub const MAX_DEAD_LETTER_LIMIT: u64 = 100;
/// How much of a body that will not be used is still read, so that its sender sees our answer instead of a reset.
pub const MAX_DISCARDED_BODY_BYTES: usize = 8 * 1_048_576;
/// How long such a body is read at most.
pub const DISCARD_TIMEOUT_MS: u64 = 2_000;
/// Longest request path, query included.
pub const MAX_URI_BYTES: usize = 4_096;
/// Request line and headers together, to their empty line; beyond it hyper answers 431. (hyper itself takes 100 headers.)
pub const MAX_HEAD_BYTES: usize = 65_536;
/// How long a connection may take to send a request's head; also how long it may stay idle.
pub const HEAD_TIMEOUT_MS: u64 = 60_000;
/// How long a caller may take to hang up once its connection ends.
pub const FAREWELL_MS: u64 = 1_000;
/// How long what a caller goes on sending after its answer is read and thrown away, …
pub const LINGER_MS: u64 = 5_000;
/// … and how much of it.
pub const LINGER_BYTES: usize = 128 * 1_048_576;
/// How much of that is read at once.
pub const LINGER_READ_BYTES: usize = 65_536;
/// How often it is looked for connections on which nothing moves.
pub const UPKEEP_MS: u64 = 5_000;
/// TLS handshakes under way at the same time; for another the idlest of them ends. One costs about 40 KB.
pub const MAX_TLS_HANDSHAKES: usize = 4_096;
/// How long a TLS handshake may take.
pub const TLS_HANDSHAKE_TIMEOUT_MS: u64 = 10_000;
/// How often the files of the listener's certificate are looked at.
pub const TLS_WATCH_INTERVAL_MS: u64 = 5_000;
/// Connections the kernel completes ahead of us. A short queue stalls a burst of callers for seconds.
pub const LISTEN_BACKLOG: i32 = 4_096;
/// Pause after the system had no socket to give.
pub const ACCEPT_PAUSE_MS: u64 = 100;
/// While stopping, the server ends once no request has come for so long on connections that are kept.
pub const STOP_QUIET_MS: u64 = 1_000;
/// How often it is looked whether that is so.
pub const STOP_LOOK_MS: u64 = 20;
/// How long before the end requests under way are answered 503, so that there is time to write it.
pub const STOP_FLUSH_MS: u64 = 1_000;
