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
mod scenarios;
mod servers;
mod soak;

use crate::error::{Error, Result};
use crate::step::{step, timed};
use crate::suite::OPTIONAL;
use crate::tools;
use crate::workspace::{Profile, Workspace};
pub(crate) use scenarios::Scenario;
use scenarios::{ON_REQUEST, SCENARIOS};

/// Prints name and purpose of every scenario.
pub(crate) fn list() -> Result<()> {
    for scenario in SCENARIOS {
        println!("{:20} {}", scenario.name, scenario.about);
    }
    Ok(())
}

/// Sets everything up and runs scenarios, each in its own namespace.
pub(crate) fn run(workspace: &Workspace, chosen: Vec<&Scenario>) -> Result<()> {
    let missing = tools::missing(tools::CONFORMANCE);
    if !missing.is_empty() {
        return Err(Error::Missing(missing));
    }
    let namespace = namespace::find()?;
    timed("conformance: clients from npm and PyPI", || {
        clients::install(workspace)
    })?;
    build(workspace, &chosen)?;
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
        let usual = |scenario: &&Scenario| !ON_REQUEST.contains(&scenario.name);
        return Ok(SCENARIOS.iter().filter(usual).collect());
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
    let usual = |scenario: &&Scenario| !ON_REQUEST.contains(&scenario.name);
    let usual = SCENARIOS.iter().filter(usual);
    usual.filter(|scenario| !lanes::is_long(scenario)).collect()
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
