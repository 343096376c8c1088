//! Merging, at start, of data that was stored for one device under several spellings.

use std::ops::Bound;

use drawspan_hub::{DeviceId, SubscriptionType};

use super::Controller;
use super::action::{Action, HubChange, Note};
use super::hub_cache::StoredHub;
use super::input::Then;
use super::platform::Platform;
use crate::subscriptions::{Row, Scope};

/// Most ids that are named in the log.
const NAMED: usize = 10;

impl<P: Platform> Controller<P> {
    /// Takes in what is stored. Leaves one hub of each device, and its subscriptions and marks under that name. What the store holds
    /// under other names is removed from it.
    pub(super) fn remember(
        &mut self,
        rows: Vec<(Scope, SubscriptionType, Row<P::Callback>)>,
        mut hubs: Vec<StoredHub>,
    ) {
        for (scope, kind, row) in rows {
            // Beyond the limit of fleet subscriptions, which an earlier process stored as well.
            let _ = self.table.put(&scope, kind, row);
        }
        let subscribed: Vec<DeviceId> =
            self.table.devices_from(Bound::Unbounded).cloned().collect();
        let others = self.spellings.settle(&hubs, &subscribed);
        hubs.retain(|stored| !others.contains_key(&stored.device));
        for mut stored in hubs {
            if !self.spellings.fold() {
                // DPS's name is used with DPS only.
                stored.assigned = None;
            }
            let assigned = stored.assigned.as_ref();
            self.table.note_assigned(&stored.device, assigned);
            self.cache.load(stored);
        }
        if others.is_empty() {
            return;
        }
        let named = others.iter().take(NAMED);
        let named = named.map(|(other, called)| (other.clone(), called.clone()));
        let note = Note::Spellings(others.len(), named.collect());
        self.act(Action::Note(note));
        for (other, called) in others {
            self.move_subscriptions(&other, &called);
            self.move_mark(&other, &called);
            self.act(Action::StoreHub(HubChange::Forget(other)));
        }
    }

    /// The newer one of a kind counts.
    fn move_subscriptions(&mut self, other: &DeviceId, called: &DeviceId) {
        let (from, to) = (Scope::Device(other.clone()), Scope::Device(called.clone()));
        for (kind, row) in self.table.take_own(other) {
            let is_newer = |known: &Row<_>| row.created_at > known.created_at;
            let moves = self.table.get(&to, kind).is_none_or(is_newer)
                && self.table.put(&to, kind, row.clone()).is_ok();
            if moves {
                // First written there, then removed here: an interruption leaves at least one of them.
                let write = self.store.write(&to, kind, Some(row), Then::Removed(None));
                self.act(write);
            }
            let write = self.store.write(&from, kind, None, Then::Removed(None));
            self.act(write);
        }
    }

    /// A mark that is there under the device's own name is kept.
    fn move_mark(&mut self, other: &DeviceId, called: &DeviceId) {
        let Some(mark) = self.marks.take(other) else {
            return;
        };
        self.act(Action::StoreMark(other.clone(), None));
        if self.marks.get(called, mark.receiver).is_none() && self.marks.set(called, mark) {
            self.act(Action::StoreMark(called.clone(), Some(mark)));
        }
    }
}
