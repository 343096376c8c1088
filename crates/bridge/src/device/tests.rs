//! The life of a device, told in steps.

use drawspan_hub::failure::Until;

use super::*;

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
        self.device.handle(input, now, MIDDLE).into_iter().collect()
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

    fn assigned(&mut self, name: &str) -> Vec<Effect> {
        self.input(Input::Assigned {
            epoch: self.epoch(),
            hub: hub(name),
        })
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
        self.opens_as(How::USUAL)
    }

    fn opens_as(&self, how: How) -> Effect {
        Effect::Open {
            epoch: self.epoch(),
            how,
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

const fn shows((status, reason): Words) -> Effect {
    Effect::StatusChanged { status, reason }
}

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn is_small() {
    assert!(size_of::<Device>() <= 160, "{}", size_of::<Device>());
    assert!(size_of::<Effects>() <= 40, "{}", size_of::<Effects>());
}

#[test]
fn a_use_connects_for_ten_minutes() {
    let mut life = Life::new(Assignment::Fixed(hub("h.net")));
    assert_eq!(life.device.status(), None);

    assert_eq!(life.input(USED), [life.asks_permit()]);
    assert_eq!(life.permit(), [life.opens()]);
    assert_eq!(life.device.status(), None);
    assert_eq!(life.opened(), [shows(CONNECTED)]);

    let (waited, effects) = life.deadline();
    assert_eq!(waited, s(600));
    assert_eq!(effects, [shows(DISABLED), life.closes()]);
    assert_eq!(life.device.next_deadline(), None);
    assert_eq!(life.closed(), []);
    assert_eq!(life.device.state(), State::Idle);
}

#[test]
fn a_use_lengthens_and_never_shortens() {
    let mut life = Life::new(Assignment::Fixed(hub("h.net")));
    life.input(USED);
    life.later(100);
    let at = life.now;
    life.input(Input::Use { at });
    assert_eq!(life.device.next_deadline(), Some(s(700)));
    // A use told late.
    life.input(Input::Use { at: s(50) });
    assert_eq!(life.device.next_deadline(), Some(s(700)));
    // One so late that it is over wakes nobody.
    let mut life = Life::new(Assignment::Fixed(hub("h.net")));
    life.later(2000);
    assert_eq!(life.input(USED), []);
    assert_eq!(life.device.state(), State::Idle);
}

#[test]
fn subscriptions_keep_it_connected() {
    let mut life = Life::connected();
    assert_eq!(life.device.next_deadline(), None);
    let at = life.now;
    life.input(Input::Use { at });
    assert_eq!(life.device.next_deadline(), None);

    life.later(60);
    assert_eq!(
        life.input(Input::Permanent(false)),
        [],
        "the use still wants it"
    );
    assert_eq!(life.deadline().1, [shows(DISABLED), life.closes()]);

    let mut life = Life::connected();
    assert_eq!(
        life.input(Input::Permanent(false)),
        [shows(DISABLED), life.closes()]
    );
}

#[test]
fn every_state_ends_when_nothing_is_wanted() {
    let mut queued = Life::queued();
    assert_eq!(queued.input(Input::Permanent(false)), []);
    assert_eq!(queued.device.state(), State::Idle);
    assert_eq!(queued.device.status(), None, "it never tried");

    let mut connecting = Life::connecting();
    assert_eq!(
        connecting.input(Input::Permanent(false)),
        [shows(DISABLED), connecting.closes()]
    );
    // The open had been answered before the close was seen.
    assert_eq!(connecting.opened(), []);
    connecting.closed();
    assert_eq!(connecting.device.state(), State::Idle);

    let mut waiting = Life::connecting();
    waiting.open_failed(FailureKind::ServerError);
    assert_eq!(waiting.input(Input::Permanent(false)), [shows(DISABLED)]);
    assert_eq!(waiting.device.state(), State::Idle);

    let mut yielded = Life::connected();
    yielded.lost(FailureKind::LinkStolen);
    assert_eq!(yielded.input(Input::Permanent(false)), [shows(DISABLED)]);
    assert_eq!(yielded.device.state(), State::Idle);

    let mut provisioning = Life::new(Assignment::dps(None));
    provisioning.input(Input::Permanent(true));
    provisioning.permit();
    assert_eq!(provisioning.input(Input::Permanent(false)), []);
    assert_eq!(provisioning.device.state(), State::Provisioning);
    assert_eq!(provisioning.assigned("h.net"), []);
    assert_eq!(provisioning.device.state(), State::Idle);
    assert_eq!(provisioning.device.hub(), Some(&hub("h.net")), "kept");
}

#[test]
fn wanted_again_while_closing() {
    let mut life = Life::connected();
    life.input(Input::Permanent(false));
    assert_eq!(life.input(Input::Permanent(true)), []);
    let before = life.epoch();
    assert_eq!(life.closed(), [life.asks_permit()]);
    assert_ne!(life.epoch(), before);
}

#[test]
fn failures_are_retried_quickly_then_slowly_for_ever() {
    let mut life = Life::connecting();
    assert_eq!(
        life.open_failed(FailureKind::ServerError),
        [shows(RETRYING)]
    );
    let (first, _) = life.deadline();
    assert_eq!(first, Duration::from_millis(100));
    life.permit();
    life.open_failed(FailureKind::ServerError);

    let mut attempts = 2;
    let effects = loop {
        assert_eq!(life.device.status(), Some(RETRYING));
        attempts += 1;
        let effects = life.fail_again(FailureKind::ServerError);
        if !effects.is_empty() {
            break effects;
        }
    };
    assert!((30..40).contains(&attempts), "{attempts}");
    assert!((s(300)..s(310)).contains(&life.now), "{:?}", life.now);
    assert_eq!(effects, [shows(EXPIRED)]);
    assert_eq!(life.deadline().0, s(150));
    life.permit();
    for _ in 0..20 {
        assert_eq!(life.open_failed(FailureKind::ServerError), []);
        assert_eq!(life.deadline().1, [life.asks_permit()]);
        life.permit();
    }
    life.open_failed(FailureKind::ServerError);
    assert_eq!(life.deadline().0, s(900), "the middle of 0 to 1800");
    life.permit();
    assert_eq!(life.opened(), [shows(CONNECTED)]);
}

#[test]
fn a_connection_that_keeps_breaking_is_one_series() {
    let mut life = Life::connected();
    for _ in 0..8 {
        life.later(5);
        life.lost(FailureKind::ConnectionLost);
        life.deadline();
        life.permit();
        life.opened();
    }
    life.lost(FailureKind::ConnectionLost);
    assert_eq!(life.deadline().0, s(10));
    life.permit();
    life.opened();

    life.later(60);
    life.lost(FailureKind::ConnectionLost);
    assert_eq!(
        life.deadline().0,
        Duration::from_millis(100),
        "it had stood"
    );
}

#[test]
fn a_request_cuts_a_wait_short_once_a_minute() {
    let mut life = Life::connecting();
    life.open_failed(FailureKind::DeviceNotFound);
    let request = |life: &mut Life| {
        let at = life.now;
        life.input(Input::Use { at })
    };
    assert_eq!(request(&mut life), [life.asks_permit()]);
    life.permit();
    life.open_failed(FailureKind::DeviceNotFound);
    assert!((0..1000).all(|_| request(&mut life).is_empty()));
    life.later(59);
    assert_eq!(request(&mut life), []);
    life.later(1);
    assert_eq!(request(&mut life), [life.asks_permit()]);
}

#[test]
fn an_unreachable_hub_is_not_the_devices_failure() {
    let mut life = Life::connected();
    life.later(3600);
    assert_eq!(
        life.lost(FailureKind::ConnectionLost),
        [shows(RETRYING)],
        "the connection broke first"
    );
    life.deadline();
    for _ in 0..1000 {
        life.permit();
        life.later(2);
        assert_eq!(
            life.open_failed(FailureKind::HubUnreachable),
            [life.asks_permit()]
        );
        assert_eq!(life.device.state(), State::Queued);
    }
    life.permit();
    life.open_failed(FailureKind::ServerError);
    assert!(life.waits());
    assert!(!life.device.trouble.may_have_moved(life.now));
}

#[test]
fn what_the_hub_named_is_waited_for() {
    let mut life = Life::connecting();
    let throttled = Failure {
        retry_after_s: Some(100),
        ..Failure::local(FailureKind::Throttled, "")
    };
    let epoch = life.epoch();
    life.input(Input::OpenFailed {
        epoch,
        failure: &throttled,
    });
    let at = life.now;
    assert_eq!(life.input(Input::Use { at }), [], "a request does not help");
    assert_eq!(life.deadline().0, s(110));

    life.permit();
    life.open_failed(FailureKind::QuotaExceeded);
    let (waited, _) = life.deadline();
    let at_unix_s = MORNING_UNIX_S + life.now.as_secs();
    assert_eq!(at_unix_s % 86_400, 30, "half a minute past midnight");
    assert!(waited > s(13 * 3600));

    life.permit();
    life.open_failed(FailureKind::QuotaExceeded);
    assert_eq!(life.input(Input::Resync), [life.asks_permit()]);
}

#[test]
fn credentials_are_renewed_once_before_they_are_blamed() {
    let fresh = How {
        fresh_token: true,
        ..How::USUAL
    };
    let mut life = Life::connected();
    life.later(3600);
    assert_eq!(life.lost(FailureKind::Unauthorized), [shows(RETRYING)]);
    life.deadline();
    assert_eq!(life.permit(), [life.opens_as(fresh)]);
    // It did not come to trying it.
    life.open_failed(FailureKind::HubUnreachable);
    assert_eq!(life.permit(), [life.opens_as(fresh)]);
    assert_eq!(
        life.open_failed(FailureKind::Unauthorized),
        [shows(BAD_CREDENTIAL)]
    );
    life.deadline();
    life.permit();
    assert_eq!(life.opened(), [shows(CONNECTED)]);

    // After a good connection it starts again.
    life.later(60);
    assert_eq!(life.lost(FailureKind::Unauthorized), [shows(RETRYING)]);
    life.deadline();
    assert_eq!(life.permit(), [life.opens_as(fresh)]);
}

#[test]
fn a_full_connection_is_avoided_once() {
    let other = How {
        other_connection: true,
        ..How::USUAL
    };
    let mut life = Life::connecting();
    life.open_failed(FailureKind::TokenLimit);
    life.deadline();
    assert_eq!(life.permit(), [life.opens_as(other)]);
    life.opened();
    life.lost(FailureKind::ConnectionLost);
    life.deadline();
    assert_eq!(life.permit(), [life.opens()]);
}

#[test]
fn a_stolen_device_steps_back() {
    let mut life = Life::connected();
    assert_eq!(life.lost(FailureKind::LinkStolen), [shows(RETRYING)]);
    let at = life.now;
    assert_eq!(
        life.input(Input::Use { at }),
        [],
        "a request steals nothing back"
    );
    assert_eq!(life.deadline().0, s(20), "the middle of 10 to 30");
    life.permit();
    life.opened();

    life.later(120);
    life.lost(FailureKind::LinkStolen);
    assert_eq!(life.deadline().0, s(155), "the middle of 10 to 300");
    life.permit();
    life.opened();

    life.later(120);
    life.lost(FailureKind::LinkStolen);
    assert_eq!(
        life.input(Input::Permanent(true)),
        [life.asks_permit()],
        "a subscription does"
    );
    life.permit();
    life.opened();
    life.lost(FailureKind::LinkStolen);
    assert_eq!(
        life.input(Input::Resync),
        [life.asks_permit()],
        "and so does resync"
    );
    life.permit();
    life.opened();

    life.later(1800);
    life.lost(FailureKind::LinkStolen);
    assert_eq!(life.deadline().0, s(20), "forgotten");
}

#[test]
fn an_unknown_hub_is_asked_of_dps() {
    let mut life = Life::new(Assignment::dps(None));
    assert_eq!(life.input(USED), [life.asks_permit()]);
    assert_eq!(life.permit(), [life.provisions()]);
    assert_eq!(life.device.next_deadline(), None);
    assert_eq!(life.assigned("a.net"), [life.opens()]);
    assert_eq!(life.device.hub(), Some(&hub("a.net")));

    let mut life = Life::new(Assignment::dps(Some(hub("cached.net"))));
    life.input(USED);
    assert_eq!(life.permit(), [life.opens()]);
}

#[test]
fn a_device_that_its_hub_does_not_know_registers_again_within_its_budget() {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    assert_eq!(
        life.open_failed(FailureKind::DeviceNotFound),
        [shows(DEVICE_DISABLED)]
    );
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    assert_eq!(life.assigned("b.net"), [life.opens()]);

    // The new hub does not know it either. The registration was at 100 ms.
    let mut registered_at = life.now;
    for expected in [300, 600, 1200, 1800, 1800] {
        life.open_failed(FailureKind::DeviceNotFound);
        while life.waits() {
            let at = life.now;
            life.input(Input::Use { at });
            if life.waits() {
                life.deadline();
            }
        }
        assert_eq!(life.permit(), [life.provisions()]);
        assert_eq!(life.now - registered_at, s(expected));
        registered_at = life.now;
        life.assigned("b.net");
    }

    // A connection that stands ends that.
    life.opened();
    life.later(3600);
    life.lost(FailureKind::DeviceNotFound);
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    assert!(!life.device.is_forgettable(Now {
        monotonic: life.now,
        unix_s: 0
    }));
    life.assign_failed(FailureKind::DeviceNotFound);
    life.deadline();
    assert_eq!(life.deadline().0 + Duration::from_millis(200), s(300));
}

#[test]
fn without_dps_a_refused_device_is_tried_on() {
    let mut life = Life::connecting();
    assert_eq!(
        life.open_failed(FailureKind::DeviceNotFound),
        [shows(DEVICE_DISABLED)]
    );
    for _ in 0..100 {
        life.fail_again(FailureKind::DeviceNotFound);
    }
    assert_eq!(life.device.status(), Some(DEVICE_DISABLED));
}

#[test]
fn ten_failures_and_a_quarter_of_an_hour_ask_dps() {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.open_failed(FailureKind::ServerError);
    let began = life.now;
    loop {
        life.deadline();
        let effects = life.permit();
        if effects == [life.provisions()] {
            break;
        }
        assert_eq!(effects, [life.opens()]);
        life.open_failed(FailureKind::ServerError);
    }
    assert!(life.now - began >= s(900), "{:?}", life.now);
    assert!(life.now - began < s(2400), "{:?}", life.now);

    // Not because of load.
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.open_failed(FailureKind::Throttled);
    for _ in 0..500 {
        life.deadline();
        assert_eq!(life.permit(), [life.opens()]);
        life.open_failed(FailureKind::Throttled);
    }
}

#[test]
fn when_dps_does_not_answer_a_known_hub_is_tried_and_nothing_is_charged() {
    let mut life = Life::new(Assignment::dps(Some(hub("a.net"))));
    life.input(Input::Permanent(true));
    life.permit();
    life.open_failed(FailureKind::DeviceNotFound);
    life.deadline();
    assert_eq!(life.permit(), [life.provisions()]);
    life.assign_failed(FailureKind::ServerError);
    life.deadline();
    assert_eq!(life.permit(), [life.opens()], "the known hub");

    let mut life = Life::new(Assignment::dps(None));
    life.input(Input::Permanent(true));
    for _ in 0..10 {
        assert_eq!(life.permit(), [life.provisions()]);
        assert_eq!(life.device.state(), State::Provisioning);
        let effects = life.assign_failed(FailureKind::HubUnreachable);
        assert!(effects.contains(&life.asks_permit()));
    }
}

#[test]
fn an_idle_device_is_forgettable_once_its_registration_is_no_longer_counted() {
    let mut life = Life::new(Assignment::dps(None));
    life.input(Input::Permanent(true));
    life.permit();
    life.input(Input::Permanent(false));
    life.assigned("a.net");
    let forgettable = |life: &Life| {
        life.device.is_forgettable(Now {
            monotonic: life.now,
            unix_s: 0,
        })
    };
    assert!(!forgettable(&life));
    life.later(300);
    assert!(forgettable(&life));
    assert!(!forgettable(&Life::connected()));
}

#[test]
fn answers_to_something_over_change_nothing_and_are_given_back() {
    let mut life = Life::queued();
    let old = life.epoch();
    life.input(Input::Permanent(false));
    life.input(Input::Permanent(true));
    let before = life.device.clone();

    assert_eq!(
        life.input(Input::Permit { epoch: old }),
        [Effect::ReturnPermit { epoch: old }]
    );
    assert_eq!(
        life.input(Input::Opened { epoch: old }),
        [Effect::Close { epoch: old }]
    );
    let failure = Failure::local(FailureKind::Unauthorized, "");
    let failure = &failure;
    for stale in [
        Input::OpenFailed {
            epoch: old,
            failure,
        },
        Input::Lost {
            epoch: old,
            failure,
        },
        Input::AssignFailed {
            epoch: old,
            failure,
        },
        Input::Assigned {
            epoch: old,
            hub: hub("x.net"),
        },
        Input::Closed { epoch: old },
    ] {
        assert_eq!(life.input(stale), []);
    }
    assert_eq!(life.device, before);
}

#[test]
fn a_connection_closed_unasked_is_lost() {
    let mut life = Life::connected();
    assert_eq!(life.closed(), [shows(RETRYING)]);
    assert!(life.waits());
}

#[test]
fn says_why_it_waits() {
    let mut life = Life::connecting();
    let failure = Failure::from_amqp("amqp:not-found", Some(r#"{"errorCode":404001}"#));
    let epoch = life.epoch();
    life.input(Input::OpenFailed {
        epoch,
        failure: &failure,
    });
    let State::Waiting { why, firm, .. } = life.device.state() else {
        panic!("{:?}", life.device.state());
    };
    assert_eq!(why.kind, FailureKind::DeviceNotFound);
    assert_eq!(why.code.map(ErrorCode::number), Some(404_001));
    assert!(!firm);
    assert_eq!(
        Failure::local(FailureKind::Throttled, "").remedy(),
        drawspan_hub::Remedy::WaitUntil(Until::After { seconds: 10 })
    );
}
