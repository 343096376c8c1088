//! Limits of the AMQP head.

pub use drawspan_emulator_hub::limits::{
    AMQP_SILENCE_MS, BATCH_MESSAGES_MAX, PUSHES_MAX, READ_PAUSE_MS, REGISTRATION_BODY_BYTES,
    REGISTRATION_REQUESTS_MAX, TOKEN_SWEEP_MAX_MS, TOKENLESS_MS,
};

/// Size that encoding may add to it over AMQP.
pub const REGISTRATION_SLACK_BYTES: u64 = 4 * 1024;
/// Credit of an AMQP link for such requests.
pub const REGISTRATION_CREDIT: u32 = 16;

/// Tokens of policies on one AMQP connection: Event Hubs clients put one for each partition that they read.
pub const GRANTS_OF_POLICIES_MAX: usize = 1_000;
/// Largest message that a telemetry link announces (the hub's own: traces in Azure/azure-iot-sdk-c #2233). What is larger is not
/// kept until it is refused; the limit of a message is lower.
pub const TELEMETRY_ANNOUNCED_BYTES: u64 = 1024 * 1024;
/// Credit of a telemetry link.
pub const TELEMETRY_CREDIT: u32 = 1_000;
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
/// Size that encoding may add to a method's answer.
pub const METHOD_SLACK_BYTES: u64 = 4 * 1024;

/// Size that encoding may add to it before a message is refused.
pub const C2D_SLACK_BYTES: u64 = 16 * 1024;
/// Characters of a message's id (the hub's own limit).
pub const MESSAGE_ID_CHARS: usize = 128;
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

/// Messages of one connection that are stored later, because a fault was asked for.
pub const SLOWED_MAX: usize = 10_000;
/// A connection whose sessions are ended because a fault was asked for ends so long after them.
pub const CUT_LINGER_MS: u64 = 200;
