//! Limits of the emulator: its ports, HTTPS and MQTT.

pub use drawspan_emulator_hub::limits::{
    BATCH_MESSAGES_MAX, PUSHES_MAX, READ_PAUSE_MS, REGISTRATION_BODY_BYTES,
    REGISTRATION_REQUESTS_MAX, TOKEN_SWEEP_MAX_MS, TOKEN_SWEEP_MS,
};

/// Partitions of a hub's event endpoint when nothing else is said (the hub's own default).
pub const PARTITIONS: u16 = 4;
/// Most hubs that one emulator serves.
pub const HUBS_MAX: usize = 64;

/// Characters of a host name with its port.
pub const AUTHORITY_CHARS: usize = 260;
/// Body of an HTTPS request: the hub's largest, a bulk call of 100 devices, stays well below.
pub const REQUEST_BODY_BYTES: usize = 1024 * 1024;
/// Body of a device's message over HTTPS, or of a batch of them: 256 KB of what counts, as Base64 in JSON.
pub const HTTPS_BATCH_BYTES: usize = 512 * 1024;
/// Size beyond the limit that is read and discarded of a too large body, so that its sender sees the refusal.
pub const DROPPED_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Head and body of an HTTPS request must have arrived within this time.
pub const REQUEST_READ_MS: u64 = 30_000;

/// Largest body of a request that puts a blob or a block. A blob of many blocks may be larger.
pub const UPLOAD_REQUEST_BYTES: u64 = 256 * 1024 * 1024;
/// What is read and discarded of a file that is refused, so that its sender sees the refusal.
pub const UPLOAD_DROPPED_BYTES: usize = 16 * 1024 * 1024;
/// The next piece of a file must have arrived within this time.
pub const UPLOAD_PIECE_MS: u64 = 30_000;
/// Body of a list of blocks: 50,000 ids.
pub const UPLOAD_LIST_BYTES: usize = 8 * 1024 * 1024;
/// What is read of a file at once.
pub const DOWNLOAD_PIECE_BYTES: usize = 64 * 1024;
/// Blobs on one page of a list (Azure Storage's own limit).
pub const UPLOAD_LIST_PAGE: usize = 5_000;

/// Body of a request to the control API.
pub const CONTROL_BODY_BYTES: usize = 64 * 1024;
/// Longest time of a request of `drawspan emulator ctl`, connecting included.
pub const CONTROL_CALL_MS: u64 = 60_000;
/// Snapshots in one state directory.
pub const SNAPSHOTS_MAX: usize = 32;
/// Characters of a snapshot's name.
pub const SNAPSHOT_NAME_CHARS: usize = 64;
/// Connections, links and the like in one answer of the control API.
pub const CONTROL_ROWS_MAX: usize = 10_000;
/// A connection describes itself within this time, or is left out.
pub const CONTROL_REPORT_MS: u64 = 2_000;
/// Largest answer that `drawspan emulator ctl` takes.
pub const CONTROL_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Life of the token by which `drawspan emulator ctl` asks.
pub const CONTROL_TOKEN_S: u64 = 300;

/// Connections that one listener serves at a time; more wait in the backlog.
pub const CONNECTIONS_MAX: usize = 16_384;
/// A TLS handshake must be over within this time.
pub const HANDSHAKE_MS: u64 = 10_000;
/// Pause after an accept that failed (out of descriptors), before the next.
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// Connections get this long to end by themselves when the emulator stops.
pub const SHUTDOWN_MS: u64 = 3_000;

/// Characters of a method's name.
pub const METHOD_NAME_CHARS: usize = 128;

/// Twins on one page of a query that says nothing about it.
pub const QUERY_PAGE: usize = 100;
/// Text of a query.
pub const QUERY_BYTES: usize = 4 * 1024;
/// New directories that an emulator without state makes until one is its own: another one that starts may take it for one that was left.
pub const TEMPORARY_FOLDER_ATTEMPTS: usize = 8;

/// A packet of an MQTT client: the largest message, with its topic and what encoding adds to it.
pub const MQTT_PACKET_BYTES: u32 = 512 * 1024;
/// An MQTT client must have sent CONNECT within this time.
pub const MQTT_CONNECT_MS: u64 = 30_000;
/// What is read of an MQTT connection at once.
pub const MQTT_READ_BYTES: usize = 16 * 1024;
/// An MQTT client must take what is written to it within this time.
pub const MQTT_WRITE_MS: u64 = 30_000;
/// No more messages are handed out to an MQTT client while so many bytes wait to be written to it.
pub const MQTT_OUTPUT_BYTES: usize = 1024 * 1024;
/// An MQTT connection ends when so many bytes wait to be written to it.
pub const MQTT_OUTPUT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages of an MQTT client that are stored later, because a fault is asked for.
pub const MQTT_SLOWED_MAX: usize = 1_000;
/// Messages that a device has over MQTT without having acknowledged them.
pub const MQTT_MESSAGES_UNACKNOWLEDGED: usize = 50;

/// A file of certificate authorities.
pub const AUTHORITY_FILE_BYTES: u64 = 1024 * 1024;
/// A file of enrollments.
pub const ENROLLMENT_FILE_BYTES: u64 = 256 * 1024 * 1024;
