//! Runs one scenario and reports on it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::environment::variables;
use super::scenarios::Scenario;
use super::servers::{Running, command, name};
use crate::error::{Error, Result};
use crate::process::script;
use crate::workspace::Workspace;

/// Whether all held; says so in a line, or why not.
pub(crate) fn run(workspace: &Workspace, scenario: &Scenario) -> bool {
    let start = Instant::now();
    let result = attempt(workspace, scenario);
    let seconds = start.elapsed().as_secs_f64();
    match result {
        Ok(()) => println!("   ok      {} ({seconds:.1} s)", scenario.name),
        Err(ref error) => println!("   FAILED  {} ({seconds:.1} s): {error}", scenario.name),
    }
    result.is_ok()
}

fn attempt(workspace: &Workspace, scenario: &Scenario) -> Result<()> {
    let folder = workspace.conformance().join("logs").join(scenario.name);
    fresh(&folder)?;
    let mut running = Running::start(workspace, scenario.servers, &folder)?;
    let variables = variables(running.strings.as_ref(), &folder);
    for program in scenario.scripts {
        let mut command = command(workspace, program);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        script(name(program), command, &folder)?;
        running.check()?;
    }
    Ok(())
}

fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io("removing", folder))?;
    }
    fs::create_dir_all(folder).map_err(Error::io("making", folder))
}
