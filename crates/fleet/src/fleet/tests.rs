//! A fleet and its caller, in steps.

use std::time::Duration;

use drawspan_hub::{AttemptId, DeviceId, Failure, FailureKind, HostName};

use super::*;
use crate::governor::Pace;

mod contact;
mod gone_hubs;
mod pace;
mod queues;
mod quota;
mod refusals;

#[derive(Debug, Default)]
struct Notes {
    callers: Vec<CallerId>,
    last_use: Option<Duration>,
}

impl Context for Notes {
    fn callers(&self) -> impl Iterator<Item = CallerId> {
        self.callers.iter().copied()
    }

    fn may_be_forgotten(&self) -> bool {
        self.callers.is_empty()
    }

    fn last_use(&self) -> Option<Duration> {
        self.last_use
    }
}

const CALLER: CallerId = CallerId(0);

struct Process {
    fleet: Fleet<Notes>,
    now: Duration,
}

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn id(number: u32) -> DeviceId {
    DeviceId::parse(&format!("d{number}")).unwrap()
}

fn failure(kind: FailureKind) -> Failure {
    Failure::local(kind, "")
}

impl Process {
    fn new() -> Self {
        let config = FleetConfig {
            hub_pace: Pace::Unlimited,
            dps_pace: Pace::Unlimited,
            dps: host("dps.net"),
            credentials: CredentialScope::Device,
            max_devices: 1_000,
            max_hubs: 2,
            hub_gone_after: crate::limits::HUB_GONE_AFTER,
            seed: 7,
        };
        Self {
            fleet: Fleet::new(config),
            now: Duration::from_secs(1_000),
        }
    }

    fn now(&self) -> Now {
        Now {
            monotonic: self.now,
            unix_s: 1_700_000_000 + self.now.as_secs(),
        }
    }

    fn uses(&mut self, number: u32, assignment: Assignment) -> u32 {
        let index = self.fleet.device(&id(number), || assignment).unwrap();
        self.fleet.used(index, CALLER, self.now, self.now());
        index
    }

    /// A caller asks for the device, and waits.
    fn asks(&mut self, caller: CallerId, index: u32) {
        let notes = self.fleet.context_mut(index).unwrap();
        notes.callers.push(caller);
        self.fleet.used(index, caller, self.now, self.now());
    }

    fn paced(per_second: u32) -> Self {
        let mut process = Self::new();
        let rate = drawspan_hub::limits::Rate::per_second(per_second);
        process.fleet.config.hub_pace = Pace::Limited(rate);
        process
    }

    /// The devices that open within the next so many seconds, looked at each second.
    fn opens_in(&mut self, seconds: u64) -> Vec<u32> {
        let mut devices = Vec::new();
        for _ in 0..seconds {
            devices.extend(self.opens().into_iter().map(|(attempt, _)| attempt.device));
            self.now += Duration::from_secs(1);
        }
        devices
    }

    fn at(&mut self, number: u32, hub: &str) -> u32 {
        self.uses(number, Assignment::Fixed(host(hub)))
    }

    /// Runs, and takes what is to be done but status changes.
    fn actions(&mut self) -> Vec<Action> {
        self.fleet.run(self.now());
        let mut counted = StateCounts::default();
        for (_, _, machine) in self.fleet.iter() {
            counted.add(machine.state());
        }
        assert_eq!(self.fleet.state_counts(), counted);
        let mut actions: Vec<_> = std::iter::from_fn(|| self.fleet.action()).collect();
        actions.retain(|action| !matches!(action, Action::StatusChanged { .. }));
        actions
    }

    fn opens(&mut self) -> Vec<(AttemptId, ServiceId)> {
        let opens = self
            .actions()
            .into_iter()
            .filter_map(|action| match action {
                Action::Open { attempt, hub, .. } => Some((attempt, hub)),
                _ => None,
            });
        opens.collect()
    }

    fn connect(&mut self, index: u32) -> AttemptId {
        let attempt = self.opens()[0].0;
        assert_eq!(attempt.device, index);
        self.fleet.opened(attempt, self.now());
        attempt
    }
}

#[test]
fn a_device_connects_ends_and_is_forgotten() {
    let mut process = Process::new();
    let index = process.at(1, "a.net");
    let attempt = process.connect(index);
    assert!(process.fleet.is_current(attempt));

    process.now += Duration::from_secs(3_600);
    assert_eq!(process.actions(), [Action::Close { attempt }]);
    process.fleet.closed(attempt, process.now());
    assert!(process.fleet.is_empty());
    assert_eq!(process.fleet.find(&id(1)), None);
    assert!(!process.fleet.is_current(attempt));
    // Late reports about it have no effect.
    process.fleet.opened(attempt, process.now());
    process
        .fleet
        .ended(attempt, &failure(FailureKind::Unknown), process.now());
    assert_eq!(process.actions(), []);
}

