//! `cargo xtask conformance`: unmodified official clients and foreign AMQP stacks judge emulator, bridge and engine.
//!
//! Outside: finds tools, installs the clients, builds. Then this program starts itself once for each scenario, in a separate
//! namespace, a few at a time.

pub(crate) mod clients;
mod commands_kill;
pub(crate) mod environment;
mod fleet;
mod lanes;
mod namespace;
mod outage;
mod run;
mod scenario;
mod scenarios;
mod servers;
mod soak;

use crate::compatibility;
use crate::error::{Error, Result};
use crate::step::{step, timed};
use crate::suite::OPTIONAL;
use crate::tools;
use crate::workspace::{Profile, Workspace};
pub(crate) use scenario::{Program, Scenario};
use scenarios::IF_INSTALLED;
pub(crate) use scenarios::{ON_REQUEST, SCENARIOS};
#[cfg(test)]
pub(crate) use servers::name;

/// Prints name and purpose of every scenario.
pub(crate) fn list() -> Result<()> {
    for scenario in SCENARIOS {
        println!("{:20} {}", scenario.name, scenario.about);
    }
    Ok(())
}

/// Runs scenarios, and compares `docs/compatibility.md` with what they saw.
pub(crate) fn run(workspace: &Workspace, chosen: &[&Scenario]) -> Result<()> {
    run_scenarios(workspace, chosen)?;
    let names: Vec<_> = chosen.iter().map(|it| it.name).collect();
    let is_whole = usual().iter().all(|it| names.contains(&it.name));
    compatibility::check(workspace, chosen, is_whole)
}

/// Sets everything up and runs scenarios, each in its own namespace.
pub(crate) fn run_scenarios(workspace: &Workspace, chosen: &[&Scenario]) -> Result<()> {
    let missing = tools::missing(tools::CONFORMANCE);
    if !missing.is_empty() {
        return Err(Error::Missing(missing));
    }
    let namespace = namespace::find()?;
    timed("conformance: clients from npm and PyPI", || {
        clients::install(workspace)
    })?;
    build(workspace, chosen)?;
    lanes::run(workspace, namespace, chosen)
}

/// Runs one scenario; must be inside the namespace already.
pub(crate) fn inside(workspace: &Workspace, name: &str) -> Result<()> {
    namespace::prepare(workspace)?;
    match run::run(workspace, find(name)?) {
        true => Ok(()),
        false => Err(Error::Conformance {
            passed: 0,
            failed: 1,
        }),
    }
}

/// The scenarios of these names, or the usual ones if no name is given.
pub(crate) fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(usual());
    }
    names.iter().map(|name| find(name)).collect()
}

/// Whether any of them measures, so that it must be a release.
pub(crate) fn has_figures(chosen: &[&Scenario]) -> bool {
    chosen.iter().any(|it| ON_REQUEST.contains(&it.name))
}

/// Those that run only when they are named.
pub(crate) fn on_request() -> Vec<&'static Scenario> {
    let named = |scenario: &&Scenario| ON_REQUEST.contains(&scenario.name);
    SCENARIOS.iter().filter(named).collect()
}

/// Those that take less than a minute.
pub(crate) fn short() -> Vec<&'static Scenario> {
    let mut short = usual();
    short.retain(|scenario| !lanes::is_long(scenario));
    short
}

/// Those that run when no name is given: all but the ones on request, and what needs a program that this machine does not have.
fn usual() -> Vec<&'static Scenario> {
    let is_usual = |scenario: &&Scenario| {
        let needs = IF_INSTALLED.iter().find(|(name, _)| *name == scenario.name);
        !ON_REQUEST.contains(&scenario.name)
            && needs.is_none_or(|(_, tools)| tools::missing(tools).is_empty())
    };
    SCENARIOS.iter().filter(is_usual).collect()
}

fn find(name: &str) -> Result<&'static Scenario> {
    SCENARIOS
        .iter()
        .find(|scenario| scenario.name == name)
        .ok_or_else(|| Error::UnknownScenario(name.to_owned()))
}

/// Builds what the scenarios start: as the tests have built it, or a release.
fn build(workspace: &Workspace, chosen: &[&Scenario]) -> Result<()> {
    let build = |arguments: &[&str]| {
        let mut command = workspace.cargo(&["build", "--quiet"]);
        step("build", command.args(arguments))
    };
    let peer = ["--example", "peer"];
    if workspace.profile == Profile::Dev {
        let all = ["--workspace", "--features", OPTIONAL, "--bins"];
        return build(&[&all[..], &peer].concat());
    }
    if chosen.iter().any(|scenario| scenario.runs_product()) {
        build(&["--release", "--package", "drawspan"])?;
    }
    if chosen.iter().any(|scenario| scenario.runs_engine()) {
        build(&[&["--release", "--package", "drawspan-net"][..], &peer].concat())?;
    }
    Ok(())
}
