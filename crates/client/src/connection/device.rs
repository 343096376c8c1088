//! One device on a connection.

use std::collections::VecDeque;
use std::time::Duration;

use drawspan_amqp::engine::{LinkId, LinkOptions, SessionId};
use drawspan_amqp::value::{Map, Symbol, Value};
use drawspan_hub::{AttemptId, DeviceId, Failure, FailureKind, WhichKey};

use super::Send;
use super::links::Links;
use super::renewal_schedule::{Renewal, Step};
use super::reply::Reply;
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
    pub(super) attempt: AttemptId,
    pub(super) session: SessionId,
    pub(super) phase: Phase,
    /// Messages that wait for credit or room, oldest first.
    #[expect(
        clippy::box_collection,
        reason = "24 bytes less for all the devices that wait for nothing"
    )]
    pub(super) waiting: Option<Box<VecDeque<(Send, Reply)>>>,
    /// The device's links in addition to telemetry.
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
    /// The session is ending, either on request or for a reason that was reported already. The hub's answer is due then, in
    /// milliseconds of the connection's clock.
    Ending {
        asked: bool,
        until_ms: u64,
    },
}

/// The state of the telemetry link of a device that is being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Unasked,
    Asked(LinkId),
    /// The hub refused it for want of the token that it had been sent.
    TooEarly,
    /// Requested once more.
    AskedAgain(LinkId),
    Attached(LinkId),
}

/// How a device's own token is made, and when the next one is due. Unused where the connection's token serves.
#[derive(Debug)]
pub(super) struct TokenPlan {
    pub(super) key: WhichKey,
    pub(super) life_s: u32,
    renewal: Renewal,
}

impl TokenPlan {
    pub(super) fn new(key: WhichKey, life_s: u32) -> Self {
        Self {
            key,
            life_s: life_s.max(limits::TOKEN_LIFE_MIN_S),
            renewal: Renewal::default(),
        }
    }

    /// The hub took a token that was made at `made`.
    pub(super) fn granted(&mut self, attempt: AttemptId, made: Duration) {
        self.renewal.granted(made, self.life(), seed(attempt));
    }

    /// The hub did not take a token.
    ///
    /// # Errors
    /// As [`Renewal::failed`].
    pub(super) fn failed(
        &mut self,
        attempt: AttemptId,
        failure: Failure,
        now: Duration,
    ) -> Result<(), Failure> {
        if failure.kind == FailureKind::Unauthorized {
            // A key may have been exchanged at the hub.
            self.key = self.key.other();
        }
        self.renewal
            .failed(failure, now, self.life(), seed(attempt))
    }

    /// The next step that is due.
    pub(super) fn step(&mut self, now: Duration) -> Step {
        self.renewal.step(now, self.life())
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.renewal.deadline(self.life())
    }

    fn life(&self) -> Duration {
        Duration::from_secs(self.life_s.into())
    }
}

/// Source of variation between devices' times.
fn seed(attempt: AttemptId) -> u64 {
    u64::from(attempt.device) << 32 | u64::from(attempt.serial)
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
    fn an_idle_device_is_small() {
        // 50,000 of these exist at once. Raise this knowingly.
        assert!(
            size_of::<Option<Device>>() <= 104,
            "{}",
            size_of::<Option<Device>>()
        );
    }
}
