//! A learned pace, in front of hubs of all kinds.

use std::collections::VecDeque;

use super::super::{Governor, Pace};
use super::*;
use crate::credential_breaker::Probe;

/// How long an attempt may take.
const TIMEOUT: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(1);

/// A hub that finishes attempts in their order, at a rate.
struct Hub {
    per_second: u32,
    /// How long an attempt takes that waits for no other one.
    way: Duration,
    /// When the attempts under way began.
    under_way: VecDeque<Duration>,
    busy_until: Duration,
    governor: Governor,
    now: Duration,
    opened: u32,
    timeouts: u32,
    /// The longest that one took lately.
    longest: Duration,
}

impl Hub {
    fn new(per_second: u32, way: Duration) -> Self {
        Self {
            per_second,
            way,
            under_way: VecDeque::new(),
            busy_until: Duration::ZERO,
            governor: Governor::new(Pace::Learned),
            now: Duration::from_secs(1),
            opened: 0,
            timeouts: 0,
            longest: Duration::ZERO,
        }
    }

    /// Devices queue all the time for so long. Returns how many were opened in that time.
    fn run(&mut self, length: Duration) -> u32 {
        let (end, before) = (self.now + length, self.opened);
        self.longest = Duration::ZERO;
        while self.now < end {
            self.now += STEP;
            while self.governor.take(Probe::Untried, self.now).is_ok() {
                self.under_way.push_back(self.now);
            }
            self.answer();
        }
        self.opened - before
    }

    fn answer(&mut self) {
        let each = Duration::from_secs(1) / self.per_second;
        while let Some(began) = self.under_way.front().copied() {
            if began + TIMEOUT <= self.now {
                self.under_way.pop_front();
                self.timeouts += 1;
                self.governor.timed_out(Opening::at(began), self.now);
                continue;
            }
            let done = self.busy_until.max(began) + each;
            if done + self.way > self.now {
                return;
            }
            self.busy_until = done;
            self.under_way.pop_front();
            self.opened += 1;
            self.longest = self.longest.max(self.now - began);
            self.governor.accepted(Some(Opening::at(began)), self.now);
        }
    }
}

fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn the_pace_settles_near_what_a_hub_serves() {
    let check = |per_second: u32| {
        let mut hub = Hub::new(per_second, Duration::from_millis(20));
        hub.run(s(60));
        let opened = hub.run(s(60));
        let most = per_second * 60;
        assert!(
            opened >= most * 8 / 10,
            "{opened} of {most} at {per_second}/s"
        );
        assert_eq!(hub.timeouts, 0, "at {per_second}/s");
        assert!(hub.longest < s(5), "{:?} at {per_second}/s", hub.longest);
    };
    for per_second in [10, 50, 90, 150, 1_000] {
        check(per_second);
    }
}

#[test]
fn a_hub_that_becomes_slow_or_fast_is_followed() {
    let mut hub = Hub::new(2_000, Duration::from_millis(20));
    hub.run(s(20));
    hub.per_second = 50;
    hub.run(s(180));
    let opened = hub.run(s(30));
    assert!((1_200..=1_500).contains(&opened), "{opened}");
    assert!(hub.longest < s(10), "{:?}", hub.longest);
    hub.per_second = 2_000;
    hub.run(s(30));
    let opened = hub.run(s(10));
    assert!(opened >= 10_000, "{opened}");
}

#[test]
fn attempts_without_an_answer_slow_the_pace_down_once_for_all_that_began_before() {
    let mut governor = Governor::new(Pace::Learned);
    let mut learning = Learning::new(Duration::ZERO);
    let interval = Duration::from_millis(10);
    learning.timed_out(Opening::at(s(1)), s(31));
    assert_eq!(learning.interval(), interval * 2);
    learning.timed_out(Opening::at(s(30)), s(60));
    assert_eq!(learning.interval(), interval * 2);
    learning.timed_out(Opening::at(s(31)), s(61));
    assert_eq!(learning.interval(), interval * 4);
    // A hub that never answers is asked once a second still.
    for second in 1..100 {
        governor.timed_out(Opening::at(s(second * 100)), s(second * 100 + 30));
    }
    let now = s(20_000);
    assert_eq!(governor.take(Probe::Untried, now), Ok(()));
    let next = governor.take(Probe::Untried, now).unwrap_err();
    assert!(next <= s(1), "{next:?}");
}

#[test]
fn a_longer_way_is_not_a_slow_hub() {
    let mut hub = Hub::new(5_000, Duration::from_millis(5));
    hub.run(s(20));
    hub.way = Duration::from_millis(800);
    hub.run(s(60));
    let opened = hub.run(s(10));
    assert!(opened >= 10_000, "{opened}");
}

#[test]
fn a_refusal_makes_a_pace_slower_but_not_slower_than_the_smallest_hub() {
    let interval = |per_second: u32| Duration::from_secs(1) / per_second;
    // Already slower: that remains.
    let mut learning = Learning::new(interval(25));
    learning.throttled(s(1));
    assert_eq!(learning.interval(), interval(25));
    // Nothing is known of what the hub takes: half as fast.
    let mut learning = Learning::new(Duration::ZERO);
    learning.rate = 1_000.0;
    learning.throttled(s(1));
    assert_eq!(learning.interval(), interval(450));
    // Those that follow are due to the same pace, for a while.
    learning.throttled(s(1));
    assert_eq!(learning.interval(), interval(450));
    for second in 3..20 {
        learning.throttled(s(second));
    }
    assert_eq!(learning.interval(), interval(100));
}
