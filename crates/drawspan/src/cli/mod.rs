//! The command line, and what each subcommand runs.

mod advice;
mod api_key;
mod backup;
mod bridge;
mod completions;
mod config;
mod dead_letters;
#[cfg(feature = "emulator")]
mod dev;
mod diagnose;
#[cfg(feature = "emulator")]
mod emulator;

mod hub;
mod import;
mod keys;
mod load;
mod log;
mod online;
mod openapi;
mod resources;
mod say;
mod serve;
mod show;
mod signals;
mod state;
mod term;
mod usage;
mod watch;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// Exit code for a command line or environment that cannot be used (`EX_USAGE` of sysexits).
const EXIT_USAGE: u8 = 64;

#[derive(Parser)]
#[command(name = "drawspan", version = VERSION, about, max_term_width = 110, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run bridge, local hub and sample devices in one process; nothing to configure
    #[cfg(feature = "emulator")]
    #[command(after_help = dev::EXAMPLES)]
    Dev(dev::DevArgs),
    /// Run the bridge, in front of real hubs or the emulator
    #[command(after_help = serve::EXAMPLES)]
    Serve(Box<serve::ServeFlags>),
    /// Show and check the settings of serve
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make keys for callers
    #[command(subcommand)]
    ApiKey(api_key::ApiKeyCommand),
    /// List, send again and remove undelivered events of a running bridge
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// Show why a device at a running bridge is not connected, or comes and goes
    #[command(after_help = diagnose::EXAMPLES)]
    Diagnose(diagnose::DiagnoseArgs),
    /// Show who used which share of the hubs' sends and daily quota today, at a running bridge
    #[command(after_help = usage::EXAMPLES)]
    Usage(usage::UsageArgs),
    /// Follow the connections of devices at a running bridge, with the cause of every change
    #[command(after_help = watch::EXAMPLES)]
    Watch(watch::WatchArgs),
    /// List, rotate and remove the keys that encrypt the state directory
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Copy the state directory's store, also while serve runs
    #[command(after_help = backup::BACKUP_EXAMPLES)]
    Backup(backup::BackupArgs),
    /// Restore a backup into a state directory
    #[command(after_help = backup::RESTORE_EXAMPLES)]
    Restore(backup::RestoreArgs),
    /// Import subscriptions and hubs of the bridge that Drawspan replaces
    #[command(after_help = import::EXAMPLES)]
    Import(Box<import::ImportArgs>),
    /// Run a local IoT hub for official Azure IoT SDKs
    #[cfg(feature = "emulator")]
    Emulator(Box<drawspan_emulator::cli::EmulatorArgs>),
    /// Talk to a hub as a service: send messages and methods to devices, read twins, watch telemetry
    #[command(after_help = hub::EXAMPLES)]
    Hub(Box<hub::HubArgs>),
    /// Print the API's description, OpenAPI 3.1
    #[command(after_help = openapi::EXAMPLES)]
    Openapi(openapi::OpenapiArgs),
    /// Send telemetry, or messages and methods to devices, at a given rate, and report the results
    #[command(after_help = load::EXAMPLES)]
    Load(Box<drawspan_load::LoadArgs>),
    /// Print a completion script for a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
}

/// The version, and the commit that it was built from.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("DRAWSPAN_COMMIT"),
    ")"
);

const EXAMPLES: &str = "\
Examples:
  Bridge, local hub and sample devices; nothing to configure:
  drawspan dev

  The bridge, in front of real hubs or the emulator, and its settings in effect:
  drawspan serve --help
  drawspan config check --help

  A local IoT hub for the official SDKs, and a back end for any hub:
  drawspan emulator --help
  drawspan hub --help";

/// Runs the command line of this process. Exit codes: 0 done, 1 failed, 64 not understood.
#[must_use]
pub fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if std::env::args_os()
        .nth(1)
        .is_some_and(|command| command == "emulator")
    {
        // Huge pages would add 2 MB to what an idle hub takes. A kernel that refuses costs memory only.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
    }
    log::watch_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error),
    };
    match cli.command {
        #[cfg(feature = "emulator")]
        Command::Dev(args) => dev::run(&args),
        Command::Serve(args) => serve::run(*args),
        Command::Config(command) => config::run(&command),
        Command::Import(args) => import::run(&args),
        Command::ApiKey(command) => api_key::run(&command),
        Command::DeadLetters(command) => dead_letters::run(&command),
        Command::Diagnose(args) => diagnose::run(&args),
        Command::Usage(args) => usage::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Keys(command) => keys::run(&command),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::run(*args),
        Command::Hub(args) => hub::run(&args),
        Command::Openapi(args) => openapi::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Completions(args) => completions::run(&args),
    }
}

/// Help and version were asked for, or the command line cannot be understood.
fn not_parsed(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && log::is_json() {
        say::error(error.render().to_string().trim_end());
        return ExitCode::from(EXIT_USAGE);
    }
    let printed = error.print();
    match (error.kind(), printed) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(error))
            if !say::is_enough(&error) =>
        {
            ExitCode::FAILURE
        }
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, _) => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_USAGE),
    }
}

#[cfg(test)]
#[path = "examples_tests.rs"]
mod examples_tests;
/// The fake by which the API tests itself.
#[cfg(test)]
#[path = "../../../api/src/fake.rs"]
mod fake;

/// Time limit for remaining background work at the end.
const SHUTDOWN: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs `work` on a runtime with a thread per core, with what the system can give.
fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    resources::prepare();
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // Output that waits for a blocked terminal is not waited for.
            runtime.shutdown_timeout(SHUTDOWN);
            code
        }
        Err(error) => failed(format_args!("cannot start: {error}")),
    }
}

/// Prints the reason, and fails.
fn failed(why: impl std::fmt::Display) -> ExitCode {
    say::error(why);
    ExitCode::FAILURE
}

/// Prints the mistakes of the configuration.
fn misused(mistakes: &drawspan_settings::Mistakes) -> ExitCode {
    say::error(mistakes.to_string().trim_end());
    ExitCode::from(EXIT_USAGE)
}
