//! Every limit of the hub as a value, in one place.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::token_life::SasGrace;

/// The limits of a hub that a hub's tier, or a test, may want to be others. The default is what Microsoft documents
/// (articles "IoT Hub quotas and throttling" and those of each feature), or what was seen of real hubs where it documents
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Devices of a hub, and their modules, together.
    pub devices: usize,
    /// Modules of one device.
    pub modules: usize,
    /// Consumer groups of the event endpoint, `$Default` included.
    pub consumer_groups: usize,
    /// Readers without epoch that share a partition in one consumer group (Event Hubs' limit).
    pub readers_per_partition: usize,
    /// Device tokens on one AMQP connection.
    pub tokens_per_connection: usize,
    /// Device tokens on one AMQP connection in a WebSocket (the official Java client stops there, saying that the hub does).
    pub tokens_per_websocket: usize,
    /// A telemetry message: body, values of system properties, names and values of the sender's.
    pub telemetry_message_bytes: u64,
    /// Payload of a method call, and of its answer.
    pub method_payload_bytes: usize,
    /// Calls that one device may have to answer at a time (403800; the hub's own number is not published).
    pub methods_in_flight: usize,
    /// How long a caller may want to wait for a device to connect, seconds.
    pub method_connect_max_s: u64,
    /// How long a caller may want to wait for a method's answer, seconds.
    pub method_response_s: RangeInclusive<u64>,
    /// How long a caller waits for a method's answer that says nothing about it, seconds.
    pub method_response_default_s: u64,
    /// Messages that wait for one device.
    pub c2d_depth: usize,
    /// A message to a device.
    pub c2d_message_bytes: u64,
    /// How long any message to a device waits.
    pub c2d_ttl_max_ms: u64,
    /// File uploads that one device may have under way (403006).
    pub uploads_per_device: usize,
    /// Bytes of uploaded files that a hub keeps, and of such as are being uploaded.
    pub blob_bytes: u64,
    /// Devices of one bulk registry call.
    pub bulk_devices: usize,
    /// Devices of one list call, and what a call gets that names no number.
    pub list_devices: usize,
    /// Twins on one page of a query.
    pub query_page: usize,
    /// What a token has beyond its expiry.
    pub sas_grace: SasGrace,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            devices: DEVICES_MAX,
            modules: 50,
            consumer_groups: 20,
            readers_per_partition: 5,
            tokens_per_connection: 1_000,
            tokens_per_websocket: 500,
            telemetry_message_bytes: 256 * 1024,
            method_payload_bytes: 128 * 1024,
            methods_in_flight: 64,
            method_connect_max_s: 300,
            method_response_s: 5..=300,
            method_response_default_s: 30,
            c2d_depth: 50,
            c2d_message_bytes: 64 * 1024,
            c2d_ttl_max_ms: 48 * 60 * 60 * 1000,
            uploads_per_device: 10,
            blob_bytes: BLOB_BYTES,
            bulk_devices: 100,
            list_devices: 1000,
            query_page: 1_000,
            sas_grace: SasGrace::default(),
        }
    }
}

/// Most devices of a hub, unless its limits say otherwise.
pub const DEVICES_MAX: usize = 1_000_000;

/// Messages to all devices of a hub together: they are held in memory.
pub const C2D_QUEUED_BYTES: usize = 512 * 1024 * 1024;
/// By so much the time of day may be set back without anything ending that began later.
pub const TIME_STEP_MS: u64 = 60_000;
/// How long a device has a message before others may get it (the hub's own).
pub const C2D_LOCK_MS: u64 = 60_000;
/// How long a message waits that does not say how long it should (the hub's default).
pub const C2D_TTL_MS: u64 = 60 * 60 * 1000;
/// How often a message, or feedback, may be given back (the hub's default).
pub const C2D_DELIVERY_COUNT: u32 = 10;
/// How often it may be configured to be.
pub const C2D_DELIVERY_COUNTS: RangeInclusive<u32> = 1..=100;

/// Records of one feedback message (the hub's own).
pub const FEEDBACK_BATCH_RECORDS: usize = 64;
/// How long records are gathered before they are sent (the hub's own).
pub const FEEDBACK_GATHER_MS: u64 = 15_000;
/// How long a service has feedback before others may get it (the hub's default).
pub const FEEDBACK_LOCK_MS: u64 = 60_000;
/// How long feedback is kept (the hub's default).
pub const FEEDBACK_TTL_MS: u64 = 60 * 60 * 1000;
/// Feedback messages that wait for services; beyond that the oldest goes.
pub const FEEDBACK_BATCHES_MAX: usize = 1_024;

