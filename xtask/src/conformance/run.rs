//! Runs one scenario and reports on it.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::environment::variables;
use super::scenario::{Drive, Program, Scenario};
use super::scenarios::ON_REQUEST;
use super::servers::{Running, command, name};
use super::{clients, commands_kill, fleet, outage};
use crate::error::{Error, Result};
use crate::process::Script;
use crate::workspace::Workspace;

/// How long a script of a scenario may take that is run only when it is named.
const LONG: Duration = Duration::from_secs(3_600);

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
    let flags = match &scenario.drive {
        Some(Drive::Outage(outage)) => outage.emulator_flags(),
        Some(Drive::Soak(soak)) => soak.emulator_flags()?,
        // These register by themselves.
        Some(Drive::Fleet(_) | Drive::CommandsKill(_)) | None => Vec::new(),
    };
    let mut running = Running::start(workspace, scenario.servers, flags, &folder)?;
    let mut variables = variables(running.strings.as_ref(), &folder);
    variables.push(("DRAWSPAN", workspace.program("drawspan").into()));
    let old = workspace.conformance().join(clients::OLD_NODE);
    variables.push(("OLD_CLIENTS", old.join("node_modules").into()));
    if let Some(arguments) = &running.handed_over {
        variables.push(("EMULATOR_ARGUMENTS", arguments.join(OsStr::new("\n"))));
    }
    let command_of = |program: &Program| {
        let mut command = command(workspace, program);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command
    };
    let counting = |program: &Program, devices: u32| {
        let mut command = command_of(program);
        command.arg(devices.to_string());
        command
    };
    match &scenario.drive {
        Some(Drive::Outage(outage)) => {
            let connected = counting(&outage::CONNECTED, outage.devices);
            outage::run(workspace, outage, &mut running, connected, &folder)?;
        }
        Some(Drive::Fleet(fleet)) => {
            let registered = |devices| counting(&fleet::REGISTERED, devices);
            let connected = counting(&outage::CONNECTED, fleet.devices);
            fleet.run(workspace, &mut running, connected, registered, &folder)?;
        }
        Some(Drive::CommandsKill(kill)) => {
            let emptied = counting(&commands_kill::EMPTIED, kill.devices);
            kill.run(workspace, &mut running, emptied, &folder)?;
        }
        Some(Drive::Soak(soak)) => {
            soak.run(workspace, &mut running, &command_of, &folder)?;
        }
        None => {}
    }
    for program in scenario.scripts {
        let started = Script::start(name(program), command_of(program), &folder)?;
        match ON_REQUEST.contains(&scenario.name) {
            true => started.within(LONG).finish()?,
            false => started.finish()?,
        };
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
