//! Deliveries in steps, on virtual time. `sim/` drives them at random.

use std::sync::Arc;

use super::*;

mod redirect;

const METHOD: SubscriptionType = SubscriptionType::Methods;
const STATUS: SubscriptionType = SubscriptionType::ConnectionStatus;

/// A number, and how many were before it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(u32, u32);

impl Job for Number {
    fn replace(&mut self, newer: Self) {
        *self = Self(newer.0, newer.1 + self.1 + 1);
    }
}

struct Bench {
    deliveries: Deliveries<Number>,
    now: Duration,
}

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn lane(device: u32, kind: SubscriptionType) -> LaneName {
    (DeviceId::parse(&format!("d{device}")).unwrap(), kind)
}

fn failed() -> AttemptOutcome {
    AttemptOutcome::Failed {
        why: AttemptFailure::Status(503),
        retry_after: None,
    }
}

impl Bench {
    fn new(config: DeliveryConfig) -> Self {
        Self {
            deliveries: Deliveries::new(config),
            now: s(1),
        }
    }

    fn usual() -> Self {
        Self::new(DeliveryConfig::new(5, 1))
    }

    fn offer(&mut self, device: u32, kind: SubscriptionType, origin: &str, number: u32) -> Offered {
        let terms = Terms {
            origin: origin.into(),
            size_bytes: 1_000,
            deadline: match kind {
                METHOD => Deadline::Answer(self.now + s(30)),
                SubscriptionType::C2dMessages => Deadline::Until(self.now + limits::C2D_TIMEOUT),
                _ => Deadline::FromFirstAttempt(limits::EVENT_TIMEOUT),
            },
            merges: kind == STATUS,
        };
        let name = lane(device, kind);
        self.deliveries
            .offer(&name, Number(number, 0), &terms, self.now)
    }

    /// What begins now: attempt, number, origin.
    fn begin(&mut self) -> Vec<(DeliveryAttempt, u32, Arc<str>)> {
        self.deliveries.tick(self.now);
        let mut begun = Vec::new();
        while let Some(start) = self.deliveries.begin(self.now) {
            begun.push((start.attempt, start.job.0, Arc::clone(start.origin)));
        }
        begun
    }

    fn begin_one(&mut self) -> DeliveryAttempt {
        let begun = self.begin();
        assert_eq!(begun.len(), 1, "{begun:?}");
        begun[0].0
    }

    fn done(
        &mut self,
        attempt: DeliveryAttempt,
        answer: AttemptOutcome,
    ) -> Option<(u32, u32, Outcome)> {
        let over = self.deliveries.done(attempt, answer, self.now);
        over.map(|over| (over.job.0, over.attempts, over.outcome))
    }

    fn finished(&mut self) -> Vec<(u32, u32, Outcome)> {
        self.deliveries.tick(self.now);
        let over = std::iter::from_fn(|| self.deliveries.finished());
        over.map(|over| (over.job.0, over.attempts, over.outcome))
            .collect()
    }

    /// Goes to the next moment that is due, and says when it is.
    fn sleep(&mut self) -> Duration {
        self.now = self.deliveries.due(self.now).unwrap();
        self.now
    }
}

#[test]
fn one_event_of_a_lane_at_a_time_in_their_order() {
    let mut bench = Bench::usual();
    for number in 0..3 {
        assert_eq!(bench.offer(1, METHOD, "a", number), Offered::Queued);
    }
    bench.offer(1, STATUS, "a", 9);
    let begun = bench.begin();
    assert_eq!(begun.iter().map(|it| it.1).collect::<Vec<_>>(), [0, 9]);
    assert_eq!(
        bench.done(begun[0].0, AttemptOutcome::Taken),
        Some((0, 1, Outcome::Taken))
    );
    assert_eq!(bench.done(begun[0].0, AttemptOutcome::Taken), None, "once");
    let next = bench.begin_one();
    assert_eq!(
        bench.done(next, AttemptOutcome::Refused(404)),
        Some((1, 1, Outcome::Refused(404)))
    );
    let last = bench.begin_one();
    bench.done(last, AttemptOutcome::Taken);
    bench.done(begun[1].0, AttemptOutcome::Taken);
    assert!(bench.deliveries.is_at_rest());
}

