//! Writing subscriptions to the store, and reading them back where memory and store may differ.

use std::collections::HashMap;

use drawspan_hub::{DeviceId, SubscriptionType};

use super::action::Action;
use super::input::Then;
use super::platform::Platform;
use crate::subscriptions::{Row, Scope};

/// Differences between memory and store that are not settled.
#[derive(Debug, Default)]
pub(super) struct SubscriptionStore {
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

impl SubscriptionStore {
    /// A change to write, in the order of these calls: `None` removes.
    pub(super) fn write<P: Platform>(
        &mut self,
        scope: &Scope,
        kind: SubscriptionType,
        row: Option<Row<P::Callback>>,
        then: Then<P>,
    ) -> Action<P> {
        let open = self.open.entry(scope.clone()).or_default();
        open.writes += 1;
        open.changed = true;
        Action::Store {
            scope: scope.clone(),
            kind,
            row,
            then,
        }
    }

    /// A change was written, or was not. The scope is to be read if that is returned.
    pub(super) fn written(&mut self, scope: &Scope, well: bool) -> bool {
        if let Some(open) = self.open.get_mut(scope) {
            open.writes = open.writes.saturating_sub(1);
            open.doubtful |= !well;
        }
        self.go_on(scope)
    }

    /// Marks stored rows as doubtful because of a request. Returns the scope to read, if it must be read.
    pub(super) fn doubt(&mut self, device: &DeviceId) -> bool {
        let scope = Scope::Device(device.clone());
        self.open.entry(scope.clone()).or_default().doubtful = true;
        self.go_on(&scope)
    }

    /// Stored rows were read. Returns whether they are valid, since nothing was changed meanwhile; and whether they must be read
    /// again.
    pub(super) fn read(&mut self, scope: &Scope, well: bool) -> (bool, bool) {
        let Some(open) = self.open.get_mut(scope) else {
            return (false, false);
        };
        open.reading = false;
        let counts = well && !open.changed;
        // Rows that cannot be read now stay as they are, until the next request.
        open.doubtful = well && open.changed;
        (counts, self.go_on(scope))
    }

    /// Whether to read what is in doubt, now that nothing of it is under way.
    fn go_on(&mut self, scope: &Scope) -> bool {
        let Some(open) = self.open.get_mut(scope) else {
            return false;
        };
        if open.writes > 0 || open.reading {
            return false;
        }
        if open.doubtful {
            open.doubtful = false;
            open.changed = false;
            open.reading = true;
            return true;
        }
        self.open.remove(scope);
        false
    }
}
