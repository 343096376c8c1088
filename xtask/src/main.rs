//! One door for developers and CI: `cargo xtask test`, `conformance`, `ci`, `bench`, `sim`.

mod bench;
mod conformance;
mod error;
mod load;
mod process;
mod sim;
mod step;
mod suite;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

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
    /// Everything that must hold: format, lints, tests, documentation tests, conformance.
    Test,
    /// Official Azure clients and foreign AMQP stacks against emulator, bridge and engine.
    Conformance {
        /// Only these scenarios; all when none is named.
        names: Vec<String>,
        /// List the scenarios and do nothing else.
        #[arg(long)]
        list: bool,
    },
    /// As `test`, and nothing may be skipped: a missing tool is a failure.
    Ci,
    /// Measures speed beside a ceiling in the same run.
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
        /// Scenarios to run.
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Workspace::find().and_then(|mut workspace| match arguments.command {
        Command::Test => suite::run(&workspace),
        Command::Conformance { list: true, .. } => conformance::list(),
        Command::Conformance { names, .. } => conformance::run(&workspace, &names),
        Command::Ci => {
            workspace.ci = true;
            suite::run(&workspace)
        }
        Command::Bench(arguments) => bench::run(&workspace, &arguments),
        Command::Sim { arguments } => sim::run(&workspace, &arguments),
        Command::ConformanceInside { names } => conformance::inside(&workspace, &names),
    });
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