#[test]
fn what_fails_rests_and_is_tried_as_often_as_may_be() {
    let mut bench = Bench::new(DeliveryConfig::new(2, 1));
    bench.offer(1, STATUS, "a", 1);
    bench.offer(1, STATUS, "a", 2);
    for wait in [s(2), s(4)] {
        let attempt = bench.begin_one();
        assert_eq!(bench.done(attempt, failed()), None);
        assert_eq!(bench.begin(), [], "the next one waits too");
        let (from, to) = (bench.now, bench.sleep());
        assert!(
            (wait..wait + wait / 9).contains(&(to - from)),
            "{:?}",
            to - from
        );
    }
    let attempt = bench.begin_one();
    let end = Outcome::Failed(AttemptFailure::Status(503));
    assert_eq!(bench.done(attempt, failed()), Some((1, 3, end)));
    assert_eq!(bench.begin()[0].1, 2);
}

#[test]
fn deadlines_are_those_of_their_kind() {
    let check = |kind, asked: Option<u64>, expected: Duration| {
        let mut bench = Bench::new(DeliveryConfig::new(20, 1));
        let started = bench.now;
        bench.offer(1, kind, "a", 1);
        loop {
            for (attempt, ..) in bench.begin() {
                bench.now += ms(1);
                let why = AttemptFailure::Status(503);
                let retry_after = asked.map(s);
                let answer = AttemptOutcome::Failed { why, retry_after };
                if bench.done(attempt, answer).is_some() {
                    return assert!(bench.now - started <= expected, "{:?}", bench.now);
                }
            }
            if let Some((_, attempts, end)) = bench.finished().pop() {
                assert!(
                    attempts > 0 && matches!(end, Outcome::Failed(AttemptFailure::Status(503)))
                );
                return assert_eq!(bench.now - started, expected);
            }
            bench.sleep();
        }
    };
    check(METHOD, None, s(30));
    check(METHOD, Some(500), ms(1));
    check(SubscriptionType::C2dMessages, Some(500), s(50));
    check(SubscriptionType::C2dMessages, Some(10), s(50));
    check(STATUS, Some(500), s(100));
    check(STATUS, None, s(100));
}

#[test]
fn attempts_end_with_their_events_time() {
    let mut bench = Bench::usual();
    let timeout = |bench: &mut Bench| bench.deliveries.begin(bench.now).map(|it| it.timeout);
    bench.offer(1, METHOD, "a", 1);
    bench.now += s(25);
    bench.deliveries.tick(bench.now);
    assert_eq!(timeout(&mut bench), Some(s(5)));
    bench.offer(2, METHOD, "a", 1);
    assert_eq!(timeout(&mut bench), Some(s(10)));
    bench.offer(3, METHOD, "a", 7);
    bench.now += s(30);
    assert_eq!(timeout(&mut bench), None, "its caller has gone");
    assert_eq!(bench.finished(), [(7, 0, Outcome::Untried)]);
}

#[test]
fn full_lanes_merge_changes_and_refuse_the_rest() {
    let mut bench = Bench::usual();
    let most = u32::try_from(limits::EVENTS_PER_LANE).unwrap();
    for number in 0..most {
        assert_eq!(bench.offer(1, METHOD, "a", number), Offered::Queued);
        assert_eq!(bench.offer(1, STATUS, "a", number), Offered::Queued);
    }
    assert_eq!(bench.offer(1, METHOD, "a", 99), Offered::Full(NoRoom::Lane));
    assert_eq!(bench.offer(1, STATUS, "a", 98), Offered::Merged);
    assert_eq!(bench.offer(1, STATUS, "a", 99), Offered::Merged);
    let mut told = Vec::new();
    loop {
        bench.deliveries.tick(bench.now);
        let Some(start) = bench.deliveries.begin(bench.now) else {
            break;
        };
        let attempt = start.attempt;
        if start.lane.1 == STATUS {
            told.push(start.job.clone());
        }
        bench.done(attempt, AttemptOutcome::Taken);
    }
    let mut expected: Vec<Number> = (0..most - 1).map(|number| Number(number, 0)).collect();
    expected.push(Number(99, 2));
    assert_eq!(told, expected);
}

