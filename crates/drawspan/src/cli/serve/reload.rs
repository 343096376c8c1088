//! SIGHUP: keys are read again, and nobody is disconnected.

use std::sync::Arc;

use drawspan_client::Credentials;
use tracing::{error, info, warn};

use super::super::signals::Hangups;
use crate::config::{self, Config, Environment, Reload, ServeArgs};
use crate::http::api::Api;
use crate::http::server::Tls;
use crate::webhooks::Secrets;

/// Reloads at each SIGHUP. Never ends.
pub(super) async fn run(
    mut hangups: Hangups,
    args: ServeArgs,
    started_with: Config,
    api: Api,
    credentials: Arc<Credentials>,
    webhook_secrets: Arc<Secrets>,
    tls: Option<Tls>,
) {
    let mut last = started_with.clone();
    loop {
        hangups.next().await;
        let args = args.clone();
        let tls = tls.clone();
        let load = move || {
            if let Some(tls) = tls {
                tls.refresh();
            }
            config::load(&args, &Environment::of_process())
        };
        let Ok(loaded) = tokio::task::spawn_blocking(load).await else {
            error!("the configuration could not be read; everything stays as it is");
            continue;
        };
        match loaded.config {
            Ok(new) => {
                let reload = started_with.reload(&last, &new);
                apply(reload, &api, &credentials, &webhook_secrets);
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

fn apply(reload: Reload, api: &Api, credentials: &Credentials, webhook_secrets: &Secrets) {
    // Before callers' keys, so that half a change is none.
    if let Some(keys) = reload.keys
        && let Err(error) = credentials.replace(keys)
    {
        error!(%error, "the configuration cannot be used; everything stays as it is");
        return;
    }
    api.replace_keys(reload.api_keys);
    webhook_secrets.replace(reload.webhook_secrets);
    info!(changed = ?reload.changed, "configuration read again");
    if !reload.needs_restart.is_empty() {
        warn!(settings = ?reload.needs_restart, "changed settings that count after a restart only");
    }
}
