//! `drawspan serve`: the bridge, in front of DPS and its hubs.

mod flags;
mod imported;
mod reload;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use drawspan_api::api::Api;
use drawspan_api::idempotency::Memory;
use drawspan_api::server::{self, Bounds, Terms, Tls};
use drawspan_client::Credentials;
use drawspan_runtime::{self as runtime, StartError};
use drawspan_settings::open_files::{self, Shares};
use drawspan_settings::{self as settings, Config, Environment, ServeArgs};
use drawspan_store::{OpenError, Store, StoreError};
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::state::State;
use super::{block_on, failed, keys, log, misused, say, signals};
use crate::limits::STOP_TIMEOUT_MS;
pub(super) use flags::ServeFlags;

pub(super) const EXAMPLES: &str = r#"Examples:
  Devices register through DPS; secrets are in files or in the environment:
    export DRAWSPAN_API_KEY=KEY
    export DRAWSPAN_ID_SCOPE=0ne00A1B2C3
    export DRAWSPAN_GROUP_KEY_FILE=/run/secrets/group-key
    drawspan serve --state /var/lib/drawspan

  Devices are on one hub, and connect by its policy:
    HUB=contoso.azure-devices.net
    POLICY='SharedAccessKeyName=device;SharedAccessKey=KEY'
    drawspan serve --api-key KEY \
      --hub-connection-string "HostName=$HUB;$POLICY"

  In front of the emulator, with the group key that it printed:
    drawspan emulator --state ./drawspan-state --https-port 8443
    drawspan serve --api-key KEY --listen 127.0.0.1:8080 \
      --ca ./drawspan-state/ca.pem \
      --connect localhost:5671=127.0.0.1:5671 \
      --connect localhost:443=127.0.0.1:8443 \
      --dps-endpoint localhost --id-scope 0ne00000001 --group-key KEY

`drawspan config check` shows the settings in effect. SIGHUP reads keys and the list of devices again."#;

pub(super) fn run(ServeFlags(args): ServeFlags) -> ExitCode {
    let loaded = settings::load(&args, &Environment::of_process());
    match loaded.config {
        Ok(config) => {
            let _log = log::start("info");
            for note in &loaded.notes {
                warn!("{note}");
            }
            block_on(serve(args, config))
        }
        Err(mistakes) => misused(&mistakes),
    }
}

async fn serve(args: ServeArgs, mut config: Config) -> ExitCode {
    let store = match open(&config, args.accept_empty_store) {
        Ok(store) => store,
        Err(error) => return not_opened(&error, &config),
    };
    if let Some(store) = &store
        && let Err(error) = imported::allow(&mut config, store)
    {
        return not_read(&error.into(), &config);
    }
    let tls = config.tls.as_ref();
    let tls = match tls.map(|(cert, key)| Tls::open(cert, key)).transpose() {
        Ok(tls) => tls,
        Err(error) => return failed(error),
    };
    let listener = match server::bind(config.listen) {
        Ok(listener) => listener,
        Err(error) => return failed(format_args!("cannot listen on {}: {error}", config.listen)),
    };
    let address = listener.local_addr().unwrap_or(config.listen);
    let credentials = Arc::new(Credentials::new(config.profile.keys()));
    let bridge = match runtime::start(&config, Arc::clone(&credentials), store.as_ref()) {
        Ok(bridge) => bridge,
        Err(error) => return not_read(&error, &config),
    };
    let secrets = bridge.webhook_secrets();
    let memory = store
        .as_ref()
        .map(|store| Memory::stored(store.idempotency()));
    let api = Api::remembering(
        bridge.clone(),
        config.api_keys.clone(),
        config.request_timeout,
        memory.unwrap_or_default(),
    );
    // Before anybody can know that we are there.
    let (ending, second) = signals::Endings::new().first_and_second();
    let hangups = signals::Hangups::new();
    let profile = &config.profile;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let told = say::out(format_args!(
        "listening on {scheme}://{address}, {profile}\nready\n"
    ));
    if let Err(error) = told
        && !say::is_enough(&error)
    {
        warn!(%error, "nothing can be printed");
    }
    let terms = Terms {
        tls: tls.clone(),
        bounds: bounds(&config),
        ..Terms::new(Duration::from_millis(STOP_TIMEOUT_MS))
    };
    let served = listen(listener, api.clone(), ending, terms);
    let targets = reload::Targets {
        api,
        bridge,
        credentials,
        webhook_secrets: secrets,
        tls,
    };
    let reloads = reload::run(hangups, args, config, targets);
    let code = tokio::select! {
        () = second => failed(signals::TWICE),
        () = served => ExitCode::SUCCESS,
        () = reloads => ExitCode::FAILURE,
    };
    // The devices' own copy of the cache does not keep it open.
    drop(store);
    code
}

async fn listen(listener: TcpListener, api: Api, shutdown: impl Future<Output = ()>, terms: Terms) {
    let watched = terms.tls.clone();
    let watch = async {
        match watched {
            Some(tls) => tls.watch().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = server::serve(listener, api, shutdown, terms) => {}
        () = watch => {}
    }
}

/// How many connections callers may have, said in the log.
fn bounds(config: &Config) -> Bounds {
    let bounds = Bounds::new(Shares::of_process(), config.connections_per_address);
    info!(
        open_files = open_files::limit(),
        connections = bounds.connections,
        per_address = bounds.per_address,
        "connections of callers that are taken at most"
    );
    bounds
}

fn open(config: &Config, accept_loss: bool) -> Result<Option<Store>, OpenError> {
    match state(config) {
        Some(state) if accept_loss => {
            Store::open_accepting_loss(&state.directory, &state.keyring).map(Some)
        }
        Some(state) => Store::open(&state.directory, &state.keyring).map(Some),
        None => {
            info!(
                "no state directory: subscriptions and the hubs of devices are lost when the process ends"
            );
            Ok(None)
        }
    }
}

fn state(config: &Config) -> Option<State> {
    config.state.clone().map(|directory| State {
        keyring: match &config.keyring {
            Some(keyring) => keyring.clone(),
            None => drawspan_store::default_keyring(&directory),
        },
        directory,
    })
}

fn not_opened(error: &OpenError, config: &Config) -> ExitCode {
    match state(config) {
        Some(state) if error.is_missing_key() => {
            failed(format_args!("{error}. {}", keys::way_out(&state)))
        }
        _ => failed(error),
    }
}

fn not_read(error: &StartError, config: &Config) -> ExitCode {
    match (state(config), error) {
        (Some(state), StartError::Cache(StoreError::Sealed { .. })) => {
            failed(format_args!("{error}. {}", keys::way_out(&state)))
        }
        _ => failed(error),
    }
}
