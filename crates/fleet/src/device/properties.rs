//! Property tests: random inputs in random order.
//!
//! A model of the caller tracks its duties (permits, registrations, connections) and answers in random order, late, and with
//! answers to finished attempts. After each step the device must agree with it.

use drawspan_hub::{ConnectionStatus, Failure, FailureKind};
use proptest::prelude::*;

use super::*;

/// One kind for each remedy, and some more.
const KINDS: [FailureKind; 13] = [
    FailureKind::HubUnreachable,
    FailureKind::ConnectionLost,
    FailureKind::HubMaintenance,
    FailureKind::Unauthorized,
    FailureKind::DeviceNotFound,
    FailureKind::DeviceDisabled,
    FailureKind::LinkStolen,
    FailureKind::QuotaExceeded,
    FailureKind::Throttled,
    FailureKind::TokenLimit,
    FailureKind::ConnectionsFull,
    FailureKind::ServerError,
    FailureKind::Unknown,
];

#[derive(Debug, Clone)]
enum Step {
    Use {
        ago_s: u64,
    },
    Permanent(bool),
    Resync,
    TryAgain,
    AskDps(bool),
    Registered,
    Release,
    Relocate,
    Moved(bool),
    Advance {
        ms: u64,
    },
    /// To the next deadline, and beyond.
    Deadline {
        late_ms: u64,
    },
    /// An outdated deadline.
    EarlyDeadline,
    Permit,
    Assigned,
    AssignFailed(FailureKind),
    Opened,
    /// `OpenFailed` or `Lost`, whichever is due.
    Fails(FailureKind),
    Closed,
    /// Any answer with the epoch of an attempt that is over.
    Stale {
        answer: usize,
        epoch: usize,
    },
}

/// The connection as the caller has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    None,
    Opening(Epoch),
    Open(Epoch),
    /// Asked to close; its last state may still be reported.
    Closing(Epoch, Crossing),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crossing {
    Opening,
    Open,
    Nothing,
}

struct Caller {
    device: Device,
    now: Duration,
    requests: Vec<Epoch>,
    provisioning: Option<Epoch>,
    link: Link,
    over: Vec<Epoch>,
    jitter: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || proptest::sample::select(KINDS.as_slice());
    prop_oneof![
        1 => (0..700_u64).prop_map(|ago_s| Step::Use { ago_s }),
        1 => any::<bool>().prop_map(Step::Permanent),
        1 => Just(Step::Resync),
        1 => Just(Step::TryAgain),
        1 => any::<bool>().prop_map(Step::AskDps),
        1 => Just(Step::Registered),
        1 => Just(Step::Release),
        1 => Just(Step::Relocate),
        1 => any::<bool>().prop_map(Step::Moved),
        1 => (0..900_000_u64).prop_map(|ms| Step::Advance { ms }),
        3 => (0..2_000_u64).prop_map(|late_ms| Step::Deadline { late_ms }),
        1 => Just(Step::EarlyDeadline),
        4 => Just(Step::Permit),
        2 => Just(Step::Assigned),
        1 => kind().prop_map(Step::AssignFailed),
        3 => Just(Step::Opened),
        3 => kind().prop_map(Step::Fails),
        2 => Just(Step::Closed),
        1 => (0..7_usize, any::<usize>()).prop_map(|(answer, epoch)| Step::Stale { answer, epoch }),
    ]
}

fn assignment() -> impl Strategy<Value = Assignment> {
    prop_oneof![
        Just(Assignment::Fixed(hub())),
        Just(Assignment::dps(None)),
        Just(Assignment::dps(Some(hub()))),
    ]
}

fn hub() -> HostName {
    HostName::parse("h.net").unwrap()
}

