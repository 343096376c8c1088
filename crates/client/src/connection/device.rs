//! One device on a connection.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_amqp::engine::{LinkId, LinkOptions, SessionId};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::{DeviceId, WhichKey};

use super::Send;
use super::links::Links;
use super::reply::Reply;
use crate::board::Owner;
use crate::limits;

/// Link property that names the client in the hub's logs. Official clients set it on every link, those of `$cbs` included.
const CLIENT_VERSION: Symbol = Symbol::from_static("com.microsoft:client-version");
const CLIENT_VERSION_TEXT: &str = concat!("drawspan/", env!("CARGO_PKG_VERSION"));

/// A device and its session. There are many: what only some need, or only for a while, is in a box.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) id: DeviceId,
    /// The id that it registered by, if that is another one: few have one.
    pub(super) registration: Option<Box<DeviceId>>,
    pub(super) owner: Owner,
    pub(super) session: SessionId,
    pub(super) phase: Phase,
    /// Messages that wait for credit or room, oldest first.
    #[expect(
        clippy::box_collection,
        reason = "24 bytes less for all the devices that wait for nothing"
    )]
    pub(super) waiting: Option<Box<VecDeque<(Send, Reply)>>>,
    /// What it has beside telemetry.
    pub(super) links: Option<Box<Links>>,
    pub(super) next_tag: u32,
    pub(super) token: TokenPlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Token and telemetry link are being asked for; what comes next is due then, in milliseconds of the connection's
    /// clock.
    Opening {
        until_ms: u64,
        /// The hub took the token, or the connection's serves.
        granted: bool,
        link: Progress,
    },
    Open {
        telemetry: LinkId,
    },
    /// The session is ending, and why has been told already, or is that it was asked for. The hub's answer is due then, in
    /// milliseconds of the connection's clock.
    Ending {
        asked: bool,
        until_ms: u64,
    },
}

/// Where the telemetry link of a device that is being opened stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Unasked,
    Asked(LinkId),
    /// The hub refused it for want of the token that it had been sent.
    TooEarly,
    /// Asked for once more.
    AskedAgain(LinkId),
    Attached(LinkId),
}

/// How a device's own token is made, and when the next one is due. Unused where the connection's token serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenPlan {
    pub(super) key: WhichKey,
    pub(super) life_s: u32,
    /// In seconds of the connection's clock; [`NEVER`](Self::NEVER) while one is under way.
    pub(super) renew_at_s: u32,
}

impl TokenPlan {
    pub(super) const NEVER: u32 = u32::MAX;

    pub(super) fn new(key: WhichKey, life_s: u32) -> Self {
        Self {
            key,
            life_s: life_s.max(limits::TOKEN_LIFE_MIN_S),
            renew_at_s: Self::NEVER,
        }
    }

    /// The hub took a token: the next one is due before it expires.
    pub(super) fn granted(&mut self, owner: Owner, now: Duration) {
        let seed = u64::from(owner.index) << 32 | u64::from(owner.epoch);
        let after = renewal_after(Duration::from_secs(self.life_s.into()), seed);
        self.renew_at_s = u32::try_from((now + after).as_secs()).unwrap_or(Self::NEVER);
    }

    /// When the next token is due, unless one is under way.
    pub(super) fn renew_at(&self) -> Option<Duration> {
        (self.renew_at_s != Self::NEVER).then(|| Duration::from_secs(self.renew_at_s.into()))
    }
}

/// How long after a token was taken the next one is due: 85 % of its life, for most a little less, so that those who came
/// together do not renew together. The same for the same seed.
pub(crate) fn renewal_after(life: Duration, seed: u64) -> Duration {
    // Fibonacci hashing: neighbours come out far apart.
    let chance = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
    let jitter = limits::TOKEN_RENEWAL_JITTER_PERCENT * 1_000 * chance / (1 << 16);
    let share = limits::TOKEN_RENEWAL_PERCENT * 1_000 - jitter;
    let ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
    // Divided first, so that no life is too long.
    Duration::from_millis(ms / 100_000 * share + ms % 100_000 * share / 100_000)
}

impl Device {
    /// Whether a link is its telemetry link, as far as it stands.
    pub(super) fn is_telemetry(&self, link: LinkId) -> bool {
        match self.phase {
            Phase::Open { telemetry } => telemetry == link,
            Phase::Opening { link: progress, .. } => match progress {
                Progress::Asked(asked)
                | Progress::AskedAgain(asked)
                | Progress::Attached(asked) => asked == link,
                Progress::Unasked | Progress::TooEarly => false,
            },
            Phase::Ending { .. } => false,
        }
    }
}

/// A link that says who attaches it.
pub(crate) fn named(mut options: LinkOptions) -> LinkOptions {
    options.properties = Some(Map(vec![(
        Value::Symbol(CLIENT_VERSION),
        Value::from(CLIENT_VERSION_TEXT),
    )]));
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_at_80_to_85_percent_of_their_life_each_device_at_its_own_time() {
        let hour = Duration::from_secs(3_600);
        let due: Vec<_> = (0..1_000)
            .map(|seed| renewal_after(hour, seed << 32))
            .collect();
        let (first, last) = (due.iter().min().unwrap(), due.iter().max().unwrap());
        assert!((2_880..2_890).contains(&first.as_secs()), "{first:?}");
        assert!((3_050..=3_060).contains(&last.as_secs()), "{last:?}");
        assert_eq!(renewal_after(hour, 7), renewal_after(hour, 7));
    }

    #[test]
    fn an_idle_device_is_small() {
        // There are 50,000 of them. Raise this knowingly.
        assert!(
            size_of::<Option<Device>>() <= 96,
            "{}",
            size_of::<Option<Device>>()
        );
    }
}
