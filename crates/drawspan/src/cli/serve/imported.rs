//! Callbacks that came from the bridge that Drawspan replaces: its adapters register loopback, so these may be private.

use std::collections::BTreeMap;

use axum::http::Uri;
use drawspan_store::{Store, StoreError};
use secrecy::ExposeSecret as _;
use tracing::info;

use crate::config::Config;
use crate::limits::MAX_IMPORTED_ORIGINS_TOLD;
use crate::webhooks::CallbackUrl;

/// Lets events go where imported subscriptions point, and says where that is. Blocks.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn allow(config: &mut Config, store: &Store) -> Result<(), StoreError> {
    let mut origins: BTreeMap<String, usize> = BTreeMap::new();
    for subscription in store.subscriptions().load_imported()? {
        if let Ok(callback) = CallbackUrl::parse(subscription.callback_url.expose_secret()) {
            *origins.entry(callback.origin().to_string()).or_default() += 1;
        }
    }
    for (origin, subscriptions) in origins.iter().take(MAX_IMPORTED_ORIGINS_TOLD) {
        info!(%origin, subscriptions, "imported callbacks may go there, also if it is private");
    }
    if let Some(more @ 1..) = origins.len().checked_sub(MAX_IMPORTED_ORIGINS_TOLD) {
        info!(more, "and to these many other origins");
    }
    let mut hosts: Vec<_> = origins.keys().filter_map(|origin| host(origin)).collect();
    hosts.dedup();
    // What may never be allowed is no entry.
    let entries = hosts.iter().filter_map(|host| host.parse().ok());
    config.webhooks.allow.extend(entries);
    Ok(())
}

fn host(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    let host = uri.host()?;
    Some(host.trim_matches(['[', ']']).to_owned())
}
