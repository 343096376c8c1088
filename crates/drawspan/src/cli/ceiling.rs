//! The ceiling of benchmarks: the API as it is, with devices that accept everything at once.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use drawspan_api::api::Api;
use drawspan_api::server::{self, Terms};
use drawspan_load::AnswerAtOnce;
use drawspan_settings::limits::REQUEST_TIMEOUT_S;
use drawspan_settings::{self as settings, ApiKeys, Mistakes, connect};

use super::{block_on, failed, log, misused, say, signals};

/// Flags of `bench-ceiling`.
#[derive(Args)]
pub struct CeilingArgs {
    /// Where to listen for HTTP
    #[arg(long, value_name = "ADDR:PORT")]
    listen: String,
    /// Key that callers send in the header x-api-key
    #[arg(long, value_name = "KEY")]
    api_key: String,
}

pub(super) fn run(args: &CeilingArgs) -> ExitCode {
    let mut mistakes = Mistakes::default();
    let address = mistakes.keep("--listen", connect::parse_address(&args.listen));
    settings::check_api_key(&mut mistakes, "--api-key", &args.api_key);
    let (Some(address), []) = (address, mistakes.lines()) else {
        return misused(&mistakes);
    };
    let _log = log::start("info");
    let api_keys = ApiKeys::new([args.api_key.as_str()]);
    block_on(async move {
        let timeout = Duration::from_secs(REQUEST_TIMEOUT_S);
        match server::bind(address) {
            Ok(listener) => {
                let address = listener.local_addr().unwrap_or(address);
                // It works as well where nobody reads that.
                let _ = say::out(format_args!("listening on http://{address}\nready\n"));
                let api = Api::new(AnswerAtOnce, api_keys, timeout);
                let terms = Terms::new(Duration::from_secs(1));
                server::serve(listener, api, signals::shutdown(), terms).await;
                ExitCode::SUCCESS
            }
            Err(error) => failed(format_args!("cannot listen on {address}: {error}")),
        }
    })
}
