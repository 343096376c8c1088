//! SIGHUP: keys are read again, and nobody is disconnected.

use std::sync::Arc;

use drawspan_client::Credentials;
use tracing::{error, info, warn};

use super::super::signals::Hangups;
use crate::config::{self, Config, Environment, ServeArgs};
use crate::http::api::Api;

/// Reloads at each SIGHUP. Never ends.
pub(super) async fn run(
    mut hangups: Hangups,
    args: ServeArgs,
    started_with: Config,
    api: Api,
    credentials: Arc<Credentials>,
) {
    let mut last = started_with.clone();
    loop {
        hangups.next().await;
        let args = args.clone();
        let load = move || config::load(&args, &Environment::of_process());
        let Ok(loaded) = tokio::task::spawn_blocking(load).await else {
            error!("the configuration could not be read; everything stays as it is");
            continue;
        };
        match loaded.config {
            Ok(new) => {
                apply(&started_with, &last, &new, &api, &credentials);
                last = new;
            }
            Err(mistakes) => {
                for mistake in mistakes.lines() {
                    error!(%mistake, "the configuration has a mistake; everything stays as it is");
                }
            }
        }
    }
}

fn apply(started_with: &Config, last: &Config, new: &Config, api: &Api, credentials: &Credentials) {
    let reload = started_with.reload(last, new);
    // Before callers' keys, so that half a change is none.
    if let Some(keys) = reload.keys
        && let Err(error) = credentials.replace(keys)
    {
        error!(%error, "the configuration cannot be used; everything stays as it is");
        return;
    }
    api.replace_keys(reload.api_keys);
    info!(changed = ?reload.changed, "configuration read again");
    if !reload.needs_restart.is_empty() {
        warn!(settings = ?reload.needs_restart, "changed settings that count after a restart only");
    }
}
