//! `drawspan emulator`: the local hub as a separate process.

use std::process::ExitCode;

use drawspan_emulator::cli::{self, CommandError, EmulatorArgs};

use super::EXIT_USAGE;
use super::{block_on, failed, log, say};

/// Has the system give memory in small pages: huge ones double what an idle hub takes (11.6 MB of heap instead of 6.2).
fn use_small_pages() {
    // A kernel that refuses costs memory only.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

pub(super) fn run(args: EmulatorArgs) -> ExitCode {
    let _log = log::start("info");
    use_small_pages();
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
