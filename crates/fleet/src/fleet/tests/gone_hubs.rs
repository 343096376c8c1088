//! A hub that is permanently gone.

use drawspan_hub::AttemptId;

use super::*;
use crate::limits::{HUB_GONE_AFTER, REGISTRATION_INTERVAL_MIN};

const OLD: ServiceId = ServiceId::of(1);

/// So many devices whose hub, as DPS named it once, is `old.net`, which has become unreachable.
fn down(devices: u32) -> Process {
    let mut process = Process::new();
    for number in 0..devices {
        let index = process.uses(number, Assignment::dps(Some(host("old.net"))));
        process.fleet.permanent(index, true, process.now());
    }
    let attempts: Vec<_> = process.opens().into_iter().map(|(it, _)| it).collect();
    fail(&mut process, &attempts);
    process
}

fn fail(process: &mut Process, attempts: &[AttemptId]) {
    let away = failure(FailureKind::HubUnreachable);
    process
        .fleet
        .connection_ended(OLD, attempts, &away, process.now());
}

/// Lets time pass; the old hub never answers. Returns the devices that asked DPS.
fn pass(process: &mut Process, time: Duration) -> Vec<(u32, Epoch)> {
    let end = process.now + time;
    let mut asked = Vec::new();
    loop {
        let due = process.fleet.run(process.now()).unwrap_or(end);
        for action in process.actions() {
            match action {
                Action::Open { attempt, hub, .. } if hub == OLD => fail(process, &[attempt]),
                Action::Open { attempt, .. } => process.fleet.opened(attempt, process.now()),
                Action::Provision { device, epoch } => asked.push((device, epoch)),
                _ => {}
            }
        }
        if due >= end {
            process.now = end;
            return asked;
        }
        process.now = due.max(process.now + Duration::from_millis(1));
    }
}

fn answer(process: &mut Process, asked: &[(u32, Epoch)], hub: &str) {
    for (device, epoch) in asked {
        process
            .fleet
            .assigned(*device, *epoch, Ok(host(hub)), process.now());
    }
}

#[test]
fn one_device_asks_dps_and_the_others_follow_it() {
    let mut process = down(50);
    let before = HUB_GONE_AFTER - Duration::from_secs(1);
    assert_eq!(pass(&mut process, before), []);
    let asked = pass(&mut process, Duration::from_secs(2));
    assert_eq!(asked.len(), 1, "one device");
    answer(&mut process, &asked, "new.net");
    let asked = pass(&mut process, Duration::from_secs(5));
    assert_eq!(asked.len(), 49);
    answer(&mut process, &asked, "new.net");
    pass(&mut process, Duration::from_secs(1));
    assert_eq!(process.fleet.state_counts().connected, 50);
    // Who comes later goes there at once as well.
    process.uses(99, Assignment::dps(Some(host("old.net"))));
    assert_eq!(pass(&mut process, Duration::from_secs(1)).len(), 1);
}

#[test]
fn while_dps_names_the_same_hub_one_device_asks_now_and_then() {
    let mut process = down(50);
    let mut devices = std::collections::HashSet::new();
    for _ in 0..4 {
        let asked = pass(&mut process, HUB_GONE_AFTER + Duration::from_secs(1));
        assert_eq!(asked.len(), 1);
        devices.extend(asked.iter().map(|(device, _)| *device));
        answer(&mut process, &asked, "old.net");
    }
    assert!(devices.len() > 1, "not the same one each time");
    // Once the hub is back, DPS is not asked any more.
    let probe = loop {
        process.now += Duration::from_secs(2);
        if let Some((attempt, _)) = process.opens().first() {
            break *attempt;
        }
    };
    process.fleet.opened(probe, process.now());
    let opens: Vec<_> = process.opens();
    assert_eq!(opens.len(), 49);
    for (attempt, _) in opens {
        process.fleet.opened(attempt, process.now());
    }
    assert_eq!(pass(&mut process, HUB_GONE_AFTER * 2), []);
}

#[test]
fn a_resync_asks_at_once_and_the_others_follow() {
    for connecting in [false, true] {
        let mut process = down(5);
        let index = if connecting {
            process.now += Duration::from_secs(2);
            let probe = process.opens()[0].0;
            process.fleet.resync(probe.device, process.now());
            fail(&mut process, &[probe]);
            probe.device
        } else {
            process.fleet.resync(3, process.now());
            3
        };
        let asked = pass(&mut process, Duration::from_secs(1));
        assert_eq!(asked.len(), 1, "{connecting}");
        assert_eq!(asked[0].0, index);
        answer(&mut process, &asked, "new.net");
        assert_eq!(pass(&mut process, Duration::from_secs(5)).len(), 4);
    }
}

#[test]
fn a_device_that_moves_while_its_hub_is_away_for_a_moment_moves_alone() {
    let mut process = down(5);
    process.fleet.register(7, CALLER);
    process.now += Duration::from_secs(10);
    process
        .fleet
        .registration_ended(Some(2), Ok(host("new.net")), process.now());
    assert_eq!(pass(&mut process, Duration::from_secs(60)), []);
    // After a while it is reason enough.
    let mut process = down(5);
    assert_eq!(
        pass(&mut process, HUB_GONE_AFTER - Duration::from_secs(1)),
        []
    );
    process.now += Duration::from_secs(1);
    process
        .fleet
        .registration_ended(Some(2), Ok(host("new.net")), process.now());
    assert_eq!(pass(&mut process, Duration::from_secs(5)).len(), 4);
}

#[test]
fn those_whose_budget_does_not_allow_it_ask_later() {
    let mut process = down(3);
    let asked = pass(&mut process, HUB_GONE_AFTER + Duration::from_secs(1));
    answer(&mut process, &asked, "old.net");
    let first = asked[0].0;
    process.fleet.resync((first + 1) % 3, process.now());
    let asked = pass(&mut process, Duration::from_secs(1));
    answer(&mut process, &asked, "new.net");
    let asked = pass(&mut process, Duration::from_secs(5));
    assert_eq!(asked.len(), 1, "one has asked already");
    assert_ne!(asked[0].0, first);
    let asked = pass(&mut process, REGISTRATION_INTERVAL_MIN);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, first);
}

#[test]
fn devices_whose_hub_is_configured_wait_for_it() {
    let mut process = Process::new();
    process.at(1, "old.net");
    process.fleet.permanent(0, true, process.now());
    let attempt = process.opens()[0].0;
    fail(&mut process, &[attempt]);
    process.fleet.resync(0, process.now());
    assert_eq!(pass(&mut process, HUB_GONE_AFTER * 2), []);
}

#[test]
fn a_device_that_has_the_index_of_one_that_is_forgotten_moves_alone() {
    let mut process = down(5);
    process.fleet.resync(3, process.now());
    let asked = pass(&mut process, Duration::from_secs(1));
    answer(&mut process, &asked, "old.net");
    process.fleet.permanent(3, false, process.now());
    pass(&mut process, REGISTRATION_INTERVAL_MIN * 2);
    let next = process.uses(99, Assignment::dps(Some(host("old.net"))));
    assert_eq!(next, 3, "the other one is forgotten");
    process
        .fleet
        .registration_ended(Some(next), Ok(host("new.net")), process.now());
    assert_eq!(pass(&mut process, Duration::from_secs(5)), []);
}
