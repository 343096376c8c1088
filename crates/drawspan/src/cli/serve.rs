//! `drawspan serve`: the bridge, in front of a hub.

use std::process::ExitCode;
use std::sync::Arc;

use tracing::warn;

use super::{block_on, failed, files, log, misused, signals};
use crate::config::{Config, ServeArgs};
use crate::http::api::Api;
use crate::http::server;
use crate::runtime;
use drawspan_client::Credentials;

pub(super) const EXAMPLES: &str = r"Examples:
  In front of a hub in the cloud; secrets are better given in the environment:
    export DRAWSPAN_API_KEY=KEY
    export DRAWSPAN_HUB_CONNECTION_STRING='HostName=…;SharedAccessKeyName=device;SharedAccessKey=…'
    drawspan serve

  In front of the emulator, with a connection string that it printed:
    drawspan emulator --state ./drawspan-state --device sensor-1
    drawspan serve --api-key KEY --listen 127.0.0.1:8080 --ca ./drawspan-state/ca.pem \
      --connect localhost=127.0.0.1:5671 --hub-connection-string '…'";

pub(super) fn run(args: &ServeArgs) -> ExitCode {
    match args.check() {
        Ok(config) => {
            let _log = log::start("info");
            block_on(serve(config))
        }
        Err(mistakes) => misused(&mistakes),
    }
}

async fn serve(config: Config) -> ExitCode {
    files::allow_many();
    for flag in &config.without_effect {
        warn!("{flag} has no effect yet");
    }
    let listener = match server::bind(config.listen) {
        Ok(listener) => listener,
        Err(error) => return failed(format_args!("cannot listen on {}: {error}", config.listen)),
    };
    let address = listener.local_addr().unwrap_or(config.listen);
    let credentials = Arc::new(Credentials::new(runtime::keys(&config)));
    let bridge = match runtime::start(&config, credentials, None) {
        Ok(bridge) => bridge,
        Err(error) => return failed(error),
    };
    let api = Api::new(bridge, config.api_keys, config.request_timeout);
    println!(
        "listening on http://{address}, devices on {}",
        config.hub.host
    );
    println!("ready");
    let served = server::serve(listener, api, signals::shutdown(), config.request_timeout);
    tokio::select! {
        () = served => ExitCode::SUCCESS,
        () = signals::second() => failed("ended at once, as asked twice; requests under way were cut off"),
    }
}
