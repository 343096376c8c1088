//! Storage of subscriptions, hubs and desired properties: written, and read back where memory and store may differ.

use std::collections::HashSet;
use std::sync::Arc;

use drawspan_bridge::controller::{HubChange, Mark, Then};
use drawspan_bridge::subscriptions::{Prefix, Row, Scope};
use drawspan_gateway::CallbackUrl;
use drawspan_gateway::log_limit::{Leave, STORE_FAILURES};
use drawspan_hub::{DeviceId, SubscriptionType};
use drawspan_net::Mailbox;
use drawspan_store::{
    CachedHub, DesiredMark, DesiredMarks, HubCache, StoreError, StoredScope, StoredSubscription,
    Subscriptions,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::platform::{Input, Runtime};

/// The parts of the store that the controller changes; `None` without a store.
#[derive(Debug, Clone, Default)]
pub(super) struct Stores {
    pub(super) subscriptions: Option<Subscriptions>,
    pub(super) marks: Option<DesiredMarks>,
    pub(super) hubs: Option<HubCache>,
}

impl Stores {
    /// Stores a change of a subscription, in the order of these calls.
    pub(super) fn store(
        &self,
        scope: Scope,
        kind: SubscriptionType,
        row: Option<Row<CallbackUrl>>,
        then: Then<Runtime>,
        completions: &Arc<Mailbox<Input>>,
    ) {
        let Some(store) = &self.subscriptions else {
            let result = Ok(());
            return completions.post(Input::Written {
                scope,
                result,
                then,
            });
        };
        let written = match row {
            Some(row) => store.put(StoredSubscription {
                scope: stored(&scope),
                kind,
                callback_url: SecretString::from(row.callback.as_str().to_owned()),
                created_at: row.created_at,
                keep_connected: row.keep_connected,
                imported: row.imported,
                limited: row.limited,
            }),
            None => store.remove(stored(&scope), kind),
        };
        let completions = Arc::clone(completions);
        tokio::spawn(async move {
            let result = written.await.map_err(|error| {
                if let Some(Leave { left_out }) = STORE_FAILURES.pass("change") {
                    tracing::error!(%error, left_out, "a change of a subscription could not be stored");
                }
                error.fault()
            });
            completions.post(Input::Written {
                scope,
                result,
                then,
            });
        });
    }

    /// Reads the stored subscriptions of one scope.
    pub(super) fn read(&self, scope: Scope, completions: &Arc<Mailbox<Input>>) {
        let Some(store) = self.subscriptions.clone() else {
            return completions.post(Input::Rows { scope, rows: None });
        };
        let completions = Arc::clone(completions);
        tokio::task::spawn_blocking(move || {
            let rows = load(&store, &scope);
            let rows = rows.inspect_err(|error| {
                if let Some(Leave { left_out }) = STORE_FAILURES.pass("subscriptions") {
                    tracing::error!(%error, left_out, "stored subscriptions could not be read");
                }
            });
            let rows = rows.ok();
            completions.post(Input::Rows { scope, rows });
        });
    }

    /// Remembers how far a device's receiver is.
    pub(super) fn mark(&self, device: DeviceId, mark: Option<Mark>) {
        let Some(marks) = &self.marks else { return };
        match mark {
            Some(mark) => marks.put(
                device,
                DesiredMark {
                    version: mark.version,
                    fingerprint: mark.fingerprint,
                    receiver: mark.receiver,
                },
            ),
            None => marks.remove(device),
        }
    }

    /// Changes the hub cache.
    pub(super) fn hub(&self, change: HubChange) {
        let Some(hubs) = self.hubs.clone() else {
            return;
        };
        match change {
            HubChange::Put(stored) => hubs.put(CachedHub {
                device: stored.device,
                hub: stored.hub,
                assigned: stored.assigned,
                renewed_unix_s: stored.renewed_unix_s,
            }),
            HubChange::Forget(device) => {
                tokio::spawn(async move {
                    if let Err(error) = hubs.forget(device).await
                        && let Some(Leave { left_out }) = STORE_FAILURES.pass("hub cache")
                    {
                        tracing::warn!(%error, left_out, "an old spelling of a device stays in the hub cache");
                    }
                });
            }
            HubChange::Renew(renewed, now_unix_s) => {
                hubs.renew(renewed, now_unix_s);
                tokio::spawn(async move {
                    // Entries that are not collected now are collected next time.
                    if let Err(error) = hubs.collect(now_unix_s, HashSet::new()).await {
                        tracing::warn!(%error, "old entries stay in the hub cache");
                    }
                });
            }
        }
    }
}

/// A subscription as the controller knows it.
pub(super) type Known = (Scope, SubscriptionType, Row<CallbackUrl>);

fn load(
    store: &Subscriptions,
    scope: &Scope,
) -> Result<Vec<(SubscriptionType, Row<CallbackUrl>)>, StoreError> {
    let rows = match scope {
        Scope::Device(device) => store.load_device(device)?,
        // These are few, and doubtful only when one could not be written.
        Scope::Fleet(_) => store.load_all()?,
    };
    let rows = rows.iter().filter_map(row_of);
    let rows = rows.filter(|(of, ..)| of == scope);
    Ok(rows.map(|(_, kind, row)| (kind, row)).collect())
}

fn stored(scope: &Scope) -> StoredScope {
    match scope {
        Scope::Device(device) => StoredScope::Device(device.as_str().to_owned()),
        Scope::Fleet(prefix) => StoredScope::Fleet(prefix.as_str().to_owned()),
    }
}

/// A stored subscription as it is used; `None` if it is malformed.
pub(super) fn row_of(stored: &StoredSubscription) -> Option<Known> {
    let scope = match &stored.scope {
        StoredScope::Device(device) => Scope::Device(DeviceId::parse(device).ok()?),
        StoredScope::Fleet(prefix) => Scope::Fleet(Prefix::parse(prefix).ok()?),
    };
    let row = Row {
        callback: CallbackUrl::parse(stored.callback_url.expose_secret()).ok()?,
        created_at: stored.created_at,
        keep_connected: stored.keep_connected,
        imported: stored.imported,
        limited: stored.limited,
    };
    Some((scope, stored.kind, row))
}
