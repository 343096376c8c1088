//! The life of a device, in steps.

use drawspan_hub::failure::Until;
use drawspan_hub::{Failure, FailureKind};

use super::*;

mod causes;
mod demand;
mod dps;
mod epochs;
mod failures;
mod outlook;

const MIDDLE: Jitter = Jitter(1 << 63);
/// 10:00:00 UTC of some day.
const MORNING_UNIX_S: u64 = 86_400 * 20_000 + 36_000;

const USED: Input<'_> = Input::Use { at: Duration::ZERO };

type Words = (ConnectionStatus, ConnectionStatusReason);
const CONNECTED: Words = (
    ConnectionStatus::Connected,
    ConnectionStatusReason::ConnectionOk,
);
const EXPIRED: Words = (
    ConnectionStatus::Disconnected,
    ConnectionStatusReason::RetryExpired,
);
const BAD_CREDENTIAL: Words = (
    ConnectionStatus::Disconnected,
    ConnectionStatusReason::BadCredential,
);
const DEVICE_DISABLED: Words = (
    ConnectionStatus::Disconnected,
    ConnectionStatusReason::DeviceDisabled,
);

/// A device on virtual time.
struct Life {
    device: Device,
    now: Duration,
}

impl Life {
    fn new(assignment: Assignment) -> Self {
        Self {
            device: Device::new(assignment),
            now: Duration::ZERO,
        }
    }

    /// At a fixed hub, with subscriptions, waiting for its permit.
    fn queued() -> Self {
        let mut life = Self::new(Assignment::Fixed(hub("h.net")));
        life.input(Input::Permanent(true));
        life
    }

    fn connecting() -> Self {
        let mut life = Self::queued();
        life.permit();
        life
    }

    fn connected() -> Self {
        let mut life = Self::connecting();
        life.opened();
        life
    }

    fn input(&mut self, input: Input<'_>) -> Vec<Effect> {
        let now = Now {
            monotonic: self.now,
            unix_s: MORNING_UNIX_S + self.now.as_secs(),
        };
        let effects = self.device.handle(input, now, MIDDLE).into_iter();
        effects.filter_map(words_only).collect()
    }

    /// The same, with the cause of each change.
    fn changes(&mut self, input: Input<'_>) -> Vec<(Words, bool, Option<ConnectionCause>)> {
        let now = Now {
            monotonic: self.now,
            unix_s: MORNING_UNIX_S + self.now.as_secs(),
        };
        let effects = self.device.handle(input, now, MIDDLE).into_iter();
        let change = |effect| match effect {
            Effect::StatusChanged {
                status,
                reason,
                why,
                is_new,
            } => Some(((status, reason), is_new, why.cause())),
            _ => None,
        };
        effects.filter_map(change).collect()
    }

    fn epoch(&self) -> Epoch {
        self.device.epoch()
    }

    fn permit(&mut self) -> Vec<Effect> {
        self.input(Input::Permit {
            epoch: self.epoch(),
        })
    }

    fn opened(&mut self) -> Vec<Effect> {
        self.input(Input::Opened {
            epoch: self.epoch(),
        })
    }

    fn closed(&mut self) -> Vec<Effect> {
        self.input(Input::Closed {
            epoch: self.epoch(),
        })
    }

    fn open_failed(&mut self, kind: FailureKind) -> Vec<Effect> {
        let failure = Failure::local(kind, "");
        self.input(Input::OpenFailed {
            epoch: self.epoch(),
            failure: &failure,
        })
    }

    fn lost(&mut self, kind: FailureKind) -> Vec<Effect> {
        let failure = Failure::local(kind, "");
        self.input(Input::Lost {
            epoch: self.epoch(),
            failure: &failure,
        })
    }

    /// DPS names the hub, whose permit is then asked for, and given if it is.
    fn assigned(&mut self, name: &str) -> Vec<Effect> {
        let effects = self.input(Input::Assigned {
            epoch: self.epoch(),
            hub: hub(name),
        });
        if effects == [self.asks_permit()] {
            return self.permit();
        }
        effects
    }

    fn assign_failed(&mut self, kind: FailureKind) -> Vec<Effect> {
        let failure = Failure::local(kind, "");
        self.input(Input::AssignFailed {
            epoch: self.epoch(),
            failure: &failure,
        })
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Lets the next deadline come; returns how long that took.
    fn deadline(&mut self) -> (Duration, Vec<Effect>) {
        let due = self.device.next_deadline().expect("a deadline");
        let waited = due - self.now;
        self.now = due;
        (waited, self.input(Input::Deadline))
    }

    /// From `Waiting` to the next failure of the same kind.
    fn fail_again(&mut self, kind: FailureKind) -> Vec<Effect> {
        let (_, effects) = self.deadline();
        assert_eq!(effects, [self.asks_permit()]);
        self.permit();
        self.open_failed(kind)
    }

    fn asks_permit(&self) -> Effect {
        Effect::RequestPermit {
            epoch: self.epoch(),
        }
    }

    fn opens(&self) -> Effect {
        self.opens_as(OpenOptions::USUAL)
    }

    fn opens_as(&self, options: OpenOptions) -> Effect {
        Effect::Open {
            epoch: self.epoch(),
            options,
        }
    }

    fn closes(&self) -> Effect {
        Effect::Close {
            epoch: self.epoch(),
        }
    }

    fn provisions(&self) -> Effect {
        Effect::Provision {
            epoch: self.epoch(),
        }
    }

    fn waits(&self) -> bool {
        matches!(self.device.state(), State::Waiting { .. })
    }
}

fn hub(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

/// Without causes, which have tests of their own.
fn words_only(effect: Effect) -> Option<Effect> {
    match effect {
        Effect::StatusChanged { is_new: false, .. } => None,
        Effect::StatusChanged { status, reason, .. } => Some(shows((status, reason))),
        effect => Some(effect),
    }
}

const fn shows((status, reason): Words) -> Effect {
    Effect::StatusChanged {
        status,
        reason,
        why: Why::Connected,
        is_new: true,
    }
}

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn is_small() {
    assert!(size_of::<Device>() <= 168, "{}", size_of::<Device>());
    assert!(size_of::<Effects>() <= 40, "{}", size_of::<Effects>());
}
