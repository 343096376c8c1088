//! `drawspan openapi`: the API's description.

use std::process::ExitCode;

use clap::Args;
use drawspan_api::openapi;

use super::say;

pub(super) const EXAMPLES: &str = "\
Examples:
  drawspan openapi > docs/openapi.json
  drawspan openapi --swagger > swagger.json";

#[derive(Args)]
pub(super) struct OpenapiArgs {
    /// Print only the operations of the Azure IoT Central Device Bridge, as OpenAPI 2.0, for older client generators
    #[arg(long)]
    swagger: bool,
}

pub(super) fn run(args: &OpenapiArgs) -> ExitCode {
    say::result(match args.swagger {
        true => openapi::swagger_json(),
        false => openapi::json(),
    })
}
