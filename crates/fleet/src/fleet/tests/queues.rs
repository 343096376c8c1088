//! Priorities, and the effect of devices with wrong credentials on devices with right ones.

use super::*;
use crate::limits::{BREAKER_DEVICES, BREAKER_REFUSED_PROBE_INTERVAL, BREAKER_WINDOW};

const HUB: ServiceId = ServiceId::of(1);

impl Process {
    /// Opens what may open; the hub, or DPS, refuses the devices below `good` and takes the others. Returns those it took.
    fn answer(&mut self, good: u32, kind: FailureKind) -> Vec<u32> {
        let refused = failure(kind);
        let mut taken = Vec::new();
        for action in self.actions() {
            match action {
                Action::Open { attempt, .. } if attempt.device < good => {
                    self.fleet.ended(attempt, &refused, self.now());
                }
                Action::Open { attempt, .. } => {
                    self.fleet.opened(attempt, self.now());
                    taken.push(attempt.device);
                }
                Action::Provision { device, epoch } if device < good => {
                    self.fleet
                        .assigned(device, epoch, Err(&refused), self.now());
                }
                Action::Provision { device, epoch } => {
                    let hub = host("a.net");
                    self.fleet.assigned(device, epoch, Ok(hub), self.now());
                }
                _ => {}
            }
        }
        taken
    }

    /// The same twice, so that devices try their other key as well.
    fn answer_twice(&mut self, good: u32, kind: FailureKind) {
        self.answer(good, kind);
        self.now += Duration::from_millis(200);
        self.answer(good, kind);
    }

    /// Seconds until so many devices are connected.
    fn seconds_until(&mut self, connected: usize, good: u32, kind: FailureKind) -> u64 {
        let start = self.now;
        while self.fleet.state_counts().connected < connected {
            self.answer(good, kind);
            self.now += Duration::from_millis(100);
            assert!(
                self.now - start < Duration::from_secs(600),
                "{:?}",
                self.fleet.state_counts()
            );
        }
        (self.now - start).as_secs()
    }
}

#[test]
fn bad_devices_in_front_do_not_hold_up_good_ones() {
    for kind in [FailureKind::Unauthorized, FailureKind::DeviceNotFound] {
        for bad in [20, 60, 500] {
            for dps in [false, true] {
                let mut process = Process::paced(10);
                process.fleet.services[0].governor =
                    crate::Governor::new(Pace::Limited(drawspan_hub::limits::Rate::per_second(10)));
                for number in 0..bad + 20 {
                    let assignment = match dps {
                        true => Assignment::dps(None),
                        false => Assignment::Fixed(host("a.net")),
                    };
                    let index = process.uses(number, assignment);
                    process.fleet.permanent(index, true, process.now());
                }
                let seconds = process.seconds_until(20, bad, kind);
                let most = u64::from(bad) / 10 + 70;
                assert!(seconds <= most, "{kind:?} {bad} {dps}: {seconds} s");
            }
        }
    }
}

#[test]
fn while_a_device_is_connected_refusals_are_the_refused_devices_own() {
    let mut process = Process::new();
    process.at(0, "a.net");
    process.answer(0, FailureKind::Unauthorized);
    process.now += BREAKER_WINDOW * 2;
    for number in 1..200 {
        process.at(number, "a.net");
    }
    process.answer(200, FailureKind::Unauthorized);
    assert!(!process.fleet.stops_everybody(HUB));
    // It is counted as long as it is there.
    process.fleet.release(0, process.now());
    let closes = process.actions();
    let close = closes.iter().find_map(|action| match action {
        Action::Close { attempt } => Some(*attempt),
        _ => None,
    });
    process.fleet.closed(close.unwrap(), process.now());
    process.now += Duration::from_secs(1);
    process.answer_twice(200, FailureKind::Unauthorized);
    assert!(process.fleet.stops_everybody(HUB));
}

