//! `drawspan emulator picture`: what the rules of a hub do in the course of time, drawn.
//!
//! Each picture steps the clock of the very rules that a running emulator has, so that it changes when they do.

mod mass_connect;
mod sas_expiry;
#[cfg(test)]
mod tests;
mod throttle;

use std::path::PathBuf;
use std::{fs, io};

use clap::{Args, Subcommand};
use drawspan_chart::ChartError;
use drawspan_hub::limits::HubSize;

use mass_connect::MassConnectArgs;
use sas_expiry::SasExpiryArgs;
use throttle::ThrottleArgs;

/// Flags of the command.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PictureArgs {
    #[command(subcommand)]
    picture: Picture,
    /// The file to write [default: standard output]
    #[arg(long, short, value_name = "FILE", global = true)]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  drawspan emulator picture sas-expiry -o sas-expiry.svg
  drawspan emulator picture throttle --rate 200 --sku S1 -o throttle.svg
  drawspan emulator picture mass-connect --devices 100000 \\
    --sku S1 --sku S1x9 --sku S3 -o mass-connect.svg";

const SAS_EXPIRY: &str = "\
Examples:
  Tokens of an hour, at a hub as it is:
    drawspan emulator picture sas-expiry -o sas-expiry.svg

  Tokens of a quarter of an hour, and no tolerance:
    drawspan emulator picture sas-expiry --life 15 --grace-connect 0 \\
      --grace-live 0 -o strict.svg";

const THROTTLE: &str = "\
Examples:
  Twice as many messages as one unit of S1 takes:
    drawspan emulator picture throttle --rate 200 --sku S1 \\
      -o throttle.svg";

const MASS_CONNECT: &str = "\
Examples:
  100,000 devices at hubs of three sizes:
    drawspan emulator picture mass-connect --devices 100000 \\
      --sku S1 --sku S1x9 --sku S3 -o mass-connect.svg";

/// What is drawn, as SVG.
#[derive(Clone, Debug, Subcommand)]
enum Picture {
    /// What becomes of connections when tokens expire
    #[command(after_help = SAS_EXPIRY)]
    SasExpiry(SasExpiryArgs),
    /// What a hub does with more messages than its rate
    #[command(after_help = THROTTLE)]
    Throttle(ThrottleArgs),
    /// How long a fleet takes to connect
    #[command(after_help = MASS_CONNECT)]
    MassConnect(MassConnectArgs),
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The flags ask for something that cannot be drawn.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// The file cannot be written.
    #[error("cannot write {path}: {cause}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// Draws a picture. Returns what is to be printed: the picture, unless it went to a file.
pub(crate) fn run(args: &PictureArgs) -> Result<String, PictureError> {
    let svg = match &args.picture {
        Picture::SasExpiry(args) => args.draw()?.svg()?,
        Picture::Throttle(args) => args.draw().svg()?,
        Picture::MassConnect(args) => args.draw().svg()?,
    };
    let Some(path) = &args.output else {
        return Ok(svg);
    };
    match fs::write(path, svg) {
        Ok(()) => Ok(String::new()),
        Err(cause) => Err(PictureError::Write {
            path: path.clone(),
            cause,
        }),
    }
}

fn size(text: &str) -> Result<HubSize, String> {
    text.parse().map_err(|error| format!("{error}"))
}
