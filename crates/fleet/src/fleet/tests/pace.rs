//! The pace of a hub whose size is not known, learned from how long attempts take.

use std::collections::VecDeque;

use super::*;

const HUB: ServiceId = ServiceId::of(1);
const TIMEOUT: Duration = Duration::from_secs(30);

/// So many devices in front of a hub that opens 50 a second, in their order. Returns the seconds until all are connected, and
/// how many attempts were left without an answer.
fn connect(devices: u32) -> (u64, usize) {
    let mut process = Process::new();
    process.fleet.config.hub_pace = Pace::Learned;
    process.fleet.config.max_devices = 10_000;
    for number in 0..devices {
        let index = process.at(number, "a.net");
        process.fleet.permanent(index, true, process.now());
    }
    let mut under_way = VecDeque::new();
    let (start, mut timeouts) = (process.now, 0);
    let unanswered = failure(FailureKind::Timeout);
    while process.fleet.state_counts().connected < devices as usize {
        process.now += Duration::from_millis(20);
        for (attempt, _) in process.opens() {
            under_way.push_back((process.now, attempt));
        }
        if let Some((_, attempt)) = under_way.pop_front() {
            process.fleet.opened(attempt, process.now());
        }
        while let Some((began, attempt)) = under_way.front().copied()
            && began + TIMEOUT <= process.now
        {
            under_way.pop_front();
            timeouts += 1;
            process.fleet.ended(attempt, &unanswered, process.now());
        }
        assert!(process.now - start < Duration::from_secs(600));
    }
    ((process.now - start).as_secs(), timeouts)
}

#[test]
fn a_slow_hub_is_not_asked_faster_than_it_answers() {
    let (seconds, timeouts) = connect(3_000);
    assert_eq!(timeouts, 0);
    assert!(seconds <= 75, "{seconds} s instead of 60");
}

#[test]
fn a_hub_that_does_not_answer_is_asked_less_and_less() {
    let mut process = Process::new();
    process.fleet.config.hub_pace = Pace::Learned;
    for number in 0..1_000 {
        let index = process.at(number, "a.net");
        process.fleet.permanent(index, true, process.now());
    }
    let unanswered = failure(FailureKind::Timeout);
    let mut under_way = VecDeque::new();
    let mut attempts = Vec::new();
    for _ in 0..5 {
        let mut count = 0;
        for _ in 0..400 {
            process.now += Duration::from_millis(100);
            for (attempt, hub) in process.opens() {
                assert_eq!(hub, HUB);
                under_way.push_back((process.now, attempt));
                count += 1;
            }
            while let Some((began, attempt)) = under_way.front().copied()
                && began + TIMEOUT <= process.now
            {
                under_way.pop_front();
                process.fleet.ended(attempt, &unanswered, process.now());
            }
        }
        attempts.push(count);
    }
    assert!(attempts[4] < attempts[0] / 4, "{attempts:?}");
    assert!(attempts[4] >= 30, "{attempts:?}");
}

#[test]
fn devices_without_a_place_leave_the_pace_to_others() {
    let mut process = Process::paced(10);
    for number in 0..100 {
        process.at(number, "a.net");
    }
    let mut asked = 0;
    loop {
        let opens = process.opens();
        if opens.is_empty() {
            break;
        }
        for (attempt, _) in opens {
            asked += 1;
            let full = failure(FailureKind::ConnectionsFull);
            process.fleet.not_placed(attempt, &full, process.now());
        }
    }
    assert_eq!(asked, 100, "in no time");
}
