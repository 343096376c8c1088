//! `drawspan config`: the settings in effect.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use drawspan_hub::DeviceId;
use drawspan_metrics as metrics;
use drawspan_settings::{self as settings, Config, Environment, Mistakes};

use super::serve::ServeFlags;
use super::{block_on, failed, misused, online, say};

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan config check --config drawspan.toml
  DRAWSPAN_ID_SCOPE=0ne00A1B2C3 DRAWSPAN_GROUP_KEY_FILE=/run/secrets/key \\
    drawspan config check --api-key KEY
  drawspan config check --config drawspan.toml --online
  drawspan config check --config drawspan.toml --online --device sensor-1";

pub(super) const INIT_EXAMPLES: &str = "\
Examples:
  drawspan config init
  drawspan config init /etc/drawspan/drawspan.toml
  drawspan config init - | less";

#[derive(Args)]
pub(super) struct InitArgs {
    /// File to write; - for stdout
    #[arg(default_value = "drawspan.toml")]
    file: PathBuf,
}

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Write a configuration file that explains every setting and its default in comments; an existing file is not replaced
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
    /// Show every setting in effect, its source, and every mistake, with secrets hidden; accepts the flags of serve
    #[command(after_help = EXAMPLES)]
    Check(Box<CheckArgs>),
    /// Print the reference of settings for docs/operate.md
    #[command(hide = true)]
    Reference,
    /// Print the table of metrics for docs/operate.md
    #[command(hide = true)]
    Metrics,
}

/// Flags of `config check`.
#[derive(Args)]
pub(super) struct CheckArgs {
    /// Connect once to DPS, hub and store, and print the results; takes seconds, and registers or changes nothing
    #[arg(long)]
    online: bool,
    /// With --online: also check the hub of this device, which is registered if necessary
    #[arg(long, value_name = "ID", requires = "online")]
    device: Option<String>,
    #[command(flatten)]
    serve: ServeFlags,
}

pub(super) fn run(command: &ConfigCommand) -> ExitCode {
    match command {
        ConfigCommand::Init(args) => init(&args.file),
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Reference => say::result(settings::reference::markdown()),
        ConfigCommand::Metrics => say::result(metrics::reference::markdown()),
    }
}

fn init(path: &Path) -> ExitCode {
    let text = settings::template::text();
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
            "written: {shown}; check it with `drawspan config check --config {shown}`\n"
        )),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => failed(format_args!(
            "{shown} exists already and was not changed; give another name, or - for stdout"
        )),
        Err(error) => failed(format_args!("cannot write {shown}: {error}")),
    }
}

/// Creates a file that only its owner can read, since it may hold secrets.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn check(args: &CheckArgs) -> ExitCode {
    let mut mistakes = Mistakes::default();
    let device = args.device.as_deref().map(DeviceId::parse).transpose();
    let Some(device) = mistakes.keep("--device", device) else {
        return misused(&mistakes);
    };
    let loaded = settings::load(&args.serve.0, &Environment::of_process());
    let table = say::result(settings::table(&loaded.effective));
    for note in &loaded.notes {
        say::warning(note);
    }
    match loaded.config {
        Ok(_) if table != ExitCode::SUCCESS => table,
        Ok(config) => {
            let offline = say::result(format_args!("\nno mistakes: {}\n", config.profile));
            match args.online && offline == ExitCode::SUCCESS {
                true => look(&config, device),
                false => offline,
            }
        }
        Err(mistakes) => misused(&mistakes),
    }
}

/// Makes the online checks and prints their results.
fn look(config: &Config, device: Option<DeviceId>) -> ExitCode {
    block_on(async move {
        let lines = online::look(config, device.as_ref()).await;
        let printed = say::result(format_args!("\n{}", online::text(&lines)));
        let is_failed = |line: &&online::Line| matches!(line.seen, online::Seen::Failed { .. });
        let names: Vec<_> = lines
            .iter()
            .filter(is_failed)
            .map(|line| line.what)
            .collect();
        match names.is_empty() {
            true => printed,
            false => failed(format_args!("failed: {}", names.join(", "))),
        }
    })
}