impl Caller {
    fn new(assignment: Assignment, jitter: u64) -> Self {
        Self {
            device: Device::new(assignment),
            now: Duration::from_secs(10_000),
            requests: Vec::new(),
            provisioning: None,
            link: Link::None,
            over: Vec::new(),
            jitter,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Use { ago_s } => {
                let at = self.now - Duration::from_secs(*ago_s);
                self.input(Input::Use { at });
            }
            Step::Permanent(permanent) => self.input(Input::Permanent(*permanent)),
            Step::Resync => self.input(Input::Resync),
            Step::TryAgain => self.input(Input::TryAgain),
            Step::AskDps(anyway) => self.input(Input::AskDps { anyway: *anyway }),
            Step::Registered => self.input(Input::Registered { hub: hub() }),
            Step::Relocate => self.input(Input::Relocate),
            Step::Moved(back) => {
                let name = if *back { "h.net" } else { "other.net" };
                let hub = HostName::parse(name).unwrap();
                self.input(Input::Moved { hub });
            }
            Step::Release => self.input(Input::Release),
            Step::Advance { ms } => self.now += Duration::from_millis(*ms),
            Step::Deadline { late_ms } => self.deadline(Duration::from_millis(*late_ms)),
            Step::EarlyDeadline => self.input(Input::Deadline),
            Step::Permit => self.permit(),
            Step::Assigned => {
                if let Some(epoch) = self.provisioning.take() {
                    self.input(Input::Assigned { epoch, hub: hub() });
                }
            }
            Step::AssignFailed(kind) => {
                if let Some(epoch) = self.provisioning.take() {
                    let failure = &Failure::local(*kind, "");
                    self.input(Input::AssignFailed { epoch, failure });
                }
            }
            Step::Opened => self.opened(),
            Step::Fails(kind) => self.fails(*kind),
            Step::Closed => {
                if let Link::Closing(epoch, _) = self.link {
                    self.link = Link::None;
                    self.input(Input::Closed { epoch });
                }
            }
            Step::Stale { answer, epoch } => self.stale(*answer, *epoch),
        }
        self.agrees();
    }

    fn permit(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let epoch = self.requests.remove(0);
        self.input(Input::Permit { epoch });
    }

    fn opened(&mut self) {
        match self.link {
            Link::Opening(epoch) => {
                self.link = Link::Open(epoch);
                self.input(Input::Opened { epoch });
            }
            Link::Closing(epoch, Crossing::Opening) => {
                self.link = Link::Closing(epoch, Crossing::Open);
                self.input(Input::Opened { epoch });
            }
            _ => {}
        }
    }

    fn fails(&mut self, kind: FailureKind) {
        let failure = &Failure::local(kind, "");
        match self.link {
            Link::Opening(epoch) => {
                self.link = Link::None;
                self.input(Input::OpenFailed { epoch, failure });
            }
            Link::Open(epoch) => {
                self.link = Link::None;
                self.input(Input::Lost { epoch, failure });
            }
            Link::Closing(epoch, Crossing::Opening) => {
                self.link = Link::Closing(epoch, Crossing::Nothing);
                self.input(Input::OpenFailed { epoch, failure });
            }
            Link::Closing(epoch, Crossing::Open) => {
                self.link = Link::Closing(epoch, Crossing::Nothing);
                self.input(Input::Lost { epoch, failure });
            }
            _ => {}
        }
    }

    fn deadline(&mut self, late: Duration) {
        let Some(due) = self.device.next_deadline() else {
            return;
        };
        self.now = self.now.max(due) + late;
        self.input(Input::Deadline);
        let next = self.device.next_deadline();
        assert!(
            next.is_none_or(|next| next > self.now),
            "{next:?} at {:?}",
            self.now
        );
    }

    /// Finished attempts change nothing.
    fn stale(&mut self, answer: usize, epoch: usize) {
        if self.over.is_empty() {
            return;
        }
        let epoch = self.over[epoch % self.over.len()];
        let failure = &Failure::local(FailureKind::Unauthorized, "");
        let input = match answer {
            0 => Input::Permit { epoch },
            1 => Input::Assigned { epoch, hub: hub() },
            2 => Input::AssignFailed { epoch, failure },
            3 => Input::Opened { epoch },
            4 => Input::OpenFailed { epoch, failure },
            5 => Input::Lost { epoch, failure },
            _ => Input::Closed { epoch },
        };
        let gives_back = match answer {
            0 => Some(Effect::ReturnPermit { epoch }),
            3 => Some(Effect::Close { epoch }),
            _ => None,
        };
        let before = self.device.clone();
        let effects = self.handle(input);
        assert_eq!(self.device, before);
        assert_eq!(effects, gives_back.into_iter().collect::<Vec<_>>());
    }

    fn handle(&mut self, input: Input<'_>) -> Vec<Effect> {
        self.jitter = self
            .jitter
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let now = Now {
            monotonic: self.now,
            unix_s: 1_700_000_000 + self.now.as_secs(),
        };
        let effects = self.device.handle(input, now, Jitter(self.jitter));
        effects.into_iter().collect()
    }

