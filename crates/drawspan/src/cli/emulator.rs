//! `drawspan emulator`: the local hub as a separate process.

use std::process::ExitCode;

use drawspan_emulator::cli::{self, CommandError, EmulatorArgs};

use super::EXIT_USAGE;
use super::{block_on, failed, log, say};

pub(super) fn run(args: EmulatorArgs) -> ExitCode {
    let _log = log::start("info");
    block_on(async move {
        match cli::run(args).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(CommandError::Args(mistakes)) => {
                say::error(mistakes);
                ExitCode::from(EXIT_USAGE)
            }
            // The reader has gone.
            Err(CommandError::Print(error)) if say::is_enough(&error) => ExitCode::SUCCESS,
            Err(error) => failed(error),
        }
    })
}
