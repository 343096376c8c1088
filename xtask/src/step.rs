//! One step of a task: says what it does, how it ended and how long that took.

use std::process::Command;
use std::time::Instant;

use crate::error::{Error, Result};

/// Runs a command as a named step; its output goes through.
pub(crate) fn step(name: &str, command: &mut Command) -> Result<()> {
    timed(name, || {
        let status = command
            .status()
            .map_err(Error::io("starting", command.get_program()))?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::Step(format!("{name} ({status})")))
        }
    })
}

/// Runs a function as a named step.
pub(crate) fn timed(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("── {name}");
    let start = Instant::now();
    let result = run();
    let outcome = if result.is_ok() { "ok" } else { "FAILED" };
    println!(
        "── {name}: {outcome} ({:.1} s)",
        start.elapsed().as_secs_f64()
    );
    result
}