#[test]
fn devices_that_dps_sent_to_their_hubs_count_there_as_well() {
    let mut process = Process::new();
    process.uses(0, Assignment::dps(None));
    process.answer(0, FailureKind::Unauthorized);
    process.answer(0, FailureKind::Unauthorized);
    assert_eq!(process.fleet.state_counts().connected, 1);
    process.now += BREAKER_WINDOW * 2;
    for number in 1..200 {
        process.uses(number, Assignment::dps(None));
    }
    process.answer(200, FailureKind::Unauthorized);
    assert!(!process.fleet.stops_everybody(ServiceId::DPS));
}

#[test]
fn a_token_of_many_devices_that_is_refused_is_the_refusal_of_them_all() {
    let mut process = Process::new();
    let last = BREAKER_DEVICES as u32;
    for number in 0..last {
        process.at(number, "a.net");
    }
    let attempts: Vec<_> = process.opens().into_iter().map(|(it, _)| it).collect();
    for attempt in &attempts {
        process.fleet.opened(*attempt, process.now());
    }
    process.now += BREAKER_WINDOW * 2;
    let refused = failure(FailureKind::Unauthorized);
    let end = |process: &mut Process, attempts: &[AttemptId]| {
        let now = process.now();
        process.fleet.connection_ended(HUB, attempts, &refused, now);
    };
    end(&mut process, &attempts);
    assert!(!process.fleet.stops_everybody(HUB), "it may have expired");
    process.now += Duration::from_millis(200);
    let again: Vec<_> = process.opens().into_iter().map(|(it, _)| it).collect();
    assert_eq!(again.len(), attempts.len());
    end(&mut process, &again);
    assert!(process.fleet.stops_everybody(HUB));
}

#[test]
fn the_probe_of_a_hub_that_refuses_everyone_is_chosen() {
    let mut process = Process::new();
    // Accepted earlier.
    process.at(0, "a.net");
    let attempt = process.connect(0);
    let lost = failure(FailureKind::ServerError);
    process.now += Duration::from_secs(3_600);
    process.fleet.permanent(0, true, process.now());
    process.fleet.ended(attempt, &lost, process.now());
    process.now += Duration::from_millis(1);
    for number in 1..=40 {
        process.at(number, "a.net");
    }
    let opens = process.opens();
    let refused = failure(FailureKind::Unauthorized);
    for (attempt, _) in &opens[..BREAKER_DEVICES] {
        process.fleet.ended(*attempt, &refused, process.now());
    }
    assert!(!process.fleet.stops_everybody(HUB));
    process.now += Duration::from_millis(200);
    for (attempt, _) in process.opens() {
        process.fleet.ended(attempt, &refused, process.now());
    }
    assert!(process.fleet.stops_everybody(HUB));
    for (attempt, _) in &opens[BREAKER_DEVICES..] {
        process.fleet.ended(*attempt, &lost, process.now());
    }
    process.asks(CALLER, 30);
    process.now += Duration::from_secs(1);
    let probes = process.opens_in(3);
    assert!(probes[..2].contains(&0), "good before");
    assert!(probes[..2].contains(&30), "asked for");
    assert!((21..=40).contains(&probes[2]), "not refused yet");
}

/// A hub, or DPS, that refuses everyone, with so many bad devices that it has not refused yet.
fn refusing(bad: u32, dps: bool) -> (Process, Assignment) {
    let mut process = Process::new();
    let assignment = match dps {
        true => Assignment::dps(None),
        false => Assignment::Fixed(host("a.net")),
    };
    for number in 0..BREAKER_DEVICES as u32 {
        process.uses(number, assignment.clone());
    }
    process.answer_twice(bad, FailureKind::Unauthorized);
    assert!(
        process
            .fleet
            .refuses_everyone(ServiceId::of(u16::from(!dps)))
    );
    for number in BREAKER_DEVICES as u32..bad {
        let index = process.uses(number, assignment.clone());
        process.fleet.permanent(index, true, process.now());
    }
    (process, assignment)
}

