//! `drawspan config`: what the settings come to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{failed, misused, say};
use crate::config::{self, Environment, ServeArgs};
use crate::metrics;

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan config check --config drawspan.toml
  DRAWSPAN_ID_SCOPE=0ne00A1B2C3 DRAWSPAN_GROUP_KEY_FILE=/run/secrets/group-key drawspan config check --api-key KEY";

pub(super) const INIT_EXAMPLES: &str = "\
Examples:
  drawspan config init
  drawspan config init /etc/drawspan/drawspan.toml
  drawspan config init - | less";

#[derive(Args)]
pub(super) struct InitArgs {
    /// Where to write it; - for stdout
    #[arg(default_value = "drawspan.toml")]
    file: PathBuf,
}

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Write a configuration file with every setting, its meaning and default, all of them comments; a file that is there
    /// is left alone
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
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
        ConfigCommand::Init(args) => init(&args.file),
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Reference => say::result(config::reference::markdown()),
        ConfigCommand::Metrics => say::result(metrics::reference::markdown()),
    }
}

fn init(path: &Path) -> ExitCode {
    let text = config::template::text();
    if path.as_os_str() == "-" {
        return say::result(text);
    }
    let shown = path.display();
    let created = create(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    match created {
        Ok(()) => say::result(format_args!(
            "written: {shown}; show what it comes to with `drawspan config check --config {shown}`\n"
        )),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => failed(format_args!(
            "{shown} is there already and was left alone; give another name, or - for stdout"
        )),
        Err(error) => failed(format_args!("cannot write {shown}: {error}")),
    }
}

/// A new file for its owner alone: secrets may be written into it.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn check(args: &ServeArgs) -> ExitCode {
    let loaded = config::load(args, &Environment::of_process());
    let table = say::result(config::table(&loaded.effective));
    for note in &loaded.notes {
        say::warning(note);
    }
    match loaded.config {
        Ok(_) if table != ExitCode::SUCCESS => table,
        Ok(config) => say::result(format_args!("\nno mistakes: {}\n", config.profile)),
        Err(mistakes) => misused(&mistakes),
    }
}
