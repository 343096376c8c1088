//! Callbacks imported from the bridge that Drawspan replaces. They may be private, since its adapters register loopback addresses.
//! This does not allow new subscriptions there.

use std::collections::BTreeMap;

use drawspan_gateway::CallbackUrl;
use drawspan_settings::Config;
use drawspan_store::{Store, StoreError};
use secrecy::ExposeSecret as _;
use tracing::info;

use crate::limits::MAX_IMPORTED_ORIGINS_TOLD;

/// Lets events go where imported subscriptions point, and says where that is. Blocks.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn allow(config: &mut Config, store: &Store) -> Result<(), StoreError> {
    let mut origins: BTreeMap<String, usize> = BTreeMap::new();
    for subscription in store.subscriptions().load_imported()? {
        if let Ok(callback) = CallbackUrl::parse(subscription.callback_url.expose_secret()) {
            *origins.entry(callback.origin().to_string()).or_default() += 1;
            let place = (callback.host().to_owned(), callback.port());
            config.webhooks.imported.insert(place);
        }
    }
    for (origin, subscriptions) in origins.iter().take(MAX_IMPORTED_ORIGINS_TOLD) {
        info!(%origin, subscriptions, "imported callbacks may go there, also if it is private");
    }
    if let Some(more @ 1..) = origins.len().checked_sub(MAX_IMPORTED_ORIGINS_TOLD) {
        info!(more, "and to these many other origins");
    }
    Ok(())
}
