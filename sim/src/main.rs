//! `cargo xtask sim`: runs seeds until one fails.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use drawspan_sim::{
    Failed, Report, Scenario, Tally, Violation, run, run_deliveries, run_downlinks,
};
use indicatif::{ProgressBar, ProgressStyle};

/// Simulates the production cores with thousands of devices and faults, one seed after the other.
#[derive(Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Arguments {
    /// How many seeds, from 0 on.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    seeds: u64,
    /// Only this seed.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Events with faults, instead of what each seed picks.
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Print every event (with --seed).
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Print what happened, and how often.
    #[arg(long)]
    tally: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => 0..arguments.seeds,
    };
    let start = Instant::now();
    let outcome = run_all(seeds, &arguments);
    if arguments.tally {
        for (what, count) in outcome.tally.iter() {
            println!("{count:>12} {what}");
        }
    }
    if let Some(failed) = outcome.failed {
        println!("{failed}");
        let steps = arguments.steps.map(|steps| format!(" --steps {steps}"));
        println!(
            "repeat: cargo xtask sim --seed {}{}",
            failed.seed,
            steps.unwrap_or_default()
        );
        return ExitCode::FAILURE;
    }
    println!(
        "{} seeds held: {} devices, {} events, {:.0} virtual days in {:.1} s",
        outcome.runs,
        outcome.devices,
        outcome.events,
        outcome.virtual_s / 86_400.0,
        start.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

#[derive(Default)]
struct Outcome {
    runs: u64,
    devices: usize,
    events: usize,
    virtual_s: f64,
    tally: Tally,
    /// Of the lowest seed that failed.
    failed: Option<Failed>,
}

/// Everything that a seed picks: connections, then what goes over them, then the delivery of events.
fn run_each(scenario: Scenario, trace: bool) -> Result<Report, Failed> {
    let seed = scenario.seed;
    let mut report = run(scenario, trace)?;
    report.tally.add(&run_downlinks(seed, trace)?);
    run_deliveries(seed).map_err(|what| Failed {
        seed,
        step: 0,
        violation: Violation {
            name: "DELIVERIES",
            what,
        },
    })?;
    Ok(report)
}

/// As many seeds at a time as there are cores.
fn run_all(seeds: std::ops::Range<u64>, arguments: &Arguments) -> Outcome {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left");
    let bar = ProgressBar::new(seeds.end - seeds.start)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let next = AtomicU64::new(seeds.start);
    let outcome = Mutex::new(Outcome::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let mut scenario = Scenario::new(seed);
                    scenario.steps = arguments.steps.unwrap_or(scenario.steps);
                    let result = run_each(scenario, arguments.trace);
                    bar.inc(1);
                    let Ok(mut outcome) = outcome.lock() else {
                        return;
                    };
                    outcome.runs += 1;
                    match result {
                        Ok(report) => {
                            outcome.devices += report.devices;
                            outcome.events += report.events;
                            outcome.virtual_s += report.length.as_secs_f64();
                            outcome.tally.add(&report.tally);
                        }
                        Err(failed) => {
                            // Lower seeds are under way already; higher ones are not needed.
                            next.store(seeds.end, Ordering::Relaxed);
                            let first = outcome.failed.take();
                            outcome.failed = match first {
                                Some(first) if first.seed < failed.seed => Some(first),
                                _ => Some(failed),
                            };
                        }
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    outcome.into_inner().unwrap_or_default()
}
