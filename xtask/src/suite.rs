//! `cargo xtask test`: everything that must hold, cheapest first, stopping at the first step that fails.

use crate::conformance;
use crate::error::{Error, Result};
use crate::sim;
use crate::step::step;
use crate::tools::succeeds;
use crate::workspace::Workspace;

/// What releases leave out and tests do not. Every step that shares a build names it, else much would be built twice.
const OPTIONAL: &str = "drawspan/keyvault";

/// Runs all steps; conformance comes last and ends the process with its own summary.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    step("format", &mut workspace.cargo(&["fmt", "--all", "--check"]))?;
    step(
        "lints",
        &mut workspace.cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            OPTIONAL,
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    tests(workspace)?;
    step(
        "documentation tests",
        &mut workspace.cargo(&[
            "test",
            "--workspace",
            "--doc",
            "--features",
            OPTIONAL,
            "--quiet",
        ]),
    )?;
    sim::mutations(workspace)?;
    if workspace.ci {
        // Otherwise the tests above have run a hundred.
        sim::run(workspace, &["--seeds".into(), "1000".into()])?;
    }
    deny(workspace)?;
    match conformance::run(workspace, &[]) {
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

/// Unit, property and integration tests. Without nextest the same tests run, slower.
fn tests(workspace: &Workspace) -> Result<()> {
    if succeeds(&["cargo", "nextest", "--version"]) {
        return step(
            "tests",
            &mut workspace.cargo(&["nextest", "run", "--workspace", "--features", OPTIONAL]),
        );
    }
    println!("(cargo-nextest is not here; cargo test runs the same tests)");
    step(
        "tests",
        &mut workspace.cargo(&[
            "test",
            "--workspace",
            "--features",
            OPTIONAL,
            "--lib",
            "--bins",
            "--tests",
            "--examples",
        ]),
    )
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
