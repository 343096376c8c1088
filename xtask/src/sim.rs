//! `cargo xtask sim`: the production cores under simulation. `sim/` says what that means.

use crate::error::Result;
use crate::step::step;
use crate::workspace::Workspace;

/// Builds it and hands on the arguments; it prints its own progress and verdict.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut command = workspace.cargo(&[
        "run",
        "--release",
        "--quiet",
        "--package",
        "drawspan-sim",
        "--",
    ]);
    step("simulation", command.args(arguments))
}

/// The planted faults, each of which the simulation must find. They need a separate build of the cores.
pub(crate) fn mutations(workspace: &Workspace) -> Result<()> {
    step(
        "simulation: planted faults",
        &mut workspace.cargo(&[
            "test",
            "--quiet",
            "--package",
            "drawspan-sim",
            "--features",
            "mutations",
            "--test",
            "mutations",
        ]),
    )
}
