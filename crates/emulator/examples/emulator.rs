//! The emulator alone: `cargo run -p drawspan-emulator --example emulator -- --device sensor-1`.

use clap::Parser;
use drawspan_emulator::cli::{CommandError, EmulatorArgs, run};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: EmulatorArgs,
}

#[tokio::main]
async fn main() -> Result<(), CommandError> {
    run(Command::parse().args).await
}