/// How long a device has for a file upload (the hub's default).
pub const UPLOAD_TTL_MS: u64 = 60 * 60 * 1000;
/// File uploads under way at a hub, and those whose time was over lately.
pub const UPLOADS_MAX: usize = 100_000;
/// Characters of a correlation id that is looked up at all.
pub const UPLOAD_CORRELATION_ID_MAX_CHARS: usize = 256;
/// How long a service has a file notification before others may get it (the hub's default).
pub const UPLOAD_LOCK_MS: u64 = 60_000;
/// How long a file notification waits (the hub's default).
pub const UPLOAD_NOTICE_TTL_MS: u64 = 60 * 60 * 1000;
/// How often a file notification may be given back (the hub's default).
pub const UPLOAD_NOTICE_DELIVERY_COUNT: u32 = 100;
/// File notifications that wait for services; beyond that the oldest goes.
pub const UPLOAD_NOTICES_MAX: usize = 10_000;

/// Characters of a blob's name (Azure Storage's own limit).
pub const BLOB_NAME_MAX_CHARS: usize = 1_024;
/// Bytes of uploaded files that a hub keeps, unless its limits say otherwise.
pub const BLOB_BYTES: u64 = 1024 * 1024 * 1024;
/// Uploaded files that a hub keeps.
pub const BLOBS_MAX: usize = 100_000;
/// Blocks of one blob (Azure Storage's own limit).
pub const BLOB_BLOCKS_MAX: usize = 50_000;
/// Blocks of all blobs that are not committed.
pub const BLOCKS_MAX: usize = 100_000;
/// Bytes of a block's id (Azure Storage's own limit).
pub const BLOCK_ID_BYTES: usize = 64;
/// How long blocks wait to be committed after the last of their blob; Azure Storage keeps them for a week.
pub const BLOCKS_TTL_MS: u64 = 24 * 60 * 60 * 1000;
/// Headers that are kept with a blob: names and values.
pub const BLOB_HEADERS_BYTES: usize = 8 * 1024;

/// Desired properties of a twin, and reported ones: names and values, metadata apart.
pub const TWIN_PROPERTIES_BYTES: usize = 32 * 1024;
/// Tags of a twin: names and values.
pub const TWIN_TAGS_BYTES: usize = 8 * 1024;
/// A name in a twin.
pub const TWIN_KEY_BYTES: usize = 1024;
/// Characters of a name that an error shows.
pub const TWIN_SHOWN_KEY_CHARS: usize = 128;
/// A text in a twin.
pub const TWIN_VALUE_BYTES: usize = 4 * 1024;
/// Objects in objects in a section of a twin.
pub const TWIN_DEPTH_MAX: usize = 10;
/// Integers in a twin.
pub const TWIN_INTEGERS: RangeInclusive<i64> = -4_503_599_627_370_496..=4_503_599_627_370_495;

/// Enrollment groups of a provisioning service (the service's own limit).
pub const ENROLLMENT_GROUPS_MAX: usize = 100;
/// Characters of an enrollment group's name.
pub const ENROLLMENT_NAME_MAX_CHARS: usize = 128;
/// Characters of an id scope.
pub const ID_SCOPE_MAX_CHARS: usize = 64;
/// Longest wait that a device is asked for; the C client takes no longer one.
pub const RETRY_AFTER_MAX_S: u32 = 300;

/// Bytes of one certificate, DER. The TLS library takes no larger handshake message than this.
pub const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// Certificates of a client's chain, its own included; what is beyond is not looked at.
pub const CHAIN_CERTIFICATES_MAX: usize = 10;
/// Certificate authorities of a hub (the hub's own limit).
pub const AUTHORITIES_MAX: usize = 25;
/// Characters of an authority's name (the hub's own limit).
pub const AUTHORITY_NAME_MAX_CHARS: usize = 64;
/// Signing certificates of an enrollment group (the service's own limit).
pub const SIGNING_CERTIFICATES_MAX: usize = 2;
/// Individual enrollments. The service takes a million; the emulator reads them from a file and keeps them in memory.
pub const INDIVIDUAL_ENROLLMENTS_MAX: usize = 100_000;

/// Connections beyond the rate that are accepted at once, as time's worth of it (not documented; connections are shaped soonest).
pub const CONNECT_BURST: Duration = Duration::from_secs(1);
/// The same for other operations: at twice the rate this lasts a minute, and the queue another, "a minute or two" as documented.
pub const OPERATION_BURST: Duration = Duration::from_secs(60);
/// Operations that wait, as time's worth of the rate (not documented).
pub const OPERATION_QUEUE: Duration = Duration::from_secs(60);
/// How long an operation waits at most (not documented; the .NET client waits so long for a CONNACK because hubs do).
pub const OPERATION_WAIT: Duration = Duration::from_secs(60);
/// The burst of registrations at a provisioning service: its rates are per minute.
pub const DPS_BURST: Duration = Duration::from_secs(60);
/// The burst of one device's polls: its rate is per ten seconds.
pub const DPS_POLL_BURST: Duration = Duration::from_secs(10);
/// Largest rate that can be set.
pub const RATE_PER_MINUTE_MAX: u64 = 1_000_000_000;
/// Longest burst, queue and wait that can be set.
pub const THROTTLE_TIME_MAX_S: u64 = 86_400;
/// Devices whose polls of the provisioning service are counted at a time; beyond that those that polled least lately start anew.
pub const POLLING_DEVICES_MAX: usize = 100_000;
