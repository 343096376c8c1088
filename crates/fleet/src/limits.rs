//! Limits and times of connecting devices.

use std::time::Duration;

/// How long a use keeps a device connected: at least this …
pub const TEMPORARY_MIN: Duration = Duration::from_secs(540);
/// … and less than this, so that devices used together do not leave together.
pub const TEMPORARY_MAX: Duration = Duration::from_secs(660);

/// Quick attempts are made for that long after the first failure.
pub const QUICK_PHASE: Duration = Duration::from_secs(300);
/// The shortest wait between quick attempts.
pub const QUICK_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait between quick attempts.
pub const QUICK_WAIT_MAX: Duration = Duration::from_secs(10);
/// The first of the quick waits, which double each time, ± 20 %.
pub const QUICK_STEP: Duration = Duration::from_millis(100);

/// Slow waits are random up to this times the number of slow attempts …
pub const SLOW_STEP: Duration = Duration::from_secs(300);
/// … and never longer than this.
pub const SLOW_WAIT_MAX: Duration = Duration::from_secs(1800);

/// A device that its hub refused, where there is no DPS to ask, is tried again after at least this …
pub const REFUSED_WAIT_MIN: Duration = Duration::from_secs(600);
/// … and less than this, unless a request asks for it.
pub const REFUSED_WAIT_MAX: Duration = Duration::from_secs(1800);

/// A connection that stood that long ends a series of failures; shorter ones belong to it.
pub const STABLE_AFTER: Duration = Duration::from_secs(60);
/// A connection that stood that long makes earlier thefts forgotten.
pub const THEFTS_FORGOTTEN_AFTER: Duration = Duration::from_secs(1800);

/// Requests cut a wait short at most once in that time.
pub const REQUEST_ATTEMPT_INTERVAL: Duration = Duration::from_secs(60);

/// After the first theft the device comes back after at least this …
pub const YIELD_MIN: Duration = Duration::from_secs(10);
/// … and less than this.
pub const YIELD_MAX: Duration = Duration::from_secs(30);

/// Devices that wait for the end of a daily quota come back spread over that time.
pub const MIDNIGHT_SPREAD: Duration = Duration::from_secs(60);
/// A quota that is used up so soon after midnight is yesterday's, on a clock that is behind: …
pub const MIDNIGHT_DOUBT: Duration = Duration::from_secs(3600);
/// … another look is taken after that time, not a day later.
pub const MIDNIGHT_RECHECK: Duration = Duration::from_secs(600);
/// The first wait between probes of a hub whose quota is used up, which may have been enlarged …
pub const QUOTA_PROBE_MIN: Duration = Duration::from_secs(60);
/// … and the longest: twice as long each time.
pub const QUOTA_PROBE_MAX: Duration = Duration::from_secs(3600);
/// A message that looks whether a hub was enlarged is followed by another after that time, should its outcome not be known by then.
pub const SEND_PROBE_LASTS: Duration = Duration::from_secs(30);
/// How long a probe, and the others after it, may take to connect: callers are asked to come back that much later.
pub const QUOTA_PROBE_TIME: Duration = Duration::from_secs(5);
/// A wait that a hub asked for is made longer by up to this part of it, in percent.
pub const ASKED_WAIT_SPREAD_PERCENT: u32 = 20;

/// A token slot of a connection counts as taken for that long after its token has expired: the hub's clock is not ours.
pub const SLOT_MARGIN: Duration = Duration::from_secs(300);

/// How long a limit learned from a refused token is kept. Then, should another connection be needed, twice as many identities are
/// tried on one.
pub const TOKEN_LIMIT_HOLDS: Duration = Duration::from_secs(600);

/// Number of refusals …
pub const REPROVISION_REFUSALS: u16 = 10;
/// … and so much time since the first failure, and DPS is asked whether the device has moved.
pub const REPROVISION_AFTER: Duration = Duration::from_secs(900);
/// A hub that was unreachable for this long may be permanently gone: DPS is asked for one of its devices, unless the configuration
/// sets the time.
pub const HUB_GONE_AFTER: Duration = Duration::from_secs(900);
/// A device registers at DPS at most once in that time, …
pub const REGISTRATION_INTERVAL_MIN: Duration = Duration::from_secs(300);
/// … which doubles with each registration that did not help, up to this.
pub const REGISTRATION_INTERVAL_MAX: Duration = Duration::from_secs(1800);

