//! Every bound of this crate. Units are in the names.

/// Devices on one connection: the hub allows 1000 tokens, and the official .NET client stops at 995.
pub const DEVICES_PER_CONNECTION: usize = 995;
/// The same over WebSocket, where the hub allows half.
pub const DEVICES_PER_WEB_SOCKET: usize = 495;
/// Messages and twin requests of one device that are under way, from the caller until the hub's answer, …
pub const SENDS_PER_DEVICE: usize = 256;
/// … while there are fewer than so many on its connection, …
pub const SENDS_IN_COMMON: usize = 4_096;
/// … and so many however many others there are.
pub const SENDS_GUARANTEED: usize = 4;
/// Outcomes of cloud-to-device messages and answers to methods of one device that are under way: one message at a time, and as
/// many methods as may wait for their answer, with one to spare.
pub const OUTCOMES_PER_DEVICE: usize = METHODS_PER_DEVICE as usize + 2;
/// Changes of what a device receives that wait for its connection's task.
pub const WANTS_PER_DEVICE: usize = 4;
/// Commands to open and close devices that wait for a connection's task: each device may have one of each, and one to spare.
pub const CONTROL_PER_CONNECTION: usize = 4 * DEVICES_PER_CONNECTION;
/// Life of a token that we sign, unless something else is asked for.
pub const TOKEN_LIFE_S: u64 = 3_600;
/// Shortest life of a device's token; what is asked for below that becomes this.
pub const TOKEN_LIFE_MIN_S: u32 = 10;
/// Share of its life after which a token is renewed at the latest, in percent.
pub const TOKEN_RENEWAL_PERCENT: u64 = 85;
/// How much earlier it may be renewed, in percent of its life, so that devices that came together do not renew together.
pub const TOKEN_RENEWAL_JITTER_PERCENT: u64 = 5;
/// How much of its life a device's first token has at least before it is renewed, in percent: devices that connected together in
/// seconds renew over a quarter of their tokens' life, …
pub const FIRST_RENEWAL_PERCENT: u64 = 60;
/// … but no earlier than this, so that devices that were used once have left by then.
pub const FIRST_RENEWAL_MIN_S: u64 = 660;
/// A renewal that fails is tried again after so long at first, …
pub const TOKEN_RETRY_MIN_MS: u64 = 1_000;
/// … and after so long at most.
pub const TOKEN_RETRY_MAX_MS: u64 = 60_000;
/// A token is not counted on for so long before it expires, or 5 % of its life if that is less.
pub const TOKEN_EXPIRY_MARGIN_MS: u64 = 10_000;
/// Tokens that one connection renews at once.
pub const RENEWALS_PER_LOOK: usize = 16;
/// Least time between two looks at what each device of a connection has due: 64 renewals a second with the above.
pub const LOOK_INTERVAL_MS: u64 = 250;
/// The hub must take the `$cbs` links, and answer a put-token, within this time.
pub const CBS_TIMEOUT_MS: u64 = 30_000;
/// The hub must take a device's link within this time.
pub const ATTACH_TIMEOUT_MS: u64 = 30_000;
/// The hub must answer a detach within this time, or the device's session is given up.
pub const DETACH_TIMEOUT_MS: u64 = 30_000;
/// The hub must answer the end of a session within this time. A session that is given up keeps its channel, since the hub may still
/// use it.
pub const END_TIMEOUT_MS: u64 = 10_000;
/// Channels of sessions that were given up. A connection with more is replaced.
pub const RETIRED_CHANNELS: usize = 128;
/// Twin requests of one device that wait for the hub.
pub const TWIN_REQUESTS_PER_DEVICE: usize = 16;
/// Answers and notifications that the hub may send at once over a device's twin link; the .NET client gives the same.
pub const TWIN_CREDIT: u32 = 50;
/// Twin links that nothing uses any more are kept for so long.
pub const TWIN_IDLE_MS: u64 = 60_000;
/// Direct methods of one device that wait for their answer.
pub const METHODS_PER_DEVICE: u32 = 16;
/// An answer to a direct method is taken for so long: the hub waits for 300 s at most.
pub const METHOD_LIFE_MS: u64 = 305_000;
/// The hub must confirm the outcome of a cloud-to-device message within this time.
pub const SETTLE_TIMEOUT_MS: u64 = 30_000;
/// The hub's lock on a cloud-to-device message has ended after this time, if it is not longer than the usual minute.
pub const C2D_LOCK_MS: u64 = 65_000;
/// Entries of an [`Inbox`](crate::Inbox) from which on nothing more is asked for.
pub const INBOX_ENTRIES: usize = 4_096;
/// Bytes of an [`Inbox`](crate::Inbox) from which on nothing more is asked for.
pub const INBOX_BYTES: usize = 16 * 1_024 * 1_024;
/// Bytes of messages that receivers hold, over all devices, from which on no more are asked for.
pub const HELD_BYTES: usize = 64 * 1_024 * 1_024;
/// Events of a [`DeviceClient`](crate::DeviceClient) that wait to be taken, in addition to those of its inbox.
pub const EVENTS: usize = 16;
/// An operation of a device client may take so long, unless something else is asked for.
pub const OPERATION_TIMEOUT_MS: u64 = 30_000;
/// The hub must answer a device client that closes within this time.
pub const CLOSE_TIMEOUT_MS: u64 = 5_000;
/// A device client waits at most so long before the first attempt to connect again, …
pub const RECONNECT_MIN_MS: u64 = 100;
/// … and so long before later ones. One that stood for so long is not counted as a failure.
pub const RECONNECT_MAX_MS: u64 = 10_000;
/// How often the deadlines of waiting things are looked at.
pub const SWEEP_INTERVAL_MS: u64 = 250;
/// Silence that we announce as too long; the official .NET client announces the same.
pub const IDLE_TIME_OUT_MS: u32 = 120_000;
/// Certificates of devices that are made at the same time, each on a thread for what takes long.
pub const CERTIFICATES_AT_ONCE: usize = 4;
/// Port of HTTPS.
pub const HTTPS_PORT: u16 = 443;
/// Connections to the provisioning service that may be open at once.
pub const DPS_CONNECTIONS: usize = 16;
/// The provisioning service must answer a request within this time, connecting included.
pub const DPS_REQUEST_TIMEOUT_MS: u64 = 30_000;
/// Body of a registration: what the provisioning service allows.
pub const DPS_REQUEST_BYTES: usize = 96 * 1_024;
/// Body of an answer over HTTPS; it holds the payload of a custom allocation, or of a direct method's answer, at most.
pub const HTTPS_ANSWER_BYTES: usize = 256 * 1_024;
/// Connections of a service over which it calls direct methods; each waits for one answer at a time.
pub const METHOD_CALLS: usize = 1_024;
/// A direct method must be answered within this time: the hub waits for a device for 300 s, and as long for its answer, at
/// most.
pub const METHOD_CALL_TIMEOUT_MS: u64 = 610_000;
/// Messages of a service that wait for the hub's word, or for its credit.
pub const SERVICE_SENDS: usize = 8_192;
/// Least pause between two attempts of a service to connect for its messages.
pub const SERVICE_RECONNECT_MS: u64 = 200;
/// A request of a service about twins must be answered within this time, connecting included.
pub const TWIN_CALL_TIMEOUT_MS: u64 = 30_000;
/// Connections of a service over which it asks about twins.
pub const TWIN_CALLS: usize = 4;
/// Twins in a page of a hub's list of devices.
pub const TWIN_PAGE: u32 = 100;
/// Largest page of twins that is read; one twin has 72 KB at most, and its metadata about twice as much.
pub const TWIN_PAGE_BYTES: usize = 32 * 1_024 * 1_024;
/// Events of a partition that are under way to their reader, or wait for it.
pub const EVENTS_PER_PARTITION: u32 = 16;
/// Partitions of an event endpoint; a hub has at most 128.
pub const EVENT_PARTITIONS: usize = 128;
/// Largest event that is read: a hub's largest message, with its annotations.
pub const EVENT_BYTES: u64 = 1_024 * 1_024;
/// The hub must say where its event endpoint is within this time, connecting included.
pub const EVENT_REDIRECT_TIMEOUT_MS: u64 = 30_000;
/// The event endpoint must take all readers within this time, connecting not included.
pub const EVENT_OPEN_TIMEOUT_MS: u64 = 30_000;
/// Characters of the name of an event endpoint's entity, or of a consumer group.
pub const EVENT_NAME_CHARS: usize = 256;
/// Characters of an operation's id.
pub const DPS_OPERATION_ID_CHARS: usize = 256;
/// Interval between polls of an operation if the provisioning service requests none, as the official SDKs wait.
pub const DPS_WAIT_S: u32 = 2;
/// The provisioning service is waited for at least so long, …
pub const DPS_WAIT_MIN_S: u32 = 1;
/// … and at most so long at once.
pub const DPS_WAIT_MAX_S: u32 = 300;
/// Questions after an operation that may fail one after the other.
pub const DPS_STATUS_FAILURES: u32 = 5;
/// How long a peer is asked for its time.
pub const PEER_CLOCK_TIMEOUT_MS: u64 = 10_000;
/// Clocks that differ by more than this are worth a word when credentials are refused, in seconds.
pub const CLOCK_SKEW_S: u64 = 60;