#[test]
fn a_loss_that_crosses_a_close_is_its_end() {
    let mut process = Process::new();
    let index = process.at(1, "a.net");
    let attempt = process.connect(index);
    process.fleet.release(index, process.now());
    assert_eq!(process.actions(), [Action::Close { attempt }]);
    process
        .fleet
        .ended(attempt, &failure(FailureKind::LinkStolen), process.now());
    assert!(process.fleet.is_empty());
    process.fleet.closed(attempt, process.now());
    assert_eq!(process.actions(), []);
}

#[test]
fn a_hub_that_is_down_holds_up_its_own_devices_only() {
    let mut process = Process::new();
    let first = process.at(1, "a.net");
    let attempt = process.opens()[0].0;
    let hub = ServiceId(1);
    let down = failure(FailureKind::HubUnreachable);
    process
        .fleet
        .connection_ended(hub, &[attempt], &down, process.now());
    assert_eq!(process.actions(), [Action::News(hub, News::Unreachable)]);
    process.at(2, "a.net");
    assert_eq!(process.actions(), []);

    let other = process.at(3, "b.net");
    let opens = process.opens();
    assert_eq!(opens.len(), 1);
    assert_eq!((opens[0].0.device, opens[0].1), (other, ServiceId(2)));

    // One probe; the first that reaches the hub lets everyone through.
    process.now += Duration::from_secs(1);
    let opens = process.opens();
    assert_eq!(opens.len(), 1);
    assert_eq!(opens[0].0.device, first);
    process.fleet.reached(hub);
    process.fleet.opened(opens[0].0, process.now());
    let actions = process.actions();
    assert!(actions.contains(&Action::News(hub, News::Reachable)));
    assert!(matches!(actions[1], Action::Open { .. }));
    assert_eq!(process.fleet.machine(first).unwrap().failures(), 0);
}

#[test]
fn a_new_device_registers_and_then_queues_at_its_hub() {
    let mut process = Process::new();
    let index = process.uses(1, Assignment::dps(None));
    let actions = process.actions();
    let [Action::Provision { device, epoch }] = actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(device, index);
    process
        .fleet
        .assigned(device, epoch, Ok(host("a.net")), process.now());
    let attempt = process.connect(index);
    assert!(process.fleet.is_current(attempt));

    // A third hub is one too many.
    for (number, hub) in [(2, "b.net"), (3, "c.net")] {
        let index = process.uses(number, Assignment::dps(None));
        let actions = process.actions();
        let [Action::Provision { device, epoch }] = actions[..] else {
            panic!("{actions:?}");
        };
        process
            .fleet
            .assigned(device, epoch, Ok(host(hub)), process.now());
        assert_eq!(process.opens().len(), usize::from(hub == "b.net"));
        let waits = matches!(
            process.fleet.machine(index).unwrap().state(),
            State::Waiting { .. }
        );
        assert_eq!(waits, hub == "c.net");
    }
}

#[test]
fn a_registration_by_request_takes_its_turn_at_dps() {
    let mut process = Process::new();
    process.fleet.register(77, CALLER);
    assert_eq!(process.actions(), [Action::Register { registration: 77 }]);
    let down = failure(FailureKind::HubUnreachable);
    process
        .fleet
        .registration_ended(None, Err(&down), process.now());
    assert_eq!(
        process.actions(),
        [Action::News(ServiceId::DPS, News::Unreachable)]
    );

    // A device that waits for DPS gets on with what the request brought.
    let index = process.uses(1, Assignment::dps(None));
    assert_eq!(process.actions(), []);
    process
        .fleet
        .registration_ended(Some(index), Ok(host("a.net")), process.now());
    process.connect(index);
}

#[test]
fn requests_go_first_and_others_are_not_starved() {
    let mut process = Process::paced(1);
    for number in 0..20 {
        let index = process
            .fleet
            .device(&id(number), || Assignment::Fixed(host("a.net")))
            .unwrap();
        if number % 2 == 1 {
            process.fleet.context_mut(index).unwrap().callers = vec![CALLER];
        }
        process
            .fleet
            .used(index, CALLER, process.now, process.now());
    }
    assert_eq!(process.opens_in(8), [1, 3, 5, 0, 7, 9, 11, 2]);
}

#[test]
fn a_device_whose_callers_have_hung_up_goes_first_no_more() {
    let mut process = Process::paced(1);
    for number in 0..12 {
        let index = process
            .fleet
            .device(&id(number), || Assignment::Fixed(host("a.net")))
            .unwrap();
        process.fleet.context_mut(index).unwrap().callers = vec![CALLER];
        process
            .fleet
            .used(index, CALLER, process.now, process.now());
    }
    // But for the last one, they have waited long enough.
    for index in 0..11 {
        process.fleet.context_mut(index).unwrap().callers.clear();
    }
    assert_eq!(process.opens_in(1), [11]);
    // The others are not forgotten.
    let mut others = process.opens_in(11);
    others.sort_unstable();
    assert_eq!(others, (0..11).collect::<Vec<_>>());
}

