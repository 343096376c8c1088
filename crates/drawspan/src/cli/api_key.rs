//! `drawspan api-key`: keys of callers.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use drawspan_settings::{ApiKey, Mistakes};

use super::{failed, misused, say};
use crate::limits::API_KEY_BYTES;

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan api-key new
  drawspan api-key new --name line-1 --scopes send --prefix line-1-
  drawspan api-key new --name dashboard --scopes read

Scopes: read permits reading, but no changes; send permits the operations of a device (telemetry, twin, receiving messages, \
registration); manage permits everything else (subscriptions, dead letters, resync, forgetting a device).";

#[derive(Subcommand)]
pub(super) enum ApiKeyCommand {
    /// Make a key; prints it once, with the entry by which the bridge recognizes its hash
    #[command(after_help = EXAMPLES)]
    New(NewArgs),
}

#[derive(Args)]
pub(super) struct NewArgs {
    /// Scopes, separated by commas [default: read,send,manage]
    #[arg(long, value_name = "SCOPES")]
    scopes: Option<String>,
    /// Limit the key to devices whose ids begin with this
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Name of the key, for people
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn run(command: &ApiKeyCommand) -> ExitCode {
    match command {
        ApiKeyCommand::New(args) => new(args),
    }
}

fn new(args: &NewArgs) -> ExitCode {
    let mut bytes = [0; API_KEY_BYTES];
    if let Err(error) = getrandom::fill(&mut bytes) {
        return failed(format_args!("the system gives no random bytes: {error}"));
    }
    let key = URL_SAFE_NO_PAD.encode(bytes);
    let mut mistakes = Mistakes::default();
    let entry = ApiKey::entry(
        &key,
        args.scopes.as_deref(),
        args.prefix.as_deref(),
        args.name.as_deref(),
    );
    let Some(entry) = mistakes.keep("drawspan api-key new", entry) else {
        return misused(&mistakes);
    };
    let shown = say::result(format_args!("key    {key}\nentry  {entry}\n"));
    if shown == ExitCode::SUCCESS {
        say::aside(
            "The key is for the caller and is not shown again. The entry is for the bridge: add it to api_key_file as a line, \
             or to api_key as a text; SIGHUP reads them again.",
        );
    }
    shown
}