#[test]
fn bytes_and_origins_are_bounded_and_come_back() {
    let config = DeliveryConfig {
        bytes: 5_000,
        origins: 2,
        ..DeliveryConfig::new(5, 1)
    };
    let mut bench = Bench::new(config);
    bench.offer(1, METHOD, "a", 1);
    bench.offer(2, METHOD, "b", 2);
    assert_eq!(
        bench.offer(3, METHOD, "c", 3),
        Offered::Full(NoRoom::Origins)
    );
    assert_eq!(bench.offer(3, METHOD, "a", 3), Offered::Queued);
    assert_eq!(bench.offer(4, METHOD, "a", 4), Offered::Full(NoRoom::Share));
    // The first and the last change of each device are kept, regardless of other waiting events.
    assert_eq!(bench.offer(4, STATUS, "a", 5), Offered::Queued);
    assert_eq!(bench.begin().len(), 4);
    assert_eq!(bench.offer(4, STATUS, "a", 6), Offered::Queued);
    assert_eq!(bench.offer(4, STATUS, "a", 7), Offered::Merged);
    bench.deliveries.withdraw(&lane(4, STATUS));
    assert_eq!(bench.finished(), [(7, 0, Outcome::Untried)]);
}

/// Offers a method each of new devices until one is refused, and says how many were taken in.
fn fill(bench: &mut Bench, devices: std::ops::Range<u32>, origin: &str) -> usize {
    for device in devices.clone() {
        match bench.offer(device, METHOD, origin, device) {
            Offered::Queued => {}
            refused => {
                assert_eq!(refused, Offered::Full(NoRoom::Share));
                return (device - devices.start) as usize;
            }
        }
    }
    panic!("{origin} is not bounded");
}

#[test]
fn an_origin_whose_events_wait_leaves_room_for_every_other() {
    let config = DeliveryConfig {
        bytes: 64_000,
        ..DeliveryConfig::new(5, 1)
    };
    let mut bench = Bench::new(config);
    // One after the other, each takes half of what those before it have left.
    let origins = ["a", "b", "c", "d", "e"];
    let devices = |at: u32| 100 * at..100 * (at + 1);
    let filled: Vec<usize> = (0..)
        .zip(origins)
        .map(|(at, origin)| fill(&mut bench, devices(at), origin))
        .collect();
    assert_eq!(filled, [32, 16, 8, 4, 2]);
    assert_eq!(bench.deliveries.load().most_bytes, 32_000);
    assert_eq!(bench.offer(999, METHOD, "new", 1), Offered::Queued);
    // What was over its share cannot grow until it is below it again.
    assert_eq!(bench.offer(0, METHOD, "a", 1), Offered::Full(NoRoom::Share));
    bench.deliveries.due(bench.now);
    bench.now += s(31);
    assert_eq!(bench.finished().len(), 32 + 16 + 8 + 4 + 2 + 1);
    assert!(bench.deliveries.is_at_rest());
    assert_eq!(fill(&mut bench, 0..100, "b"), 32, "all of it came back");
}

#[test]
fn changes_that_are_taken_in_without_room_take_no_other_events_room() {
    let config = DeliveryConfig {
        bytes: 64_000,
        ..DeliveryConfig::new(5, 1)
    };
    let mut bench = Bench::new(config);
    for device in 0..1_000 {
        let offered = bench.offer(device, STATUS, "hangs", device);
        assert_eq!(offered, Offered::Queued);
    }
    let load = bench.deliveries.load();
    assert_eq!((load.bytes, load.most_bytes), (1_000_000, 32_000));
    assert_eq!(fill(&mut bench, 1_000..1_100, "other"), 16);
    for device in 0..1_000 {
        bench.deliveries.withdraw(&lane(device, STATUS));
    }
    assert_eq!(bench.deliveries.load().most_bytes, 16_000);
    assert_eq!(fill(&mut bench, 1_100..1_200, "other"), 16);
}