#[test]
fn tickets_of_devices_that_come_and_go_do_not_pile_up() {
    let mut process = Process::new();
    let index = process.at(1, "a.net");
    let attempt = process.opens()[0].0;
    let down = failure(FailureKind::HubUnreachable);
    process
        .fleet
        .connection_ended(ServiceId(1), &[attempt], &down, process.now());
    for _ in 0..10_000 {
        process.fleet.permanent(index, true, process.now());
        process.fleet.release(index, process.now());
        process.at(1, "a.net");
    }
    assert!(
        process.fleet.queued() <= 1_030,
        "{}",
        process.fleet.queued()
    );
}

#[test]
fn a_full_fleet_says_so() {
    let mut process = Process::new();
    process.fleet.config.max_devices = 1;
    process.at(1, "a.net");
    assert_eq!(
        process.fleet.device(&id(2), || panic!("asked")),
        Err(FleetFull)
    );
    assert!(process.fleet.device(&id(1), || panic!("asked")).is_ok());
}

#[test]
fn a_use_that_went_past_the_fleet_keeps_a_device_whose_subscriptions_end() {
    let mut process = Process::new();
    let index = process.at(1, "a.net");
    process.fleet.permanent(index, true, process.now());
    let attempt = process.connect(index);
    process.now += Duration::from_secs(3_600);
    process.fleet.context_mut(index).unwrap().last_use = Some(process.now);
    process.now += Duration::from_secs(60);
    process.fleet.permanent(index, false, process.now());
    assert_eq!(process.actions(), [], "used a minute ago");
    process.now += Duration::from_secs(660);
    assert_eq!(process.actions(), [Action::Close { attempt }]);
}

#[test]
fn a_hub_that_answers_over_a_connection_that_stands_is_not_down() {
    let hub = ServiceId(1);
    for refusal in [None, Some(FailureKind::DeviceDisabled)] {
        let mut process = Process::new();
        process.at(1, "a.net");
        let first = process.opens()[0].0;
        let down = failure(FailureKind::HubUnreachable);
        process
            .fleet
            .connection_ended(hub, &[first], &down, process.now());
        process.at(2, "a.net");
        process.now += Duration::from_millis(100);
        let probe = process.opens()[0].0;
        assert_eq!(process.opens(), [], "one probe");
        match refusal {
            None => process.fleet.opened(probe, process.now()),
            Some(kind) => process.fleet.ended(probe, &failure(kind), process.now()),
        }
        let actions = process.actions();
        assert!(actions.contains(&Action::News(hub, News::Reachable)));
        assert!(
            actions
                .iter()
                .any(|action| matches!(action, Action::Open { .. }))
        );
    }
}

#[test]
fn timers_of_a_device_that_goes_up_and_down_do_not_pile_up() {
    let mut process = Process::new();
    let index = process.at(1, "a.net");
    let lost = failure(FailureKind::ServerError);
    let mut most = 0;
    for _ in 0..5_000 {
        for (attempt, _) in process.opens() {
            process.fleet.ended(attempt, &lost, process.now());
        }
        process
            .fleet
            .used(index, CALLER, process.now, process.now());
        process.now += Duration::from_millis(110);
        process.fleet.run(process.now());
        process.fleet.resync(index, process.now());
        most = most.max(process.fleet.timers());
    }
    assert!(most <= STALE_TIMERS + 2, "{most}");
    // No current entry was removed.
    for (attempt, _) in process.opens() {
        process.fleet.opened(attempt, process.now());
    }
    let hub = ServiceId::of(1);
    assert_eq!(process.actions(), [Action::News(hub, News::Recovered)]);
    let closes = Duration::from_secs(3_600);
    process.now += closes;
    assert!(matches!(process.actions()[..], [Action::Close { .. }]));
}

#[test]
fn devices_are_counted_by_what_they_do_and_where_they_queue() {
    let mut process = Process::paced(1);
    let indexes: Vec<_> = (1..=3).map(|number| process.at(number, "a.net")).collect();
    process.uses(4, Assignment::dps(None));
    let queued = |process: &Process| -> Vec<usize> {
        let services = process.fleet.services();
        services.map(|(_, _, queued)| queued).collect()
    };
    assert_eq!(queued(&process), [1, 3]);
    let attempt = process.opens()[0].0;
    let state_counts = StateCounts {
        connecting: 1,
        queued: 2,
        provisioning: 1,
        ..StateCounts::default()
    };
    assert_eq!(process.fleet.state_counts(), state_counts);
    assert_eq!(queued(&process), [0, 2]);
    process.fleet.opened(attempt, process.now());
    process.fleet.release(indexes[2], process.now());
    process.now += Duration::from_secs(3_600);
    process.actions();
    let hosts: Vec<_> = process.fleet.services().map(|it| it.1.as_str()).collect();
    assert_eq!(hosts, ["dps.net", "a.net"]);
    let state_counts = process.fleet.state_counts();
    assert_eq!(
        (state_counts.connected, state_counts.closing),
        (0, 1),
        "{state_counts:?}"
    );
}
