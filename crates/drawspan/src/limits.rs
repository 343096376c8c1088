//! Every bound of this crate that is not a limit of the hub. Units are in the names.

/// How long `dead-letters` waits for one answer.
pub const DEAD_LETTER_CALL_S: u64 = 60;
/// How often it comes again when the bridge has too much to do.
pub const DEAD_LETTER_TRIES: u32 = 10;
/// Maximum wait before that, regardless of the bridge's answer.
pub const MAX_DEAD_LETTER_PAUSE_S: u64 = 60;
/// Largest page that it reads: a page of the largest stored dead letters, with their descriptions.
pub const MAX_DEAD_LETTER_PAGE_BYTES: usize = 64 * 1_048_576;
/// The time from the first signal to the end of the process.
pub const STOP_TIMEOUT_MS: u64 = 10_000;

/// Largest export that is imported: a million rows.
pub const MAX_IMPORT_FILE_BYTES: u64 = 1_073_741_824;
/// Rows that are imported before it is waited for that they are written.
pub const IMPORT_BATCH: usize = 1_024;
/// Origins of imported callbacks that are logged at the start.
pub const MAX_IMPORTED_ORIGINS_TOLD: usize = 50;
/// Unusable rows of an export that are reported individually.
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
/// How long it waits for the registration of a given device.
pub const ONLINE_REGISTRATION_S: u64 = 30;
/// How long each look of `config check --online` may take, and the question after the time of a peer.
pub const PROBE_TIMEOUT_MS: u64 = 4_000;
/// How long `drawspan hub` waits for a hub to take a message.
pub const HUB_SEND_S: u64 = 30;
/// Default wait of the hub for a device that is not connected, in `drawspan hub invoke`.
pub const INVOKE_CONNECT_S: u32 = 10;
/// Characters of a message's body that are shown on one line.
pub const SHOWN_BODY_CHARS: usize = 160;
/// Characters of a property that are shown.
pub const SHOWN_PROPERTY_CHARS: usize = 60;
/// Bytes of one event that `drawspan watch` reads.
pub const WATCH_EVENT_BYTES: usize = 65_536;
/// After so long without a sign of life, which the bridge gives every 15 s, `drawspan watch` connects again.
pub const WATCH_SILENCE_S: u64 = 45;
/// The longest pause between its attempts to connect.
pub const WATCH_PAUSE_MAX_S: u64 = 30;