#[test]
fn a_good_device_that_is_asked_for_is_served_soon_however_many_bad_ones_there_are() {
    for bad in [40, 200, 500] {
        for dps in [false, true] {
            for asked in [false, true] {
                let (mut process, assignment) = refusing(bad, dps);
                if asked {
                    // Their callers wait as well, with the same key.
                    (BREAKER_DEVICES as u32..bad).for_each(|index| process.asks(CALLER, index));
                }
                process.answer(bad, FailureKind::Unauthorized);
                process.now += Duration::from_millis(100);
                let good = process.uses(bad, assignment);
                process.asks(CALLER, good);
                assert_eq!(process.fleet.refusal(good, process.now()), None);
                let seconds = process.seconds_until(1, bad, FailureKind::Unauthorized);
                assert!(seconds <= 3, "{bad} {dps} {asked}: {seconds} s");
            }
        }
    }
}

#[test]
fn of_many_callers_devices_those_asked_for_last_wait_for_their_turn_as_probes() {
    let (mut process, _) = refusing(200, false);
    (100..200).for_each(|index| process.asks(CALLER, index));
    let turned_away = |process: &mut Process| {
        let actions = process.actions().into_iter();
        let devices = actions.filter_map(|action| match action {
            Action::TurnAwayDevice(device) => Some(device),
            _ => None,
        });
        devices.collect::<Vec<_>>()
    };
    let last = 200 - crate::limits::PROBES_PER_CALLER as u32;
    assert_eq!(turned_away(&mut process), Vec::from_iter(100..last));
    assert!(turned_away(&mut process).is_empty(), "said once");
    // It is still there, and goes first when it is asked for again.
    process.asks(CALLER, 100);
    assert_eq!(turned_away(&mut process), [last]);
    process.now += Duration::from_secs(1);
    assert!(process.opens_in(2).contains(&100));
}

#[test]
fn a_refused_device_does_not_probe_before_those_that_were_not() {
    let mut process = Process::new();
    let last = BREAKER_DEVICES as u32;
    for number in 0..last {
        process.at(number, "a.net");
    }
    process.answer_twice(last, FailureKind::Unauthorized);
    process.fleet.resync(0, process.now());
    process.now += Duration::from_secs(1);
    assert!(process.opens_in(20).is_empty(), "all have been refused");
    process.at(77, "a.net");
    assert_eq!(process.opens_in(2), [last]);
    process.now += BREAKER_REFUSED_PROBE_INTERVAL;
    assert_eq!(process.opens_in(1).len(), 1);
}

#[test]
fn a_request_brings_a_device_that_queues_already_to_the_front() {
    let mut process = Process::paced(1);
    for number in 0..100 {
        process.at(number, "a.net");
    }
    process.asks(CALLER, 77);
    process.asks(CALLER, 88);
    process.asks(CALLER, 88);
    assert_eq!(process.opens_in(5), [77, 88, 0, 1, 2]);

    let mut process = Process::new();
    process.fleet.services[0].governor =
        crate::Governor::new(Pace::Limited(drawspan_hub::limits::Rate::per_second(1)));
    for number in 0..100 {
        process.uses(number, Assignment::dps(None));
    }
    process.asks(CALLER, 77);
    let first = process.actions();
    assert!(matches!(first[..], [Action::Provision { device: 77, .. }]));
}

#[test]
fn no_caller_has_to_wait_for_all_that_another_one_asked_for() {
    let mut process = Process::paced(1);
    let (greedy, modest) = (CallerId(1), CallerId(2));
    for number in 0..501 {
        process.at(number, "a.net");
    }
    (0..500).for_each(|index| process.asks(greedy, index));
    process.asks(modest, 500);
    // One that both wait for keeps its place in either turn.
    process.asks(modest, 400);
    process.asks(greedy, 400);
    assert_eq!(process.opens_in(5), [0, 500, 1, 400, 2]);
}

#[test]
fn requests_for_devices_that_queue_do_not_pile_up() {
    let mut process = Process::new();
    process.at(0, "a.net");
    let attempt = process.opens()[0].0;
    let down = failure(FailureKind::HubUnreachable);
    process
        .fleet
        .connection_ended(HUB, &[attempt], &down, process.now());
    for caller in 0..10_000 {
        process.asks(CallerId(caller % 50), 0);
    }
    assert!(process.fleet.queued() <= 33, "{}", process.fleet.queued());
}
