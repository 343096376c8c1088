//! One door for developers and CI: `cargo xtask test`, `conformance`, `ci`, `bench`, `sim`.

mod affected;
mod bench;
mod compatibility;
mod conformance;
mod error;
mod load;
mod pitfalls;
mod process;
mod sim;
mod step;
mod suite;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::{Profile, Workspace};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold: format, lints, tests, conformance.
    Test {
        /// Also what is too long for every day: 20,000 seeds of the simulation, millions of inputs, damaged files, fleets of
        /// 50,000 devices, an hour's soak. Takes about five hours.
        #[arg(long, conflicts_with = "affected")]
        full: bool,
        /// Only what has changed since a commit: those crates, the ones that depend on them, and scenarios that run them and
        /// take less than a minute.
        #[arg(long, value_name = "BASE", num_args = 0..=1, default_missing_value = "main")]
        affected: Option<String>,
    },
    /// Official Azure clients and foreign AMQP stacks against emulator, bridge and engine.
    Conformance {
        /// Only these scenarios; all if no name is given.
        names: Vec<String>,
        /// List the scenarios and do nothing else.
        #[arg(long)]
        list: bool,
        /// Start released programs, instead of those that tests use. Scenarios that are run on request always do.
        #[arg(long)]
        release: bool,
        /// Write docs/compatibility.md afterwards, from what these scenarios saw, and the others when they last ran.
        #[arg(long)]
        table: bool,
    },
    /// Writes conformance/PITFALLS.md from conformance/pitfalls.toml.
    Pitfalls,
    /// As `test`, and nothing may be skipped: a missing tool is a failure.
    Ci,
    /// Measures speed compared with a ceiling in the same run.
    Bench(bench::Arguments),
    /// Simulates the production cores with faults, one seed after the other; see its own `--help`.
    #[command(disable_help_flag = true)]
    Sim {
        /// `--seeds N`, `--seed S`, `--steps N`, `--trace`, `--tally`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The part of `conformance` that runs inside the namespace.
    #[command(hide = true)]
    ConformanceInside {
        /// Scenario to run.
        name: String,
        /// Start released programs.
        #[arg(long)]
        release: bool,
    },
}

fn run(workspace: &mut Workspace, command: Command) -> error::Result<()> {
    match command {
        Command::Test {
            affected: Some(base),
            ..
        } => suite::affected(workspace, &base),
        Command::Test { full: true, .. } => suite::full(workspace),
        Command::Test { .. } => suite::run(workspace),
        Command::Conformance { list: true, .. } => conformance::list(),
        Command::Conformance {
            names,
            release,
            table,
            ..
        } => {
            let chosen = conformance::choose(&names)?;
            workspace.profile = Profile::of(release || conformance::has_figures(&chosen));
            if table {
                conformance::run_scenarios(workspace, &chosen)?;
                return compatibility::write(workspace);
            }
            conformance::run(workspace, &chosen)
        }
        Command::Pitfalls => pitfalls::write(workspace),
        Command::Ci => {
            workspace.ci = true;
            suite::run(workspace)
        }
        Command::Bench(arguments) => {
            workspace.profile = Profile::Release;
            bench::run(workspace, &arguments)
        }
        Command::Sim { arguments } => sim::run(workspace, &arguments),
        Command::ConformanceInside { name, release } => {
            workspace.profile = Profile::of(release);
            conformance::inside(workspace, &name)
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Workspace::find().and_then(|mut workspace| run(&mut workspace, arguments.command));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The clients' verdict was the last line already, and stays it.
            if !matches!(error, error::Error::Conformance { .. }) {
                eprintln!("xtask: {error}");
            }
            ExitCode::from(error.status())
        }
    }
}
