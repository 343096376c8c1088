//! `cargo xtask conformance`: unmodified official clients and foreign AMQP stacks judge emulator, bridge and engine.
//!
//! Outside the namespace: look for tools, install the clients, build. Then this program replaces itself by itself inside a
//! namespace of its own, and runs the scenarios there.

pub(crate) mod clients;
mod commands_kill;
pub(crate) mod environment;
mod fleet;
mod namespace;
mod outage;
mod run;
mod scenarios;
mod servers;
mod soak;

use std::process::Command;

use crate::error::{Error, Result};
use crate::step::{step, timed};
use crate::tools;
use crate::workspace::Workspace;
use scenarios::{ON_REQUEST, SCENARIOS, Scenario};

/// Prints name and purpose of every scenario.
pub(crate) fn list() -> Result<()> {
    for scenario in SCENARIOS {
        println!("{:20} {}", scenario.name, scenario.about);
    }
    Ok(())
}

/// Sets everything up and runs the named scenarios (all when none is named) in a namespace. On success this does not return:
/// the process goes on as [`inside`].
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    let chosen = choose(names)?;
    let missing = tools::missing(tools::CONFORMANCE);
    if !missing.is_empty() {
        return Err(Error::Missing(missing));
    }
    let namespace = namespace::find()?;
    timed("conformance: clients from npm and PyPI", || {
        clients::install(workspace)
    })?;
    build(workspace, &chosen)?;
    Err(namespace::enter(workspace, namespace, names))
}

/// Runs scenarios; must be inside the namespace already.
pub(crate) fn inside(workspace: &Workspace, names: &[String]) -> Result<()> {
    let chosen = choose(names)?;
    namespace::prepare(workspace)?;
    println!("── conformance");
    let (mut passed, mut failed) = (0, 0);
    for scenario in chosen {
        if run::run(workspace, scenario) {
            passed += 1
        } else {
            failed += 1
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        Ok(())
    } else {
        Err(Error::Conformance { passed, failed })
    }
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        let usual = |scenario: &&Scenario| !ON_REQUEST.contains(&scenario.name);
        return Ok(SCENARIOS.iter().filter(usual).collect());
    }
    let find = |name: &String| {
        SCENARIOS
            .iter()
            .find(|scenario| scenario.name == name)
            .ok_or_else(|| Error::UnknownScenario(name.clone()))
    };
    names.iter().map(find).collect()
}

/// Builds what the scenarios start, and nothing else.
fn build(workspace: &Workspace, chosen: &[&Scenario]) -> Result<()> {
    let build = |name: &str, what: &[&str]| {
        let mut command: Command = workspace.cargo(&["build", "--release", "--quiet"]);
        step(name, command.args(what))
    };
    if chosen.iter().any(|scenario| scenario.needs_product()) {
        build("build: drawspan", &["--package", "drawspan"])?;
    }
    if chosen.iter().any(|scenario| scenario.needs_engine()) {
        build(
            "build: the engine as a peer",
            &["--package", "drawspan-net", "--example", "peer"],
        )?;
    }
    Ok(())
}
