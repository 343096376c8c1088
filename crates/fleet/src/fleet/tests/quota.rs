//! A hub whose daily quota is used up.

use drawspan_hub::AttemptId;

use super::*;

const HUB: ServiceId = ServiceId::of(1);

/// Devices 0 to 9, permanently wanted, that the hub refused for its quota.
fn exceeded() -> Process {
    let mut process = Process::new();
    // 01:01:40 UTC: not yesterday's quota, and far from tomorrow's.
    process.now = Duration::from_secs(10_100);
    for number in 0..10 {
        let index = process.at(number, "a.net");
        process.fleet.permanent(index, true, process.now());
    }
    let attempts = process.opens();
    refuse(&mut process, &attempts);
    process
}

fn refuse(process: &mut Process, attempts: &[(AttemptId, ServiceId)]) {
    let quota = failure(FailureKind::QuotaExceeded);
    for (attempt, _) in attempts {
        process.fleet.ended(*attempt, &quota, process.now());
    }
}

/// The waits until the next few attempts, each of which the hub refuses.
fn waits(process: &mut Process, count: usize) -> Vec<u64> {
    let next = |_| {
        let start = process.now;
        let attempts = loop {
            let due = process.fleet.run(process.now()).unwrap();
            process.now = due;
            let attempts = process.opens();
            if !attempts.is_empty() {
                break attempts;
            }
        };
        assert_eq!(attempts.len(), 1, "one device at a time");
        refuse(process, &attempts);
        (process.now - start).as_secs()
    };
    (0..count).map(next).collect()
}

#[test]
fn one_device_at_a_time_looks_whether_a_hub_was_enlarged() {
    let mut process = exceeded();
    assert_eq!(
        waits(&mut process, 8),
        [60, 120, 240, 480, 960, 1920, 3600, 3600]
    );
}

#[test]
fn the_first_that_is_accepted_brings_the_others_back() {
    let mut process = exceeded();
    process.now += Duration::from_secs(60);
    let probe = process.opens();
    assert_eq!(probe.len(), 1);
    process.fleet.opened(probe[0].0, process.now());
    let opens = process.opens();
    assert_eq!(opens.len(), 9);
    // It was not enlarged by much: the waits go on where they were.
    refuse(&mut process, &opens[..1]);
    for (attempt, _) in &opens[1..] {
        process.fleet.opened(*attempt, process.now());
    }
    assert_eq!(process.opens().len(), 1, "others were accepted since");
}

#[test]
fn a_quota_that_is_used_up_again_soon_is_not_asked_for_more_often() {
    let mut process = exceeded();
    waits(&mut process, 3);
    process.now += Duration::from_secs(480);
    let probe = process.opens();
    process.fleet.opened(probe[0].0, process.now());
    let opens = process.opens();
    refuse(&mut process, &opens);
    refuse(&mut process, &probe);
    assert_eq!(waits(&mut process, 2), [960, 1920]);
}

#[test]
fn other_hubs_have_quotas_of_their_own_and_devices_that_left_are_not_waited_for() {
    let mut process = exceeded();
    let other = process.at(10, "b.net");
    process.connect(other);
    for index in 0..10 {
        process.fleet.release(index, process.now());
    }
    process.now += Duration::from_secs(60);
    assert!(process.opens().is_empty());
    let quota = process.fleet.service(HUB).map(|service| service.quota);
    assert_eq!(quota, Some(super::super::quota::Quota::Lasts));
}

#[test]
fn messages_that_are_refused_for_the_quota_are_told_once_and_leave_devices_connected() {
    let mut process = exceeded();
    let quota = failure(FailureKind::QuotaExceeded);
    let news = |process: &mut Process| {
        let mut all = Vec::new();
        while let Some(action) = process.fleet.action() {
            if let Action::News(HUB, news) = action {
                all.push(news);
            }
        }
        all
    };
    let told = |process: &mut Process, refused: Option<&Failure>| {
        process.fleet.message_quota(HUB, refused, process.now());
        news(process)
    };
    assert_eq!(news(&mut process), [News::QuotaExceeded]);
    // Of a message it is the same.
    assert_eq!(told(&mut process, Some(&quota)), []);
    let connected = process.at(10, "a.net");
    process.connect(connected);
    // A device that connects says nothing of messages.
    assert_eq!(news(&mut process), []);
    assert_eq!(told(&mut process, Some(&quota)), []);
    assert_eq!(told(&mut process, None), [News::QuotaRestored]);
    assert_eq!(told(&mut process, Some(&quota)), [News::QuotaExceeded]);
    // Messages have stopped: the state ends with the day.
    process.now += Duration::from_secs(86_400);
    process.fleet.run(process.now());
    assert_eq!(news(&mut process), [News::QuotaRestored]);
}

#[test]
fn a_message_that_is_accepted_brings_back_devices_that_wait() {
    let mut process = exceeded();
    process.fleet.message_quota(HUB, None, process.now());
    assert_eq!(process.opens().len(), 10);
}

#[test]
fn a_quota_that_is_said_of_a_connection_is_the_hubs() {
    let mut process = Process::new();
    for number in 0..45 {
        let index = process.at(number, "a.net");
        process.fleet.permanent(index, true, process.now());
    }
    let hub = ServiceId::of(1);
    let attempts: Vec<_> = process.opens().into_iter().map(|(it, _)| it).collect();
    let exceeded = failure(FailureKind::QuotaExceeded);
    process
        .fleet
        .connection_ended(hub, &attempts, &exceeded, process.now());
    let news = Action::News(hub, News::QuotaExceeded);
    assert!(process.actions().contains(&news));
    // One tries after a minute; when it is accepted, so do all others.
    process.now += crate::limits::QUOTA_PROBE_MIN;
    let probe = process.opens();
    assert_eq!(probe.len(), 1);
    process.fleet.opened(probe[0].0, process.now());
    assert_eq!(process.opens().len(), 44);
}