    fn input(&mut self, input: Input<'_>) {
        let permit = match &input {
            Input::Permit { epoch } => Some(*epoch),
            _ => None,
        };
        let before = (self.device.status(), self.device.epoch());
        let mut shown = before.0;
        for effect in self.handle(input) {
            match effect {
                Effect::StatusChanged {
                    status,
                    reason,
                    why,
                    is_new,
                } => {
                    let is_known = shown == Some((status, reason));
                    assert_ne!(is_known, is_new, "not news");
                    assert_eq!(why.cause(), self.device.cause, "every cause is told");
                    shown = Some((status, reason));
                }
                _ => self.carry_out(effect, permit),
            }
        }
        assert_eq!(self.device.status(), shown, "every change is told");
        if self.device.epoch() != before.1 {
            self.over.push(before.1);
        }
    }

    fn carry_out(&mut self, effect: Effect, permit: Option<Epoch>) {
        match effect {
            Effect::RequestPermit { epoch } => {
                assert_eq!(epoch, self.device.epoch());
                assert_eq!(self.link, Link::None, "the last attempt is over");
                self.requests.push(epoch);
            }
            Effect::ReturnPermit { epoch } => {
                assert_eq!(permit, Some(epoch), "only what was given");
            }
            Effect::Provision { epoch } => {
                assert_eq!(self.provisioning.replace(epoch), None, "one registration");
            }
            Effect::Open { epoch, .. } => {
                assert_eq!(self.link, Link::None, "one connection");
                assert!(self.device.hub().is_some());
                self.link = Link::Opening(epoch);
            }
            Effect::Close { epoch } => {
                self.link = match self.link {
                    Link::Opening(open) if open == epoch => Link::Closing(epoch, Crossing::Opening),
                    Link::Open(open) if open == epoch => Link::Closing(epoch, Crossing::Open),
                    other => panic!("close of {epoch:?} while {other:?}"),
                };
            }
            Effect::StatusChanged { .. } => {}
        }
    }

    /// The device and its caller mean the same.
    fn agrees(&self) {
        let epoch = self.device.epoch();
        let link = match self.device.state() {
            State::Connecting => Link::Opening(epoch),
            State::Connected { .. } => Link::Open(epoch),
            State::Closing => match self.link {
                Link::Closing(closing, crossing) if closing == epoch => {
                    Link::Closing(epoch, crossing)
                }
                other => panic!("closing, but {other:?}"),
            },
            _ => Link::None,
        };
        assert_eq!(self.link, link);
        let provisioning = self.device.state() == State::Provisioning;
        assert_eq!(self.provisioning.is_some(), provisioning);
        let queued = self.device.state() == State::Queued;
        assert!(
            !queued || self.requests.contains(&epoch),
            "a permit will come"
        );
        let connected =
            self.device.status().map(|words| words.0) == Some(ConnectionStatus::Connected);
        let standing = matches!(self.link, Link::Open(_));
        assert_eq!(connected, standing, "said to be connected while it is");
    }

    /// All is answered well until nothing more is to be answered.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.take(&Step::Assigned);
            self.take(&Step::Permit);
            self.take(&Step::Opened);
            self.take(&Step::Closed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn device_and_caller_agree(
        assignment in assignment(),
        jitter in any::<u64>(),
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut caller = Caller::new(assignment, jitter);
        for step in &steps {
            caller.take(step);
        }

        // Wanted and well answered, it connects.
        caller.take(&Step::Permanent(true));
        caller.settle();
        for _ in 0..3 {
            caller.take(&Step::Deadline { late_ms: 0 });
            caller.settle();
        }
        let state = caller.device.state();
        prop_assert!(matches!(state, State::Connected { .. }), "{:?}", state);

        // Unwanted, it ends.
        caller.take(&Step::Permanent(false));
        caller.take(&Step::Deadline { late_ms: 0 });
        caller.settle();
        prop_assert_eq!(caller.device.state(), State::Idle);
        // A registration may still count.
        caller.take(&Step::Deadline { late_ms: 0 });
        prop_assert_eq!(caller.device.next_deadline(), None);
        prop_assert_eq!(caller.link, Link::None);
    }
}
