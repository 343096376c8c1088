//! SIGHUP: reads keys and the list of devices again. Only devices that moved to another hub, or are no longer listed, lose their
//! connection.

use std::sync::Arc;

use drawspan_api::api::Api;
use drawspan_api::server::Tls;
use drawspan_client::Credentials;
use drawspan_runtime::{Gateway, Relisted};
use drawspan_settings::{self as settings, Config, Environment, Reload, ServeArgs};
use drawspan_webhooks::Secrets;
use tracing::{error, info, warn};

use super::super::signals::Hangups;

/// The parts of the bridge that take new settings while they run.
pub(super) struct Targets {
    pub(super) api: Api,
    pub(super) bridge: Gateway,
    pub(super) credentials: Arc<Credentials>,
    pub(super) webhook_secrets: Arc<Secrets>,
    pub(super) tls: Option<Tls>,
}

/// Reloads at each SIGHUP. Never ends.
pub(super) async fn run(
    mut hangups: Hangups,
    args: ServeArgs,
    started_with: Config,
    targets: Targets,
) {
    let mut last = started_with.clone();
    loop {
        hangups.next().await;
        let args = args.clone();
        let tls = targets.tls.clone();
        let load = move || {
            let loaded = settings::load(&args, &Environment::of_process());
            if let (Some(tls), Ok(_)) = (tls, &loaded.config) {
                tls.refresh();
            }
            loaded
        };
        let Ok(loaded) = tokio::task::spawn_blocking(load).await else {
            error!("the configuration could not be read; everything stays as it is");
            continue;
        };
        match loaded.config {
            Ok(new) => {
                let reload = started_with.reload(&last, &new);
                if targets.apply(reload).await {
                    last = new;
                }
            }
            Err(mistakes) => {
                for mistake in mistakes.lines() {
                    error!(%mistake, "the configuration has a mistake; everything stays as it is");
                }
            }
        }
    }
}

impl Targets {
    /// False when nothing was changed.
    async fn apply(&self, reload: Reload) -> bool {
        let has_keys = reload.keys.is_some();
        // Before callers' keys, so that a partial change is impossible.
        if let Some(keys) = reload.keys
            && let Err(error) = self.credentials.replace(keys)
        {
            error!(%error, "the configuration cannot be used; everything stays as it is");
            return false;
        }
        self.api.replace_keys(reload.api_keys);
        self.webhook_secrets.replace(reload.webhook_secrets);
        info!(changed = ?reload.changed, "configuration read again");
        if !reload.needs_restart.is_empty() {
            warn!(settings = ?reload.needs_restart, "changed settings that count after a restart only");
        }
        if has_keys {
            self.relist().await;
        }
        true
    }

    /// Devices go where their list says.
    async fn relist(&self) {
        match self.bridge.relist().await {
            Some(Relisted { moved: 0, gone: 0 }) | None => {}
            Some(Relisted { moved, gone }) => {
                info!(
                    moved,
                    gone, "devices in use belong to other hubs, or are not listed any more"
                );
            }
        }
    }
}
