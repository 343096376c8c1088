//! Changes of the registry: made under its lock, stored in order, and sent to devices once they are stored.

use std::sync::{Arc, PoisonError};

use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::registry::{Change, Registry};
use drawspan_hub_store::{NoSlot, Slot, StoreError, Write};
use tokio::sync::oneshot;

use super::news::News;
use super::{ChangeError, Hub};

impl Hub {
    /// Changes the registry and waits until the changes, which `change` returns, are stored.
    pub async fn change<T>(
        &self,
        change: impl FnOnce(&mut Registry) -> (T, Vec<Change>),
    ) -> Result<T, ChangeError> {
        let Some(store) = &self.store else {
            return Ok(self.change_in_memory(change));
        };
        let slot = store.slot().await?;
        let (result, written) = {
            // Handed over under the lock: changes of one device are stored in the order in which they were made.
            let mut registry = self.registry_mut();
            let (result, changes) = change(&mut registry);
            if changes.is_empty() {
                return Ok(result);
            }
            let (done, written) = oneshot::channel();
            let events = registry.take_events();
            self.hand_over_changes(slot, changes, events, move |stored| {
                // The caller may be gone: the change is made in any case.
                let _ = done.send(stored);
            });
            (result, written)
        };
        written.await.unwrap_or(Err(StoreError::Closed))?;
        Ok(result)
    }

    /// The immediate effects of changes, and those of storing them. Called under the registry's lock.
    fn hand_over_changes(
        &self,
        slot: Slot,
        changes: Vec<Change>,
        events: Vec<HubEvent>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        self.forget_messages(&changes);
        let news = Arc::new(self.news(&changes, events));
        let late = Arc::clone(&news);
        let writes = changes.into_iter().map(Write::from).collect();
        let told = move |stored: Result<(), StoreError>| {
            news.tell(stored.is_ok());
            done(stored);
        };
        slot.send_then_later(self.host.clone(), writes, told, move || late.tell_late());
    }

    fn news(&self, changes: &[Change], events: Vec<HubEvent>) -> News {
        let sink = self.events.clone();
        News::of(changes, &self.sessions, (self.host.clone(), sink, events))
    }

    /// The messages of deleted devices go with them, before anything else can come; and subscriptions of deleted clients.
    fn forget_messages(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Delete(device) => {
                    self.messages.forget(device);
                    self.subscriptions.forget(&device.into());
                    self.uploads.forget(device);
                }
                Change::DeleteModule(device, module) => {
                    let client = ClientId::of_module(device, module);
                    self.subscriptions.forget(&client);
                }
                Change::Put(_) | Change::PutModule(_) | Change::Twin { .. } => {}
            }
        }
    }

    /// Changes the registry and has `done` called once the changes are stored, usually on another thread. `None` if the store is
    /// overloaded; then nothing happens. The result states whether `done` will be called: it is not if there is nothing to store.
    pub fn change_soon<T>(
        &self,
        change: impl FnOnce(&mut Registry) -> (T, Vec<Change>),
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<Option<(T, bool)>, StoreError> {
        let Some(store) = &self.store else {
            return Ok(Some((self.change_in_memory(change), false)));
        };
        let slot = match store.try_slot() {
            Ok(slot) => slot,
            Err(NoSlot::Full) => return Ok(None),
            Err(NoSlot::Failing) => {
                let why = "an earlier change is not written yet";
                return Err(StoreError::Failing(why.into()));
            }
            Err(NoSlot::Closed) => return Err(StoreError::Closed),
        };
        let mut registry = self.registry_mut();
        let (result, changes) = change(&mut registry);
        if changes.is_empty() {
            return Ok(Some((result, false)));
        }
        let events = registry.take_events();
        self.hand_over_changes(slot, changes, events, done);
        Ok(Some((result, true)))
    }

    fn change_in_memory<T>(&self, change: impl FnOnce(&mut Registry) -> (T, Vec<Change>)) -> T {
        // First, so that devices are notified in the order of the changes, and not under the registry's lock, which the callback
        // may need.
        let order = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut registry = self.registry_mut();
        let (result, changes) = change(&mut registry);
        self.forget_messages(&changes);
        let events = registry.take_events();
        drop(registry);
        self.news(&changes, events).tell(true);
        drop(order);
        result
    }
}
