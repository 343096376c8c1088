//! Runs one scenario and reports on it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::environment::variables;
use super::outage;
use super::scenarios::{Program, Scenario};
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
    let devices = scenario.outage.as_ref().map_or(0, |outage| outage.devices);
    let mut running = Running::start(workspace, scenario.servers, devices, &folder)?;
    let variables = variables(running.strings.as_ref(), &folder);
    let command_of = |program: &Program| {
        let mut command = command(workspace, program);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command
    };
    if let Some(outage) = &scenario.outage {
        let mut connected = command_of(&outage::CONNECTED);
        connected.arg(outage.devices.to_string());
        outage::run(workspace, outage, &mut running, connected, &folder)?;
    }
    for program in scenario.scripts {
        script(name(program), command_of(program), &folder)?;
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