/// The shortest wait between probes of a hub that is unreachable.
pub const PROBE_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest wait between probes.
pub const PROBE_WAIT_MAX: Duration = Duration::from_secs(2);
/// A probe that has not ended after that long is given up.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// A learned pace grows when half of this much time's permits were taken up.
pub(crate) const LEARNING_PERIOD: Duration = Duration::from_secs(1);
/// It grows no further than this: 50,000 devices per second …
pub(crate) const LEARNED_INTERVAL_MIN: Duration = Duration::from_micros(20);
/// … and shrinks no further than this: one per second.
pub(crate) const LEARNED_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// After the hub has throttled it does not grow for that long.
pub(crate) const THROTTLED_PAUSE: Duration = Duration::from_secs(10);
/// Answers that say something about a hub.
pub(crate) const LEARNING_SAMPLES: usize = 8;
/// An answer is late when it takes this, or a quarter of the shortest time if that is more, longer than the shortest.
pub(crate) const LATE_AFTER_MIN: Duration = Duration::from_millis(50);
/// Answers that are late for so long are late because devices wait for each other at the hub.
pub(crate) const LATE_RUN: Duration = Duration::from_millis(100);
/// While answers are late, the pace is the hub's limit less the part of this time, in seconds, by which they are late: …
pub(crate) const DRAIN_TIME_S: f64 = 5.0;
/// … at least this part of the limit, …
pub(crate) const DRAIN_MIN: f64 = 0.1;
/// … and at most this.
pub(crate) const DRAIN_MAX: f64 = 0.9;
/// When answers are on time again the pace is this part of the hub's limit, …
pub(crate) const CRUISE_START: f64 = 0.97;
/// … and grows by this part of it per second, …
pub(crate) const CRUISE_GROWTH_PER_S: f64 = 0.004;
/// … up to this part. If answers are on time there, the limit has become a higher one.
pub(crate) const CRUISE_LIMIT: f64 = 1.1;
/// Then the pace grows by this part of it, each time that half of a second's permits are answered in time.
pub(crate) const SEARCH_AGAIN_GROWTH: f64 = 0.25;
/// While an attempt takes longer than this from its permit on, a search is as many times slower.
pub(crate) const SEARCH_WAY: Duration = Duration::from_millis(500);
/// Number of different devices whose credentials were refused …
pub const BREAKER_DEVICES: usize = 20;
/// … within that time, and none accepted: the fault is not theirs.
pub const BREAKER_WINDOW: Duration = Duration::from_secs(30);
/// So many attempts in a row that a hub left without an answer, or failed itself: it is silent, or failing.
pub const FAULT_AFTER: u32 = 2;
/// A hub that has not been reached since the start, and could not be for that long, is not waited for: most likely its name, the
/// network or the trusted authorities are wrong.
pub const FIRST_CONTACT_PATIENCE: Duration = Duration::from_secs(3);
/// A hub that has answered nothing since the start, not even that it cannot be reached, is waited for that long. It is a little more than
/// TCP has for one address, whose reason says more.
pub const FIRST_ANSWER_PATIENCE: Duration = Duration::from_millis(4_500);
/// While the breaker is open, one device tries that often …
pub const BREAKER_REFUSED_PROBE_INTERVAL: Duration = Duration::from_secs(30);
/// … one that was not refused yet, with credentials that all devices share, that often …
pub const BREAKER_SHARED_PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// … and one with its own credentials this often: a caller may wait for it, and it is tried once or twice.
pub const BREAKER_UNTRIED_PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// Number of devices with a waiting caller that wait for their turn to be such a probe, which takes a few seconds. Callers of
/// others are asked to come back later.
pub const PROBES_PER_CALLER: usize = 30;

/// A message that a hub gave back, or failed at, is sent again after at least this, …
pub const RESEND_WAIT_MIN: Duration = Duration::from_millis(100);
/// … twice that the next time, and so on; a wait is random up to double its least, and never longer than this.
pub const RESEND_WAIT_MAX: Duration = Duration::from_secs(4);
/// A message that a hub throttles is sent again after this, if the hub does not ask for more.
pub const THROTTLED_RESEND_WAIT: Duration = Duration::from_secs(1);
/// Of so many connections that are needed, one more than another may be kept before the emptiest is given up.
pub const SPARE_CONNECTIONS: usize = 10;
/// Background reads per second if the size of the hub is unknown: half of what the smallest hub accepts.
pub const CATCH_UPS_PER_S: u32 = 50;

/// Devices whose use of a day is remembered; one costs about 140 bytes, its id included.
pub const MAX_USED_DEVICES: usize = 1_000_000;
/// So much of a device's rate may be sent at once; at least one message.
pub const DEVICE_BURST: Duration = Duration::from_secs(1);

/// Requests of one device that may wait for their turn at its hub.
pub const QUEUED_PER_DEVICE: usize = 64;
/// Of the second's worth that may go at once, so much is kept for devices that send no more than their share.
pub const RESERVED_BURST: Duration = Duration::from_millis(500);
/// A device's share is so many equal parts of the rate.
pub const SHARES_PER_SENDER: u32 = 2;
/// So much of its share may a device send at once; at least two requests.
pub const SHARE_BURST: Duration = Duration::from_secs(10);
/// How long a device that sent something counts as one of those who share a rate; once more as long as that.
pub const SENDERS_COUNTED_FOR: Duration = Duration::from_secs(10);
