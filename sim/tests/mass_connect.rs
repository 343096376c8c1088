//! A fleet that connects all at once uses what its hub permits, and provokes no refusals.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::time::Duration;

use drawspan_fleet::governor::Pace;
use drawspan_hub::limits::{HubSize, Sku};
use drawspan_sim::{MassConnect, MassConnectReport, Shaping};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A hub that takes a burst of one second's devices, and makes a device wait for up to two seconds.
fn connect(devices: usize, per_second: u32, round_trip_ms: u64, pace: Pace) -> MassConnectReport {
    let run = MassConnect {
        devices,
        hub: Shaping {
            per_second,
            burst: ms(1_000),
            queue: ms(2_000),
        },
        round_trip: ms(round_trip_ms),
        pace,
        seed: 1,
    };
    run.run()
}

#[test]
fn the_rate_of_a_hub_of_known_size_is_used_and_no_device_is_refused() {
    let size = HubSize::new(Sku::S3, 1).unwrap();
    for round_trip_ms in [5, 50, 300] {
        let report = connect(100_000, 6_000, round_trip_ms, Pace::of(size));
        let rate = report.rate();
        assert!(rate >= 0.97 * 6_000.0, "{rate} at {round_trip_ms} ms");
        assert_eq!(report.refusals(), 0, "{round_trip_ms} ms");
    }
}

#[test]
fn without_a_pace_many_devices_are_refused() {
    let report = connect(100_000, 6_000, 50, Pace::Unlimited);
    assert!(report.refusals() > 50_000, "{}", report.refusals());
}

/// Within 30 s of the first answer that was held back, the pace over any 10 s is that of the hub, and remains so.
fn check_learned(per_second: u32, round_trip_ms: u64) {
    let devices = per_second as usize * if per_second > 1_000 { 45 } else { 100 };
    let report = connect(devices, per_second, round_trip_ms, Pace::Learned);
    let shown = format!("{per_second}/s at {round_trip_ms} ms");
    let refused = report.refusals() as f64 / devices as f64;
    assert!(refused < 0.01, "{shown}: {refused} refused");
    let delayed = report.first_delayed().unwrap();
    let paces = report.paces(delayed + ms(20_000), ms(10_000));
    let (low, high) = paces.unwrap_or_else(|| panic!("{shown}: ended too early"));
    let limit = f64::from(per_second);
    let within = low >= 0.85 * limit && high <= 1.05 * limit;
    assert!(within, "{shown}: {low:.1} to {high:.1}");
    println!(
        "{shown}: {low:.1} to {high:.1}, {} refused, first late at {delayed:?}",
        report.refusals()
    );
}

#[test]
fn the_pace_of_a_small_hub_of_unknown_size_is_learned() {
    for per_second in [100, 108, 120] {
        for round_trip_ms in [5, 50, 300] {
            check_learned(per_second, round_trip_ms);
        }
    }
}

#[test]
fn the_pace_of_a_larger_hub_of_unknown_size_is_learned() {
    for round_trip_ms in [5, 50, 300] {
        check_learned(1_000, round_trip_ms);
    }
}

#[test]
fn the_pace_of_the_largest_hub_of_unknown_size_is_learned() {
    for round_trip_ms in [5, 50, 300] {
        check_learned(6_000, round_trip_ms);
    }
}

#[test]
fn a_long_queue_at_the_hub_is_not_filled() {
    for (per_second, round_trip_ms) in [(100, 300), (1_000, 50), (6_000, 300)] {
        let run = MassConnect {
            devices: per_second as usize * 60,
            hub: Shaping {
                per_second,
                burst: ms(1_000),
                queue: ms(60_000),
            },
            round_trip: ms(round_trip_ms),
            pace: Pace::Learned,
            seed: 2,
        };
        let report = run.run();
        assert_eq!(report.refusals(), 0);
        let longest = report.longest_wait();
        assert!(
            longest < ms(3_000),
            "{per_second}/s at {round_trip_ms} ms: {longest:?}"
        );
    }
}
