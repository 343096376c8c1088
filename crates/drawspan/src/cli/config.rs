//! `drawspan config`: what the settings come to.

use std::process::ExitCode;

use clap::Subcommand;

use super::{misused, say};
use crate::config::{self, Environment, ServeArgs};
use crate::metrics;

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan config check --config drawspan.toml
  DRAWSPAN_ID_SCOPE=0ne00A1B2C3 DRAWSPAN_GROUP_KEY_FILE=/run/secrets/group-key drawspan config check --api-key KEY";

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Show every setting as it counts and where it came from, secrets hidden, and every mistake; takes the flags of serve
    #[command(after_help = EXAMPLES)]
    Check(Box<ServeArgs>),
    /// Print the reference of settings for docs/operate.md
    #[command(hide = true)]
    Reference,
    /// Print the table of metrics for docs/operate.md
    #[command(hide = true)]
    Metrics,
}

pub(super) fn run(command: &ConfigCommand) -> ExitCode {
    match command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Reference => say::result(config::reference::markdown()),
        ConfigCommand::Metrics => say::result(metrics::reference::markdown()),
    }
}

fn check(args: &ServeArgs) -> ExitCode {
    let loaded = config::load(args, &Environment::of_process());
    let table = say::result(config::table(&loaded.effective));
    for note in &loaded.notes {
        say::aside(note);
    }
    match loaded.config {
        Ok(_) if table != ExitCode::SUCCESS => table,
        Ok(config) => say::result(format_args!("\nno mistakes: {}\n", config.profile)),
        Err(mistakes) => misused(&mistakes),
    }
}
