//! Limits of a running hub, and those that all its protocol heads share.

use std::ops::RangeInclusive;

/// Speeds of an emulator's clock, as multiples of the machine's.
pub const CLOCK_SCALES: RangeInclusive<f64> = 0.01..=1_000.0;
/// Longest step of an emulator's clock: ten years.
pub const CLOCK_ADVANCE_MAX_S: u64 = 10 * 366 * 86_400;
/// How far an emulator's time of day may be ahead of the machine's: a hundred years.
pub const CLOCK_AHEAD_MAX_S: u64 = 100 * 366 * 86_400;

/// Body of a registration (the service's own limit).
pub const REGISTRATION_BODY_BYTES: usize = 96 * 1024;

/// Requests of one AMQP or MQTT client that wait for the provisioning service.
pub const REGISTRATION_REQUESTS_MAX: usize = 16;

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

/// Longest failover of a hub: Microsoft names up to 26 hours.
pub const FAILOVER_MAX_S: u64 = 26 * 60 * 60;
/// How long a hub fails over when nothing is said about it.
pub const FAILOVER_S: u64 = 30;
/// Moves of devices that the provisioning service keeps.
pub const MOVES_MAX: usize = 100_000;

/// Messages in one batch.
pub const BATCH_MESSAGES_MAX: usize = 500;
/// Pause of a reader's link while much waits to be written.
pub const READ_PAUSE_MS: u64 = 10;
/// How often it is looked at whether clients of MQTT may still be connected: their keys may be others.
pub const TOKEN_SWEEP_MS: u64 = 5_000;
/// Longest time after which the tokens of a connection are looked at again, though none expires before.
pub const TOKEN_SWEEP_MAX_MS: u64 = 24 * 60 * 60 * 1_000;
/// How long an AMQP connection stays whose last token has expired, so that its clients can put another one, or leave.
pub const TOKENLESS_MS: u64 = 30_000;
/// How long a client may be silent over AMQP: the 240 seconds that are announced to it, and as much more as a hub that looks at intervals
/// may let pass. Clients of .NET send after 7/8 of what is announced; this leaves them that even at a scale of 1.2.
pub const AMQP_SILENCE_MS: u32 = 255_000;
/// Method calls and the like that may wait for one connection's task.
pub const PUSHES_MAX: usize = 4_096;

/// Bytes of all operations of a hub that wait because of its rates; further ones are refused.
pub const THROTTLED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The same of one connection.
pub const THROTTLED_CONNECTION_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Messages to devices are looked after at least this often, in case the time of day is set.
pub const KEEP_MESSAGES_MS: u64 = 60_000;
/// Pause before messages to devices are looked after again when that could not be stored.
pub const KEEP_RETRY_MS: u64 = 1_000;

/// Characters of a blob's name that the name of its file shows.
pub const BLOB_FILE_NAME_CHARS: usize = 100;
/// Requests to a storage account that are under way at once.
pub const STORAGE_CONNECTIONS: usize = 16;
/// Longest time of a request to a storage account.
pub const STORAGE_TIME_MS: u64 = 10_000;
/// Largest body of an answer of a storage account.
pub const STORAGE_ANSWER_BYTES: usize = 64 * 1024;
/// Life of the signature by which a user reads and deletes uploaded files: a year.
pub const USER_SIGNATURE_S: u64 = 365 * 24 * 60 * 60;

/// Faults that are active at once.
pub const FAULTS_MAX: usize = 256;
/// Faults that devices asked for and that have not begun.
pub const INJECTIONS_MAX: usize = 1_024;
/// How long a fault that refuses goes on when the device that asks for it does not say, in seconds.
pub const INJECTED_DURATION_S: f64 = 10.0;
/// Longest delay and duration that a device can ask for, in seconds: a day.
pub const INJECTED_SECONDS_MAX: f64 = 86_400.0;
/// Orders that wait for one connection's task.
pub const ORDERS_MAX: usize = 4_096;
/// Requests that are under way get this long to end before a hub's state is replaced.
pub const ALONE_MS: u64 = 10_000;
