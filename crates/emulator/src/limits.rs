//! Every limit of the emulator in one place.

/// Partitions of a hub's event endpoint when nothing else is said (the hub's own default).
pub const PARTITIONS: u16 = 4;
/// Most hubs that one emulator serves.
pub const HUBS_MAX: usize = 64;

/// Body of a registration (the service's own limit).
pub const REGISTRATION_BODY_BYTES: usize = 96 * 1024;

/// Size that encoding may add to it over AMQP.
pub const REGISTRATION_SLACK_BYTES: u64 = 4 * 1024;
/// Requests of one AMQP or MQTT client that wait for the provisioning service.
pub const REGISTRATION_REQUESTS_MAX: usize = 16;
/// Credit of an AMQP link for such requests.
pub const REGISTRATION_CREDIT: u32 = 16;

/// Body of an HTTPS request: the hub's largest, a bulk call of 100 devices, stays well below.
pub const REQUEST_BODY_BYTES: usize = 1024 * 1024;
/// Body of a device's message over HTTPS, or of a batch of them: 256 KB of what counts, as Base64 in JSON.
pub const HTTPS_BATCH_BYTES: usize = 512 * 1024;
/// Size beyond the limit that is read and discarded of a too large body, so that its sender sees the refusal.
pub const DROPPED_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Head and body of an HTTPS request must have arrived within this time.
pub const REQUEST_READ_MS: u64 = 30_000;

/// Connections that one listener serves at a time; more wait in the backlog.
pub const CONNECTIONS_MAX: usize = 16_384;
/// A TLS handshake must be over within this time.
pub const HANDSHAKE_MS: u64 = 10_000;
/// Pause after an accept that failed (out of descriptors), before the next.
pub const ACCEPT_PAUSE_MS: u64 = 50;
/// Connections get this long to end by themselves when the emulator stops.
pub const SHUTDOWN_MS: u64 = 3_000;

/// For how long refusals are counted together.
pub const REFUSALS_WINDOW_MS: u64 = 10_000;
/// Refusals of one kind that are logged in one window.
pub const REFUSALS_LOGGED_OF_A_KIND: u32 = 10;
/// Refusals of all kinds that are logged in one window.
pub const REFUSALS_LOGGED_OF_ALL: u32 = 100;
/// Kinds of refusals that are counted each by itself.
pub const REFUSAL_KINDS_MAX: usize = 256;
/// Characters of a reason, and of what was asked for, in one line of the log.
pub const REFUSAL_TEXT_CHARS: usize = 200;
/// Addresses whose user was already told how to trust the authority.
pub const UNTRUSTING_PEERS_MAX: usize = 1_024;

/// Tokens of policies on one AMQP connection: Event Hubs clients put one for each partition that they read.
pub const GRANTS_OF_POLICIES_MAX: usize = 1_000;
/// Largest message that a telemetry link announces (the hub's own: traces in Azure/azure-iot-sdk-c #2233). What is larger is not
/// kept until it is refused; the limit of a message is lower.
pub const TELEMETRY_ANNOUNCED_BYTES: u64 = 1024 * 1024;
/// Credit of a telemetry link.
pub const TELEMETRY_CREDIT: u32 = 1_000;
/// Messages in one batch.
pub const BATCH_MESSAGES_MAX: usize = 500;
/// Credit of a link for requests.
pub const REQUEST_CREDIT: u32 = 1_000;
/// Largest request on such a link.
pub const REQUEST_BYTES: u64 = 64 * 1024;
/// Answers that wait on one link for the client's credit.
pub const ANSWERS_MAX: usize = 1_024;
/// Events read from the log at once for one reader.
pub const READ_EVENTS: usize = 256;
/// Bytes of events read from the log at once for one reader, and that may wait to be written to it.
pub const READ_EVENT_BYTES: usize = 1024 * 1024;
/// Pause of a reader's link while much waits to be written.
pub const READ_PAUSE_MS: u64 = 10;
/// How often expired tokens are looked for.
pub const TOKEN_SWEEP_MS: u64 = 5_000;
/// Method calls and the like that may wait for one connection's task.
pub const PUSHES_MAX: usize = 4_096;
/// Size that encoding may add to a method's answer.
pub const METHOD_SLACK_BYTES: u64 = 4 * 1024;
/// Characters of a method's name.
pub const METHOD_NAME_CHARS: usize = 128;

/// Size that encoding may add to it before a message is refused.
pub const C2D_SLACK_BYTES: u64 = 16 * 1024;
/// Characters of a message's id (the hub's own limit).
pub const MESSAGE_ID_CHARS: usize = 128;
/// Messages to devices are looked after at least this often, in case the time of day is set.
pub const KEEP_MESSAGES_MS: u64 = 60_000;
/// Pause before messages to devices are looked after again when that could not be stored.
pub const KEEP_RETRY_MS: u64 = 1_000;
/// Credit of a service's link for messages to devices.
pub const C2D_CREDIT: u32 = 100;
/// Messages that a device has on one link without having settled them; those whose lock was lost count too.
pub const C2D_UNSETTLED_MAX: usize = 1_000;
/// Largest request about a twin: properties of [`TWIN_PROPERTIES_BYTES`](drawspan_hub_model::limits::TWIN_PROPERTIES_BYTES) as JSON, numbers and escapes included.
pub const TWIN_REQUEST_BYTES: u64 = 256 * 1024;
/// Credit of a link for requests about a twin.
pub const TWIN_REQUEST_CREDIT: u32 = 100;
/// Requests about twins that may wait on one connection.
pub const TWIN_REQUESTS_MAX: usize = 8_192;
/// Requests about twins that are carried out, and stored, together.
pub const TWIN_BATCH: usize = 256;
/// Pause before a store that had too much to do is asked again.
pub const TWIN_RETRY_MS: u64 = 10;
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
/// Messages that a device has over MQTT without having acknowledged them.
pub const MQTT_MESSAGES_UNACKNOWLEDGED: usize = 50;
