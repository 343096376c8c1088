//! A hundred seeds hold, are repeatable, and see everything that there is to see.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::panic)]

use drawspan_sim::{Fault, Report, Scenario, Tally, run};

/// Fewer than most seeds pick: tests are not optimised.
const MOST_STEPS: usize = 5_000;

/// Fails with the line that repeats it.
fn hold(seed: u64) -> Report {
    let mut scenario = Scenario::new(seed);
    scenario.steps = scenario.steps.min(MOST_STEPS);
    let steps = scenario.steps;
    match run(scenario, false) {
        Ok(report) => report,
        Err(failed) => {
            panic!("{failed}\nrepeat: cargo xtask sim --seed {seed} --steps {steps}")
        }
    }
}

#[test]
fn a_hundred_seeds_hold_and_see_everything() {
    let mut tally = Tally::default();
    for seed in 0..100 {
        tally.add(&hold(seed).tally);
    }
    let faults = Fault::ALL.map(|fault| format!("{fault:?}"));
    let seen = [
        "Idle",
        "Queued",
        "Provisioning",
        "Connecting",
        "Connected",
        "Waiting",
        "Waiting, firmly",
        "Yielded",
        "Closing",
        "stale news",
        "stolen",
        "drained connections",
        "served",
        "refused",
        "waited in vain",
        "registered",
        "registrations by callers",
        "opens elsewhere",
        "opens with the other key",
        "news: unreachable",
        "news: reachable",
        "news: refuses everyone",
        "news: takes credentials",
        "failure: unreachable",
        "failure: lost",
        "failure: maintenance",
        "failure: unauthorized",
        "failure: not found",
        "failure: disabled",
        "failure: stolen",
        "failure: quota",
        "failure: throttled",
        "failure: token limit",
        "failure: timeout",
        "failure: server error",
    ];
    let missing: Vec<&str> = seen
        .into_iter()
        .chain(faults.iter().map(String::as_str))
        .filter(|what| tally.count(what) == 0)
        .collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

#[test]
fn equal_seeds_live_equal_lives() {
    for seed in [3, 14, 15, 92] {
        let (once, again) = (hold(seed), hold(seed));
        assert_eq!(once.events, again.events);
        assert_eq!(once.length, again.length);
        assert_eq!(once.tally, again.tally);
    }
}
