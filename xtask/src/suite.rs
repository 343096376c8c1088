//! `cargo xtask test`: everything that must hold, cheapest first. It stops at the first step that fails.

use std::process::Command;

use crate::affected::Affected;
use crate::conformance::{self, Scenario};
use crate::error::{Error, Result};
use crate::sim;
use crate::step::step;
use crate::tools::succeeds;
use crate::workspace::{Profile, Workspace};

/// What releases leave out and tests do not. Every step that shares a build names it, else much would be built twice.
pub(crate) const OPTIONAL: &str = "drawspan/keyvault";

/// Everything, built in the one way that all steps share.
const WHOLE: &[&str] = &["--workspace", "--features", OPTIONAL];

/// Seeds of the simulation in CI, and with `--full`. Otherwise the tests' hundred are enough.
const SEEDS: &str = "1000";
const MANY_SEEDS: &str = "20000";

/// Inputs of each property with `--full`.
const MANY_CASES: &str = "100000";

/// Damaged conversations of each protocol of the emulator with `--full`.
const MANY_ROUNDS: &str = "1000000";

/// Crates whose properties read what strangers send.
const FUZZED: &[&str] = &["drawspan-amqp", "drawspan-hub", "drawspan-store"];

/// Runs all steps; conformance comes last, with its own summary.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    format(workspace)?;
    lints(workspace)?;
    tests(workspace, None)?;
    sim::mutations(workspace)?;
    if workspace.ci {
        sim::run(workspace, &["--seeds".into(), SEEDS.into()])?;
    }
    deny(workspace)?;
    judged(workspace, conformance::choose(&[])?)
}

/// What [`run`] does, and what takes too long for every day.
pub(crate) fn full(workspace: &mut Workspace) -> Result<()> {
    run(workspace)?;
    sim::run(workspace, &["--seeds".into(), MANY_SEEDS.into()])?;
    fuzz(workspace)?;
    damage(workspace)?;
    workspace.profile = Profile::Release;
    judged(workspace, conformance::on_request())
}

/// Format, and lints, tests and scenarios of what has changed since a commit.
pub(crate) fn affected(workspace: &Workspace, base: &str) -> Result<()> {
    format(workspace)?;
    let affected = Affected::since(workspace, base)?;
    println!("changed since {base}: {affected}");
    if affected.packages().is_empty() {
        return Ok(());
    }
    lints(workspace)?;
    tests(workspace, Some(affected.packages()))?;
    let scenarios = affected.scenarios();
    match scenarios.is_empty() {
        true => Ok(()),
        false => judged(workspace, scenarios),
    }
}

fn format(workspace: &Workspace) -> Result<()> {
    step("format", &mut workspace.cargo(&["fmt", "--all", "--check"]))
}

fn lints(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["clippy", "--quiet", "--all-targets"]);
    command.args(WHOLE).args(["--", "-D", "warnings"]);
    step("lints", &mut command)
}

/// Unit, property and integration tests, of all packages or of some. Without nextest the same tests run, slower.
fn tests(workspace: &Workspace, packages: Option<&[String]>) -> Result<()> {
    if succeeds(&["cargo", "nextest", "--version"]) {
        let mut command = workspace.cargo(&["nextest", "run"]);
        // Building some of the packages alone would build their dependencies with other features, and so everything again.
        command.args(WHOLE);
        if let Some(packages) = packages {
            let sets: Vec<_> = packages.iter().map(|it| format!("package({it})")).collect();
            command.args(["--filterset", &sets.join(" + ")]);
        }
        return step("tests", &mut command);
    }
    println!("(cargo-nextest is not here; cargo test runs the same tests)");
    let mut command = workspace.cargo(&["test", "--lib", "--bins", "--tests", "--examples"]);
    match packages {
        None => command.args(WHOLE),
        Some(packages) => of(&mut command, packages),
    };
    step("tests", &mut command)
}

/// Scenarios; left out where tools are missing, unless this is CI.
fn judged(workspace: &Workspace, scenarios: Vec<&Scenario>) -> Result<()> {
    match conformance::run(workspace, &scenarios) {
        Err(Error::Missing(tools)) if !workspace.ci => {
            println!(
                "conformance: SKIPPED, because of what is missing here (CI=true makes this a failure):"
            );
            tools.iter().for_each(|tool| println!("  {tool}"));
            Ok(())
        }
        result => result,
    }
}

/// The properties of codecs, with very many inputs; and what clients send, damaged in a million ways for each protocol.
fn fuzz(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["test", "--release", "--quiet"]);
    command.env("PROPTEST_CASES", MANY_CASES);
    step("properties, at length", of(&mut command, FUZZED))?;
    let mut command = workspace.cargo(&["test", "--release", "--quiet", "--lib"]);
    command.env("FUZZ_ROUNDS", MANY_ROUNDS);
    of(
        &mut command,
        &["drawspan-emulator-amqp", "drawspan-emulator"],
    );
    step("damaged conversations", command.arg("damaged"))
}

/// Files of the bridge's and the emulator's state, changed in hundreds of ways.
fn damage(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["test", "--quiet", "--lib"]);
    of(&mut command, &["drawspan-store", "drawspan-emulator"]);
    step(
        "damaged files",
        command.args(["hundreds_of_changes", "--", "--ignored"]),
    )
}

fn of<'a>(command: &'a mut Command, packages: &[impl AsRef<str>]) -> &'a mut Command {
    let packages = packages.iter().map(AsRef::as_ref);
    command.args(packages.flat_map(|package| ["--package", package]))
}

/// The lists of `deny.toml` hold in any case, by `xtask/tests/dependencies.rs`; cargo-deny, where present, also warns of
/// doubled versions.
fn deny(workspace: &Workspace) -> Result<()> {
    if !succeeds(&["cargo", "deny", "--version"]) {
        println!("(cargo-deny is not here; the tests of xtask checked bans, licences and sources)");
        return Ok(());
    }
    step(
        "cargo-deny",
        &mut workspace.cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]),
    )
}
