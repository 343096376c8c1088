//! Limits and times of requests, subscriptions and events.

use std::time::Duration;

/// Events of one device and kind that wait, the one under way included.
pub const EVENTS_PER_LANE: usize = 16;
/// Attempts under way at one origin. With a receiver that takes 5 ms it is enough for 12,800 events/s, with one that takes 50 ms for 1,280.
pub const ATTEMPTS_PER_ORIGIN: usize = 64;
/// Attempts under way in all. One costs about 20 KB with its connection.
pub const ATTEMPTS: usize = 1_024;
/// Bytes of all events that wait or are under way.
pub const EVENT_BYTES: usize = 64 * 1_048_576;
/// The events of one origin may take this part of the bytes that are free, in percent. At 100 a single origin gets half of
/// [`EVENT_BYTES`], and each of n origins that are full a part of n + 1: what is left over is there for an origin without events.
pub const ORIGIN_SHARE_PERCENT: usize = 100;
/// Origins that something waits for.
pub const ORIGINS: usize = 16_384;
/// How long one attempt may take.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// An attempt that had less time than that and got no answer says nothing of its receiver.
pub const TELLING_TIMEOUT: Duration = Duration::from_secs(1);
/// The wait before the second attempt; it doubles with each one.
pub const RETRY_STEP: Duration = Duration::from_secs(2);
/// Waits are made longer by up to this part of them, in percent, so that what failed together does not come back together.
pub const RETRY_SPREAD_PERCENT: u32 = 10;
/// The shortest wait that a receiver may ask for.
pub const RETRY_WAIT_MIN: Duration = Duration::from_secs(1);
/// Number of consecutive failed attempts after which deliveries to an origin are suspended.
pub const ORIGIN_FAILURES: u32 = 10;
/// How long it is left alone at first …
pub const ORIGIN_PAUSE_MIN: Duration = Duration::from_secs(1);
/// … and at most: twice as long after each probe that failed.
pub const ORIGIN_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long it counts after its last pause that an origin failed, when nothing waits for it.
pub const ORIGIN_REMEMBERED: Duration = Duration::from_secs(60);
/// Entries that a table may keep room for without having them.
pub(crate) const KEPT_CAPACITY: usize = 1_024;
/// A cloud-to-device message must be over so long after it came: the hub's lock on it ends after 60 s.
pub const C2D_TIMEOUT: Duration = Duration::from_secs(50);
/// Time limit of other events, from their first attempt.
pub const EVENT_TIMEOUT: Duration = Duration::from_secs(100);
/// Memory cost of an event in addition to its content.
pub const EVENT_OVERHEAD_BYTES: usize = 512;

/// Hubs whose devices are remembered by one shared name each, and most hubs that devices may belong to.
pub const MAX_HUBS: usize = 256;
/// Requests that wait for one device to be connected.
pub const WAITERS_PER_DEVICE: usize = 256;
/// Registrations under way at DPS.
pub const REGISTRATIONS_AT_ONCE: usize = 2_048;
/// Registrations that callers asked for and that wait for their turn.
pub const WAITING_REGISTRATIONS: usize = 16_384;
/// How long a device's registration may take.
pub const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(120);
/// Entries of the hub cache that are in use are renewed that often.
pub const HUB_CACHE_RENEWAL: Duration = Duration::from_secs(6 * 3_600);
/// An entry of the hub cache that was not renewed for so long is forgotten.
pub const HUB_CACHE_LIFE_S: u64 = 7 * 24 * 3_600;
/// Spellings of device ids that are kept without a look at whether they are needed.
pub const SPELLINGS_UNCHECKED: usize = 1_024;
/// Life of the token of a device that leaves soon: at least this …
pub const TEMPORARY_TOKEN_LIFE_MIN: Duration = Duration::from_secs(900);
/// … and less than this, so that slots of devices that came together do not end together.
pub const TEMPORARY_TOKEN_LIFE_MAX: Duration = Duration::from_secs(1_200);
/// Devices leave a connection that is being drained a few at a time, that often.
pub const MOVE_INTERVAL: Duration = Duration::from_secs(1);
/// Number of devices that move at the same time.
pub const MOVES_AT_ONCE: usize = 20;

/// Subscriptions of the fleet.
pub const MAX_FLEET_SUBSCRIPTIONS: usize = 256;
/// Texts of callback URLs, and of origins, that are looked up to be shared.
pub const SHARED_TEXTS: usize = 4_096;
/// Devices that one step of a sweep looks at.
pub const DEVICES_PER_SWEEP: usize = 512;
/// Sweeps that wait; beyond that, one of all devices takes their place.
pub const MAX_SWEEPS: usize = 16;
/// A connection that had no room for a command is asked again after that time.
pub const WANT_AGAIN: Duration = Duration::from_millis(100);
/// A link that a hub refuses is asked for again after at most this, twice as long each time …
pub const LINK_RETRY_MIN: Duration = Duration::from_secs(60);
/// … up to this.
pub const LINK_RETRY_MAX: Duration = Duration::from_secs(1_800);
/// How much of a receiver's answer is read.
pub const MAX_CALLBACK_ANSWER_BYTES: usize = 131_072;

/// Twins of one hub that are read at the same time to find out what was missed.
pub const CATCH_UPS_AT_ONCE: usize = 64;
/// How long such a read may take.
pub const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(30);
/// After a read, or an event with what it found, has failed, the next one follows after at most this, twice as long each time …
pub const CATCH_UP_RETRY_MIN: Duration = Duration::from_secs(60);
/// … up to this.
pub const CATCH_UP_RETRY_MAX: Duration = Duration::from_secs(1_800);
/// A section of desired properties that is larger is not remembered: after a change of it, the next connection sends all of it once.
pub const REMEMBERED_SECTION_BYTES: usize = 4_096;
/// How long a message is held for a device that asks for its messages: the hub's lock on it ends after 60 s.
pub const C2D_HOLD: Duration = Duration::from_secs(50);
/// How long a hub that was asked for a message may take to send one that it has.
pub const PULL_GRACE: Duration = Duration::from_secs(1);
/// Requests that wait for messages of one device.
pub const PULLS_PER_DEVICE: usize = 16;

/// Changes of its connection that are kept of one device.
pub const HISTORY_CHANGES: usize = 16;
/// Bytes of the kept changes of all devices, as an upper bound. The device whose last change is longest ago is forgotten first. It is room
/// for about 35,000 devices with one change, or 5,000 with all of theirs.
pub const HISTORY_BYTES: usize = 16 * 1_048_576;
/// Bytes of a device in the history in addition to its changes: its places in two tables, with what these keep free.
pub const HISTORY_DEVICE_BYTES: usize = 240;
/// Changes of all devices that are kept for listeners that come back. One has about 80 bytes, without the text that it shares with others.
pub const FEED_CHANGES: usize = 16_384;
/// Characters of the text that says who caused a change.
pub const DETAIL_MAX_CHARS: usize = 400;
/// After credentials were refused, a hub is asked for its time, at most once in so long.
pub const CLOCK_LOOK_INTERVAL: Duration = Duration::from_secs(60);