#[test]
fn an_origin_that_hangs_gets_one_probe_and_its_events_their_end() {
    let mut bench = Bench::usual();
    let devices: u32 = 1_000;
    for device in 0..devices {
        bench.offer(device, STATUS, "hangs", device);
    }
    let begun = bench.begin();
    assert_eq!(begun.len(), limits::ATTEMPTS_PER_ORIGIN);
    bench.deliveries.due(bench.now);
    bench.now += s(10);
    let hangs = || AttemptOutcome::Failed {
        why: AttemptFailure::TimedOut,
        retry_after: None,
    };
    for (attempt, ..) in begun {
        bench.done(attempt, hangs());
    }
    let news: Vec<News> = std::iter::from_fn(|| bench.deliveries.news()).collect();
    assert_eq!(news.len(), 1, "told once");
    assert_eq!(news[0].change, OriginNews::LeftAlone);
    assert_eq!(news[0].why, Some(AttemptFailure::TimedOut));
    let load = Load {
        events: devices as usize,
        bytes: bench.deliveries.bytes(),
        most_bytes: bench.deliveries.bytes(),
        under_way: 0,
        left_alone: 1,
    };
    assert_eq!(bench.deliveries.load(), load);
    let (mut probes, mut over, mut alone) = (0, 0, 0);
    while over < devices {
        bench.sleep();
        for (_, _, end) in bench.finished() {
            over += 1;
            alone += u32::from(end == Outcome::Failed(AttemptFailure::LeftAlone));
        }
        let begun = bench.begin();
        assert!(begun.len() <= 1);
        for (attempt, ..) in begun {
            probes += 1;
            bench.deliveries.due(bench.now);
            bench.now += s(10);
            over += u32::from(bench.done(attempt, hangs()).is_some());
        }
    }
    assert!(bench.now < s(250), "{:?}", bench.now);
    assert!(probes < 12 && alone > 900, "{probes} {alone}");
    bench.now += s(200);
    bench.deliveries.tick(bench.now);
    assert!(bench.deliveries.is_at_rest());
}

#[test]
fn an_origin_that_answers_again_gets_everything_that_waited() {
    let mut bench = Bench::usual();
    for device in 0..500 {
        bench.offer(device, STATUS, "a", device);
    }
    for (attempt, ..) in bench.begin() {
        bench.done(attempt, failed());
    }
    assert_eq!(bench.begin(), []);
    bench.sleep();
    let probe = bench.begin_one();
    bench.done(probe, AttemptOutcome::Taken);
    let news = std::iter::from_fn(|| bench.deliveries.news());
    assert_eq!(
        news.map(|news| news.change).last(),
        Some(OriginNews::Answers)
    );
    // Slowly, over more than the time that an event has at a receiver that fails.
    let mut taken = 1;
    while taken < 500 {
        let begun = bench.begin();
        bench.deliveries.due(bench.now);
        bench.now += s(9);
        for (attempt, ..) in begun {
            taken += u32::from(bench.done(attempt, AttemptOutcome::Taken).is_some());
        }
        assert_eq!(bench.finished(), []);
    }
}

#[test]
fn lanes_take_turns_and_so_do_origins() {
    let config = DeliveryConfig {
        attempts: 8,
        attempts_per_origin: 6,
        ..DeliveryConfig::new(5, 1)
    };
    let mut bench = Bench::new(config);
    for device in 0..16 {
        for number in 0..4 {
            bench.offer(device, METHOD, "many", number);
        }
    }
    bench.offer(100, METHOD, "few", 1_000);
    let begun = bench.begin();
    let few = begun.iter().filter(|it| &*it.2 == "few").count();
    assert_eq!((begun.len(), few), (7, 1));
    let mut order = Vec::new();
    let mut under_way: VecDeque<_> = begun.into_iter().filter(|it| &*it.2 == "many").collect();
    while let Some((attempt, number, _)) = under_way.pop_front() {
        order.push(number);
        bench.done(attempt, AttemptOutcome::Taken);
        under_way.extend(bench.begin());
    }
    let rounds: Vec<u32> = (0..64).map(|at| at / 16).collect();
    assert_eq!(order, rounds, "nobody's second before everybody's first");
}

#[test]
fn memory_goes_back_after_a_burst() {
    let mut bench = Bench::usual();
    for device in 0..50_000 {
        bench.offer(device, METHOD, &format!("o{}", device % 5_000), 1);
    }
    bench.deliveries.due(bench.now);
    loop {
        let begun = bench.begin();
        if begun.is_empty() {
            break;
        }
        for (attempt, ..) in begun {
            bench.done(attempt, AttemptOutcome::Taken);
        }
    }
    assert!(bench.deliveries.is_at_rest());
    for _ in 0..10 {
        bench.deliveries.due(bench.now);
    }
    let kept = &bench.deliveries;
    assert!(kept.lanes.capacity() + kept.index.capacity() < 5_000);
    assert!(kept.timers.len() < 5_000, "{}", kept.timers.len());
}
