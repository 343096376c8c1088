//! Every bound of this crate that is not a limit of the hub. Units are in the names.

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
/// Devices in a page of their list, when nobody says how many.
pub const LIST_LIMIT: u64 = 100;
/// Most devices in a page.
pub const MAX_LIST_LIMIT: u64 = 1_000;
/// Dead letters in a page of their list, when nobody says how many.
pub const DEAD_LETTER_LIMIT: u64 = 50;
/// The highest number of a dead letter that may be asked for: the highest that every JSON reader keeps exact (RFC 8259 section 6).
pub const MAX_DEAD_LETTER_NUMBER: u64 = 9_007_199_254_740_991;
/// Longest path of a member that an error in JSON names.
pub const MAX_SHOWN_MEMBER_BYTES: usize = 80;
/// Most dead letters in a page: each may have half a megabyte.
pub const MAX_DEAD_LETTER_LIMIT: u64 = 100;
/// How long `dead-letters` waits for one answer.
pub const DEAD_LETTER_CALL_S: u64 = 60;
/// How often it comes again when the bridge has too much to do.
pub const DEAD_LETTER_TRIES: u32 = 10;
/// How long it waits before that, whatever the bridge says.
pub const MAX_DEAD_LETTER_PAUSE_S: u64 = 60;
/// How long the hub waits for the outcome of a message whose dead letter is being written; after that it hears nothing.
pub const LETTER_WRITE_TIMEOUT_MS: u64 = 5_000;
/// Largest page that it reads: [`MAX_DEAD_LETTER_LIMIT`] of the largest that are stored, with what is told about them.
pub const MAX_DEAD_LETTER_PAGE_BYTES: usize = 64 * 1_048_576;
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
/// The time from the first signal to the end of the process.
pub const STOP_TIMEOUT_MS: u64 = 10_000;
/// While stopping, the server ends once no request has come for so long on connections that are kept.
pub const STOP_QUIET_MS: u64 = 1_000;
/// How often it is looked whether that is so.
pub const STOP_LOOK_MS: u64 = 20;
/// How long before the end requests under way are answered 503, so that there is time to write it.
pub const STOP_FLUSH_MS: u64 = 1_000;
/// How long a page of metrics waits for the shell's figures; without them it is answered without.
pub const MEASURE_TIMEOUT_S: u64 = 2;
/// What `Retry-After` says when nobody knows better.
pub const RETRY_AFTER_S: u64 = 5;

/// Largest export that is imported: a million rows.
pub const MAX_IMPORT_FILE_BYTES: u64 = 1_073_741_824;
/// Rows that are imported before it is waited for that they are written.
pub const IMPORT_BATCH: usize = 1_024;
/// Origins of imported callbacks that are told at the start.
pub const MAX_IMPORTED_ORIGINS_TOLD: usize = 50;
/// Rows of an export that cannot be used and are told one by one.
pub const MAX_BAD_ROWS_TOLD: usize = 50;
/// Random bytes of an API key that we make.
pub const API_KEY_BYTES: usize = 32;

/// Lines of what devices received that wait for the terminal of `drawspan dev`; of more, some are not shown.
pub const DEV_LINES: usize = 1_024;
/// Connections to the receiver of `drawspan dev`.
pub const DEV_RECEIVER_CONNECTIONS: usize = 256;
/// How long `drawspan dev` tries to connect its sample devices.
pub const DEV_CONNECT_S: u64 = 30;
/// Largest file that says how `drawspan hub` gets to its hub.
pub const MAX_ACCESS_FILE_BYTES: u64 = 65_536;
/// Hubs that `config check --online` looks at, of those that devices are listed with.
pub const ONLINE_HUBS: usize = 8;
/// How long it waits for a device that it was told to register.
pub const ONLINE_REGISTRATION_S: u64 = 30;
/// How long each look of `config check --online` may take, and the question after the time of a peer.
pub const PROBE_TIMEOUT_MS: u64 = 4_000;
/// How long `drawspan hub` waits for a hub to take a message.
pub const HUB_SEND_S: u64 = 30;
/// How long a hub waits for a device that is not connected, when `drawspan hub invoke` is not told otherwise.
pub const INVOKE_CONNECT_S: u32 = 10;
/// Characters of a message's body that are shown on one line.
pub const SHOWN_BODY_CHARS: usize = 160;
/// Characters of a property that are shown.
pub const SHOWN_PROPERTY_CHARS: usize = 60;

/// What a load connection waits for an answer, beyond the server's own deadline.
pub const LOAD_GRACE_S: u64 = 1;
/// Load connections being opened at the same time.
pub const MAX_OPENING_LOAD_CONNECTIONS: usize = 128;
/// Finished requests waiting to be written to the ledger.
pub const LEDGER_QUEUE: usize = 65_536;
/// Largest answer body a load connection reads before it gives the connection up.
pub const MAX_ANSWER_BYTES: usize = 65_536;
/// Largest page of the list of devices that a load reads.
pub const MAX_LIST_PAGE_BYTES: usize = 2 * 1_048_576;
/// HTTP connections over which a load subscribes devices.
pub const SUBSCRIBING_CONNECTIONS: usize = 64;
/// Subscriptions of which a load asks each whether it is in effect; of more, it asks so many, spread over all.
pub const SUBSCRIPTIONS_ASKED: usize = 2_000;
/// Messages, and calls, to devices of one of a load's receivers that may be under way at once.
pub const LOAD_DOWNLINKS_UNDER_WAY: usize = 512;
/// Largest event that a load's receiver reads.
pub const MAX_EVENT_BYTES: usize = 1_048_576;

/// Longest time that a request may wait for its turn at a hub whose pace is known.
pub const QUEUE_PATIENCE_S: u64 = 10;
/// Requests of one device that may wait for their turn at its hub.
pub const QUEUED_PER_DEVICE: u32 = 64;
/// How long it may take to find out what a device is waiting for, once its caller's time is up.
pub const DELAY_TIMEOUT_MS: u64 = 500;
/// So many requests in a row that ran out of time are worth a word in `/readyz`.
pub const REQUESTS_IN_VAIN: u32 = 10;
/// Requests on their way to the shard.
pub const SHARD_QUEUE: usize = 16_384;
/// Requests that the shard takes before it looks at the clock and the news.
pub const SHARD_BATCH: usize = 256;

/// The hub sends a message within this time if it has one.
pub const PULL_GRACE_MS: u64 = 1_000;
/// Requests that wait for messages, of all devices.
pub const PULLS: usize = 10_000;
/// Devices that one request for a list looks at.
pub const LISTED_AT_ONCE: usize = 1_000;
