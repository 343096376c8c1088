//! The documented figures, and what holds of every sequence of operations.

use std::time::Duration;

use drawspan_hub::ErrorCode;
use drawspan_hub::limits::Rate;
use proptest::prelude::*;

use super::*;

const START: u64 = 1_700_000_000_000;

fn now(elapsed: Duration) -> Now {
    Now {
        elapsed,
        unix_ms: START + elapsed.as_millis() as u64,
    }
}

fn throttle(words: &str) -> Throttle {
    let mut limits = RateLimits::default();
    for word in words.split(' ') {
        limits.apply(word).unwrap();
    }
    Throttle::new(limits, now(Duration::ZERO))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn code(admission: Admission) -> Option<ErrorCode> {
    match admission {
        Admission::Refused(refusal) => Some(refusal.code),
        Admission::Now | Admission::At(_) => None,
    }
}

/// Connects `devices`, each of which comes again after a second when it is refused. Returns when the last one was in.
fn time_to_connect(size: &str, devices: u64) -> Duration {
    let mut throttle = throttle(size);
    let (mut elapsed, mut outside, mut last) = (Duration::ZERO, devices, Duration::ZERO);
    while outside > 0 {
        let mut taken = 0;
        while taken < outside {
            match throttle.admit(OperationClass::Connects, 1, [], now(elapsed)) {
                Admission::Now => last = elapsed,
                Admission::At(at) => last = at,
                // The others will not be taken either.
                Admission::Refused(_) => break,
            }
            taken += 1;
        }
        outside -= taken;
        elapsed += seconds(1);
    }
    last
}

#[test]
fn a_fleet_connects_in_the_documented_time() {
    let check = |size, expected_s: u64| {
        let took = time_to_connect(size, 100_000);
        // The burst of a second is not waited for.
        assert_eq!(took.as_secs_f64().ceil() as u64, expected_s - 1, "{size}");
    };
    check("S1", 1_000);
    check("S1x2", 1_000);
    check("S1x9", 926);
    check("S2", 834);
    check("S3", 17);
}

/// What happens to messages that come at 200/s, of 120 s and more: the seconds in which they first wait, and are first refused.
#[test]
fn a_sender_at_twice_the_rate_is_taken_then_delayed_then_refused() {
    let mut throttle = throttle("S1");
    let (mut delayed, mut refused) = (None, None);
    for message in 0..200 * 180 {
        let at = Duration::from_millis(message * 5);
        match throttle.admit(OperationClass::D2c, 1, [100], now(at)) {
            Admission::Now => assert!(delayed.is_none(), "{at:?}"),
            Admission::At(until) => {
                delayed.get_or_insert(at);
                assert!(until - at <= seconds(60));
            }
            Admission::Refused(refusal) => {
                refused.get_or_insert(at);
                let expected = match at < refused.unwrap() + seconds(1) {
                    // The very first may come a moment before the minute is over.
                    true => refusal.code,
                    false => ErrorCode::THROTTLING_EXCEPTION,
                };
                assert_eq!(refusal.code, expected);
                assert!(refusal.code.http_status() == 429 && !refusal.retry_after.is_zero());
            }
        }
    }
    assert_eq!(delayed.unwrap().as_secs_f64().round(), 60.0);
    assert_eq!(refused.unwrap().as_secs_f64().round(), 120.0);
}

#[test]
fn each_stage_has_its_code() {
    // A flood fills the queue faster than it lasts.
    let mut flooded = throttle("S1");
    let admit =
        |throttle: &mut Throttle, at| throttle.admit(OperationClass::TwinReads, 1, [1], now(at));
    let all: Vec<_> = (0..12_001)
        .map(|_| admit(&mut flooded, seconds(5)))
        .collect();
    assert_eq!(all[5_999], Admission::Now);
    assert_eq!(
        all[6_000],
        Admission::At(seconds(5) + Duration::from_millis(10))
    );
    assert_eq!(all[11_999], Admission::At(seconds(65)));
    assert_eq!(
        code(all[12_000]),
        Some(ErrorCode::THROTTLE_BACKLOG_LIMIT_EXCEEDED)
    );
    // It goes on for a minute.
    let later: Vec<_> = (0..6_001)
        .map(|_| admit(&mut flooded, seconds(66)))
        .collect();
    assert_eq!(code(later[6_000]), None, "the queue was empty meanwhile");
    let mut kept_full = throttle("S1");
    (0..12_000).for_each(|_| _ = admit(&mut kept_full, seconds(5)));
    for at in 6..65 {
        (0..101).for_each(|_| _ = admit(&mut kept_full, seconds(at)));
    }
    (0..101).for_each(|_| _ = admit(&mut kept_full, seconds(65)));
    assert_eq!(
        code(admit(&mut kept_full, seconds(65))),
        Some(ErrorCode::THROTTLING_EXCEPTION)
    );
    // Room in the queue, and no time.
    let mut slow = throttle("S1 wait=10");
    let all: Vec<_> = (0..7_001).map(|_| admit(&mut slow, seconds(5))).collect();
    assert_eq!(all[6_999], Admission::At(seconds(15)));
    let Admission::Refused(refusal) = all[7_000] else {
        panic!("{:?}", all[7_000]);
    };
    assert_eq!(refusal.code, ErrorCode::THROTTLING_BACKLOG_TIMEOUT);
    assert_eq!(refusal.retry_after, Duration::from_millis(10));
    // No queue at all.
    let mut strict = throttle("twin-reads=1/s burst.twin-reads=0 queue.twin-reads=0");
    assert_eq!(admit(&mut strict, seconds(1)), Admission::Now);
    assert_eq!(
        code(admit(&mut strict, seconds(1))),
        Some(ErrorCode::THROTTLING_EXCEPTION)
    );
    assert_eq!(admit(&mut strict, seconds(2)), Admission::Now);
}

#[test]
fn fractions_of_a_rate_are_exact_over_a_day() {
    for (words, class, per_day) in [
        ("S1", OperationClass::C2dSends, 100 * 1_440),
        ("S1", OperationClass::Queries, 20 * 1_440),
        ("S3", OperationClass::Registry, 5_000 * 1_440),
        ("S1", OperationClass::Configurations, 20 * 1_440),
    ] {
        let mut throttle = throttle(&format!("{words} queue.{class}=0 quota=off"));
        let mut taken = 0_u64;
        // At odd times, so that fractions would get lost.
        let mut at = Duration::ZERO;
        while at <= seconds(86_400) {
            while throttle.admit(class, 1, [1], now(at)) == Admission::Now {
                taken += 1;
            }
            at += Duration::from_micros(7_777_777);
        }
        let burst = match throttle
            .classes(now(Duration::ZERO))
            .iter()
            .find(|it| it.class == class)
        {
            Some(state) => state.rate.unwrap().per_minute,
            None => unreachable!(),
        };
        let last = at - Duration::from_micros(7_777_777);
        let expected = burst + (last.as_micros() * u128::from(burst) / 60_000_000) as u64;
        assert_eq!(taken, expected, "{class}");
        assert!(taken.abs_diff(per_day + burst) <= burst, "{class}");
    }
}

#[test]
fn fifty_devices_in_a_bulk_call_are_taken_twice_in_a_minute() {
    let mut throttle = throttle("S1 queue.registry=0");
    let mut bulk = |at| throttle.admit(OperationClass::Registry, 50, [], now(seconds(at)));
    assert_eq!(bulk(0), Admission::Now);
    assert_eq!(bulk(1), Admission::Now);
    assert_eq!(code(bulk(2)), Some(ErrorCode::THROTTLING_EXCEPTION));
    assert_eq!(bulk(60), Admission::Now);
}

#[test]
fn basic_tiers_have_no_way_to_devices() {
    let mut basic = throttle("B2x3");
    for class in OperationClass::ALL {
        let admission = basic.admit(class, 1, [1], now(seconds(1)));
        let expected = class
            .is_standard_only()
            .then_some(ErrorCode::OPERATION_NOT_AVAILABLE_IN_CURRENT_TIER);
        assert_eq!(code(admission), expected, "{class}");
    }
    // A rate of its own does not change the tier.
    let mut basic = throttle("B1 methods=5/s");
    let admission = basic.admit(OperationClass::Methods, 1, [1], now(seconds(1)));
    assert!(code(admission).is_some());
}

#[test]
fn the_quota_counts_what_is_billed_until_midnight() {
    let mut throttle = throttle("F1 quota=10");
    let admit = |throttle: &mut Throttle, class, bytes, at| {
        code(throttle.admit(class, 1, [bytes], now(at)))
    };
    let noon = seconds(60);
    // 512 bytes are a message at F1.
    assert_eq!(admit(&mut throttle, OperationClass::D2c, 4_096, noon), None);
    assert_eq!(
        admit(&mut throttle, OperationClass::TwinReads, 0, noon),
        None
    );
    assert_eq!(
        throttle.quota(now(noon)),
        Some(QuotaState { limit: 10, used: 9 })
    );
    let exceeded = Some(ErrorCode::QUOTA_EXCEEDED);
    assert_eq!(
        admit(&mut throttle, OperationClass::C2dSends, 513, noon),
        exceeded
    );
    throttle.charge([2_000], now(noon));
    assert_eq!(admit(&mut throttle, OperationClass::D2c, 1, noon), exceeded);
    // Free of charge.
    assert_eq!(
        admit(&mut throttle, OperationClass::Connects, 0, noon),
        None
    );
    assert_eq!(
        admit(&mut throttle, OperationClass::Registry, 0, noon),
        None
    );
    let midnight = Duration::from_millis(86_400_000 - START % 86_400_000);
    let before = midnight - Duration::from_millis(1);
    assert_eq!(
        admit(&mut throttle, OperationClass::D2c, 1, before),
        exceeded
    );
    assert_eq!(admit(&mut throttle, OperationClass::D2c, 1, midnight), None);
    // More units in the same day.
    let mut limits = throttle.limits().clone();
    limits.apply("quota=2").unwrap();
    throttle.replace(limits, now(midnight));
    assert_eq!(
        throttle.quota(now(midnight)),
        Some(QuotaState { limit: 2, used: 1 })
    );
}

#[test]
fn nothing_is_limited_unless_it_is_said() {
    assert!(throttle("off").is_off());
    assert!(throttle("S1 off wait=3").is_off());
    assert!(
        throttle("S1 d2c=off quota=off")
            .classes(now(Duration::ZERO))
            .len()
            == 15
    );
    let mut throttle = throttle("d2c=1/s");
    assert!(!throttle.is_off());
    for _ in 0..10_000 {
        let admission = throttle.admit(OperationClass::Connects, 1, [], now(Duration::ZERO));
        assert_eq!(admission, Admission::Now);
    }
}

#[test]
fn limits_change_while_operations_wait() {
    let mut throttle = throttle("d2c=1/s burst.d2c=1 queue.d2c=60");
    let admit = |throttle: &mut Throttle, at| throttle.admit(OperationClass::D2c, 1, [1], now(at));
    assert_eq!(admit(&mut throttle, seconds(10)), Admission::Now);
    for wait in 1..=50 {
        assert_eq!(
            admit(&mut throttle, seconds(10)),
            Admission::At(seconds(10 + wait))
        );
    }
    let mut faster = throttle.limits().clone();
    faster.apply("d2c=100/s").unwrap();
    throttle.replace(faster, now(seconds(10)));
    // Behind those that wait, although they would be over sooner now.
    assert_eq!(
        admit(&mut throttle, seconds(11)),
        Admission::At(seconds(60))
    );
    assert_eq!(admit(&mut throttle, seconds(60)), Admission::Now);
    let mut slower = throttle.limits().clone();
    slower.apply("d2c=1/min").unwrap();
    slower.apply("queue.d2c=120").unwrap();
    throttle.replace(slower, now(seconds(60)));
    assert_eq!(
        admit(&mut throttle, seconds(60)),
        Admission::Now,
        "a full bucket holds one"
    );
    assert_eq!(
        admit(&mut throttle, seconds(60)),
        Admission::At(seconds(120))
    );
    assert_eq!(
        code(admit(&mut throttle, seconds(60))),
        Some(ErrorCode::THROTTLING_BACKLOG_TIMEOUT)
    );
}

#[test]
fn a_full_bucket_stays_full() {
    let mut throttle = throttle("S1");
    let free = |throttle: &Throttle, at| throttle.classes(now(at))[1].free;
    let set = |throttle: &mut Throttle, word: &str, at| {
        let mut limits = throttle.limits().clone();
        limits.apply(word).unwrap();
        throttle.replace(limits, now(at));
    };
    set(&mut throttle, "d2c=5/s", seconds(1));
    assert_eq!(free(&throttle, seconds(1)), 300);
    set(&mut throttle, "S1", seconds(1));
    assert_eq!(free(&throttle, seconds(1)), 6_000);
    throttle.admit(OperationClass::D2c, 50, [1], now(seconds(1)));
    set(&mut throttle, "S3", seconds(1));
    assert_eq!(free(&throttle, seconds(1)), 5_950);
    assert_eq!(free(&throttle, seconds(2)), 11_950);
}

/// A step of a sequence: time that passes, operations that come together, and perhaps another rate first.
type Step = (u64, u64, Option<u64>);

proptest! {
    /// Never more passes than burst and rate allow, in order, and nothing waits for longer than it may.
    #[test]
    fn no_sequence_gets_more_than_its_rate(
        per_minute in 1_u64..5_000,
        burst_ms in 0_u64..90_000,
        queue_ms in 0_u64..90_000,
        wait_ms in 0_u64..90_000,
        steps in prop::collection::vec((0_u64..20_000_000, 1_u64..40), 1..200),
    ) {
        let shape = Shape {
            burst: Duration::from_millis(burst_ms),
            queue: Duration::from_millis(queue_ms),
            wait: Duration::from_millis(wait_ms),
        };
        let mut shaper = Shaper::new(Rate::per_minute(per_minute), shape, Duration::ZERO);
        let mut at = Duration::ZERO;
        let mut passed: Vec<(Duration, u64)> = Vec::new();
        for (micros, cost) in steps {
            at += Duration::from_micros(micros);
            let when = match shaper.admit(cost, at) {
                Admission::Now => at,
                Admission::At(when) => {
                    prop_assert!(when > at && when - at <= shape.wait);
                    when
                }
                Admission::Refused(refusal) => {
                    prop_assert_eq!(refusal.code.http_status(), 429);
                    continue;
                }
            };
            prop_assert!(passed.last().is_none_or(|(last, _)| *last <= when), "order");
            passed.push((when, cost));
        }
        let burst = (u128::from(burst_ms) * u128::from(per_minute) * 1_000).max(60_000_000);
        for (from, (start, _)) in passed.iter().enumerate() {
            let (mut all, mut most) = (0_u128, burst);
            for (end, cost) in &passed[from..] {
                all += u128::from(*cost) * 60_000_000;
                // Operations that come together pass together.
                most = most.max(u128::from(*cost) * 60_000_000);
                let time = (*end - *start).as_micros() * u128::from(per_minute);
                // A time is rounded up to a microsecond.
                prop_assert!(all <= most + time + u128::from(per_minute));
            }
        }
    }

    /// Limits that change keep the order, and the bounds of what was promised.
    #[test]
    fn limits_may_change_at_any_time(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let shape = Shape {
            burst: seconds(1),
            queue: seconds(60),
            wait: seconds(60),
        };
        let mut shaper = Shaper::new(Rate::per_minute(60), shape, Duration::ZERO);
        let (mut at, mut last) = (Duration::ZERO, Duration::ZERO);
        for (micros, cost, rate) in steps {
            at += Duration::from_micros(micros);
            if let Some(rate) = rate {
                shaper.replace(Rate::per_minute(rate), shape, at);
            }
            let when = match shaper.admit(cost, at) {
                Admission::Now => at,
                Admission::At(when) => when,
                Admission::Refused(_) => continue,
            };
            prop_assert!(when >= last && when - at <= shape.wait);
            last = when;
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    (0_u64..20_000_000, 1_u64..40, prop::option::of(1_u64..5_000))
}
