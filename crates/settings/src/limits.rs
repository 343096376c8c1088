//! Every bound of this crate. Units are in the names.

/// HTTP connections open at the same time, where the system permits twice as many open files. One costs about 20 KB.
pub const MAX_CONNECTIONS: usize = 10_000;
/// HTTP connections that are taken however few files the system permits.
pub const MIN_CONNECTIONS: usize = 8;
/// Connections beyond the bound that are answered 503, or as probes, at the same time; more are closed without a word.
pub const MAX_REFUSALS: usize = 64;
/// Connections that end to make room and are given time to read that; more are closed without a word.
pub const MAX_FAREWELLS: usize = 64;
/// Default, least and most seconds that a request may take.
pub const REQUEST_TIMEOUT_S: u64 = 30;
/// Most seconds that a request may be configured to take.
pub const MAX_REQUEST_TIMEOUT_S: u64 = 300;
/// Most devices per second that may be configured to connect.
pub const MAX_CONNECT_RATE: u32 = 100_000;
/// Most connections to a hub that may be configured: with 995 devices each, ten times what one process holds.
pub const MAX_HUB_CONNECTIONS: usize = 10_000;
/// Longest API key in bytes.
pub const MAX_API_KEY_BYTES: usize = 512;
/// Longest name of an API key.
pub const MAX_API_KEY_NAME_CHARS: usize = 64;
/// Least seconds that a token may be configured to live: enough to try its renewal several times.
pub const MIN_TOKEN_LIFE_S: u64 = 60;
/// Most seconds that a token may be configured to live.
pub const MAX_TOKEN_LIFE_S: u64 = 86_400;
/// Least seconds that a hub may be configured to be away before DPS is asked: it may merely be restarted.
pub const MIN_HUB_GONE_S: u64 = 60;
/// Most of them.
pub const MAX_HUB_GONE_S: u64 = 86_400;
/// Most registrations per minute that may be configured.
pub const MAX_DPS_RATE: u64 = 1_000_000;
/// Registrations per minute that DPS takes of one instance.
pub const DPS_RATE: u64 = 1_000;
/// Longest id scope.
pub const MAX_ID_SCOPE_CHARS: usize = 128;
/// Largest configuration file.
pub const MAX_CONFIG_FILE_BYTES: u64 = 1_048_576;
/// Largest file that holds a secret.
pub const MAX_SECRET_FILE_BYTES: u64 = 65_536;
/// How long reading a key vault may take in all: tokens, secrets and further attempts.
pub const VAULT_TIMEOUT_MS: u64 = 30_000;
/// Further attempts of a request to a vault, or for a token, that was not answered or to be made later.
pub const VAULT_RETRIES: u32 = 3;
/// How long connecting to what gives this machine its identity may take: it is on this machine, or next to it.
pub const IDENTITY_CONNECT_MS: u64 = 2_000;
/// Largest answer of a vault, or of who gives tokens. A secret has 25 KB at most, and more as JSON.
pub const MAX_VAULT_ANSWER_BYTES: usize = 262_144;
/// Largest file of listed devices: a million lines.
pub const MAX_DEVICES_FILE_BYTES: u64 = 268_435_456;
/// Mistakes in it that are reported individually.
pub const MAX_DEVICES_FILE_MISTAKES: usize = 20;
/// Largest file of certificates that is read.
pub const MAX_CA_FILE_BYTES: u64 = 1_048_576;
/// Devices that one process holds.
pub const MAX_DEVICES: usize = 1_000_000;
/// Life of the token of a device that stays connected.
pub const TOKEN_LIFE_S: u32 = 3_600;
/// Attempts after the first one to deliver an event.
pub const HTTP_RETRY_LIMIT: u32 = 5;
/// Most such attempts that may be configured.
pub const MAX_HTTP_RETRY_LIMIT: u32 = 20;
/// How long the receiver of a direct method may take, retries included: what the hub itself waits by default.
pub const METHOD_ANSWER_TIMEOUT_S: u64 = 30;
/// The least that may be configured: the hub's own least.
pub const MIN_METHOD_ANSWER_TIMEOUT_S: u64 = 5;
/// The most that may be configured: the hub's own most.
pub const MAX_METHOD_ANSWER_TIMEOUT_S: u64 = 300;
/// Open connections to receivers above which each new one is closed after its first answer.
pub const MAX_KEPT_CALLBACK_CONNECTIONS: usize = 2_048;
/// Fewest bytes of a secret that signs events, as the Standard Webhooks specification has it.
pub const MIN_WEBHOOK_SECRET_BYTES: usize = 24;
/// Most bytes of such a secret.
pub const MAX_WEBHOOK_SECRET_BYTES: usize = 64;

/// A file of a device's certificate, or of its key.
pub const MAX_CERTIFICATE_FILE_BYTES: u64 = 256 * 1024;
/// Highest rate of a device, in messages per minute: 100,000 per second.
pub const MAX_DEVICE_RATE_PER_MIN: u64 = 6_000_000;
/// Most daily blocks of a device, a little less than can be counted.
pub const MAX_DEVICE_DAILY_BLOCKS: u32 = 60_000_000;
