//! Runs scenarios in parallel, each in its own namespace. Most of a scenario's time is waiting.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use super::namespace;
use super::scenario::Scenario;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Most scenarios at a time: each has up to four busy processes.
const MOST_LANES: usize = 4;

/// These take the longest, so they start first.
const LONGEST_FIRST: &[&str] = &[
    "soak",
    "schemathesis",
    "contract-kill",
    "commands-kill",
    "contract",
    "node-ws",
    "fleet",
    "node-c2d",
];

/// Runs all of them, and prints each one's output when it ends. Fails when any of them fails.
pub(super) fn run(workspace: &Workspace, way: &[&str], chosen: &[&Scenario]) -> Result<()> {
    let count = lanes(chosen.len());
    println!(
        "── conformance: {} scenarios, {count} at a time",
        chosen.len()
    );
    let total = chosen.len();
    let queue = Mutex::new(in_order(chosen.to_vec()));
    let failed = Mutex::new(Vec::new());
    // A separate function, so that the lock is not held while the scenario runs.
    let next = || locked(&queue).pop_front();
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while let Some(scenario) = next() {
                    if !one(workspace, way, scenario, count > 1) {
                        locked(&failed).push(scenario.name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} passed, {} failed", total - failed.len(), failed.len());
    if failed.is_empty() {
        return Ok(());
    }
    println!("again: cargo xtask conformance {}", failed.join(" "));
    Err(Error::Conformance {
        passed: total - failed.len(),
        failed: failed.len(),
    })
}

/// As many as the machine has processors, and one more.
fn lanes(scenarios: usize) -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    (processors + 1).min(MOST_LANES).min(scenarios)
}

/// Whether it takes longer than most.
pub(super) fn is_long(scenario: &Scenario) -> bool {
    LONGEST_FIRST.contains(&scenario.name)
}

fn in_order(mut chosen: Vec<&Scenario>) -> VecDeque<&Scenario> {
    let place = |scenario: &&Scenario| {
        let place = LONGEST_FIRST.iter().position(|name| *name == scenario.name);
        place.unwrap_or(LONGEST_FIRST.len())
    };
    chosen.sort_by_key(place);
    chosen.into()
}

/// Runs one scenario; returns whether it holds. Its output is printed at its end if others run at the same time.
fn one(workspace: &Workspace, way: &[&str], scenario: &Scenario, beside: bool) -> bool {
    let start = Instant::now();
    let mut command = namespace::command(workspace, way, scenario.name);
    if !beside {
        return command.status().is_ok_and(|status| status.success());
    }
    match command.stdin(Stdio::null()).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            print!("{text}{}", String::from_utf8_lossy(&output.stderr));
            output.status.success()
        }
        Err(error) => {
            let seconds = start.elapsed().as_secs_f64();
            println!("   FAILED  {} ({seconds:.1} s): {error}", scenario.name);
            false
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::scenarios::SCENARIOS;
    use super::*;

    #[test]
    fn those_that_take_long_come_first_and_none_is_left_out() {
        let chosen: Vec<_> = SCENARIOS.iter().collect();
        let ordered = in_order(chosen);
        assert_eq!(ordered.len(), SCENARIOS.len());
        let names: Vec<_> = ordered.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names[..LONGEST_FIRST.len()], *LONGEST_FIRST);
    }
}
