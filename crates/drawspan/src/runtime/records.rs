//! Subscriptions on their way to the store, and back from it where the two may differ.

use std::collections::HashMap;
use std::sync::Arc;

use drawspan_client::Board;
use drawspan_hub::{DeviceId, SubscriptionType};
use drawspan_store::{StoreError, StoredScope, StoredSubscription, Subscriptions, Written};
use secrecy::SecretString;

use super::brought::Brought;
use super::request::Reply;
use super::table::Row;
use crate::devices::{Prefix, Scope, Subscribed};
use crate::webhooks::CallbackUrl;

/// What a caller is told once a change is written.
#[derive(Debug)]
pub(super) enum Then {
    /// The subscription that it made, whatever became of that since.
    Subscribed(SubscriptionType, Row, Reply<Subscribed>),
    /// That it is gone, when this was the last of what was asked for.
    Removed(Option<Reply<()>>),
}

/// What is not settled between memory and store.
#[derive(Debug)]
pub(super) struct Records {
    store: Option<Subscriptions>,
    brought: Arc<Board<Brought>>,
    open: HashMap<Scope, Open>,
}

/// A scope with changes under way, or that is being read.
#[derive(Debug, Default)]
struct Open {
    /// Changes that are not written yet.
    writes: usize,
    /// Memory may differ from what is stored.
    doubtful: bool,
    /// It is being read, …
    reading: bool,
    /// … and was changed since that began.
    changed: bool,
}

impl Records {
    pub(super) fn new(store: Option<Subscriptions>, brought: Arc<Board<Brought>>) -> Self {
        Self {
            store,
            brought,
            open: HashMap::new(),
        }
    }

    /// Hands a change over, in the order of these calls. `then` comes back at once where nothing is stored.
    pub(super) fn put(
        &mut self,
        scope: &Scope,
        kind: SubscriptionType,
        row: &Row,
        then: Then,
    ) -> Option<Then> {
        let Some(store) = &self.store else {
            return Some(then);
        };
        let written = store.put(StoredSubscription {
            scope: stored(scope),
            kind,
            callback_url: SecretString::from(row.callback.as_str().to_owned()),
            created_at: row.created_at,
            keep_connected: row.keep_connected,
            imported: row.imported,
            limited: row.limited,
        });
        self.begin(scope, written, then);
        None
    }

    /// The same, for one that is gone.
    pub(super) fn remove(
        &mut self,
        scope: &Scope,
        kind: SubscriptionType,
        then: Then,
    ) -> Option<Then> {
        let Some(store) = &self.store else {
            return Some(then);
        };
        let written = store.remove(stored(scope), kind);
        self.begin(scope, written, then);
        None
    }

    fn begin(&mut self, scope: &Scope, written: Written, then: Then) {
        let open = self.open.entry(scope.clone()).or_default();
        open.writes += 1;
        open.changed = true;
        let (scope, brought) = (scope.clone(), Arc::clone(&self.brought));
        tokio::spawn(async move {
            let result = written.await;
            brought.post(Brought::Written {
                scope,
                result,
                then,
            });
        });
    }

    /// A change was written, or was not.
    pub(super) fn written(&mut self, scope: &Scope, well: bool) {
        if let Some(open) = self.open.get_mut(scope) {
            open.writes = open.writes.saturating_sub(1);
            open.doubtful |= !well;
        }
        self.go_on(scope);
    }

    /// Somebody says that what is stored counts.
    pub(super) fn doubt(&mut self, device: &DeviceId) {
        if self.store.is_some() {
            let scope = Scope::Device(device.clone());
            self.open.entry(scope.clone()).or_default().doubtful = true;
            self.go_on(&scope);
        }
    }

    /// What is stored was read. True if it counts: nothing was changed meanwhile.
    pub(super) fn read(&mut self, scope: &Scope, well: bool) -> bool {
        let Some(open) = self.open.get_mut(scope) else {
            return false;
        };
        open.reading = false;
        let counts = well && !open.changed;
        // What cannot be read now stays as it is, until somebody asks again.
        open.doubtful = well && open.changed;
        self.go_on(scope);
        counts
    }

    /// Reads what is in doubt once nothing of it is under way.
    fn go_on(&mut self, scope: &Scope) {
        let Some(open) = self.open.get_mut(scope) else {
            return;
        };
        if open.writes > 0 || open.reading {
            return;
        }
        if let (true, Some(store)) = (open.doubtful, &self.store) {
            open.doubtful = false;
            open.changed = false;
            open.reading = true;
            let (scope, store, brought) = (scope.clone(), store.clone(), Arc::clone(&self.brought));
            tokio::task::spawn_blocking(move || {
                let rows = load(&store, &scope);
                brought.post(Brought::Rows { scope, rows });
            });
            return;
        }
        self.open.remove(scope);
    }
}

/// What is stored of one scope.
fn load(store: &Subscriptions, scope: &Scope) -> Result<Vec<(SubscriptionType, Row)>, StoreError> {
    let rows = match scope {
        Scope::Device(device) => store.load_device(device)?,
        // There are few, and they are in doubt only when one could not be written.
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

/// A stored subscription as it is used; none when it makes no sense.
pub(super) fn row_of(stored: &StoredSubscription) -> Option<(Scope, SubscriptionType, Row)> {
    use secrecy::ExposeSecret as _;
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
