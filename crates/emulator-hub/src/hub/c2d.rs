//! Messages to devices: operations of the protocol heads, of the registry and of time on them.
//!
//! Only [`Hub::purge_messages`] and [`Hub::keep_messages`] wait. Callers that cannot wait pass a callback for when the change is
//! stored; changes of a hub's messages are stored in the order in which they were made.

use std::sync::Arc;
use std::time::Duration;

use drawspan_hub::{DeviceId, ErrorCode};
use drawspan_hub_model::c2d::{
    Batch, CloudToDevice, Effects, LockLost, LockToken, NewMessage, Outcome, Queued, QueuedMessage,
    Refused,
};
use drawspan_hub_model::event::HubEvent;
use drawspan_hub_model::limits::TIME_STEP_MS;
use drawspan_hub_store::{NoSlot, Slot, StoreError, Write};

use super::kept::Kept;
use super::{ChangeError, Hub};
use crate::limits::{KEEP_MESSAGES_MS, KEEP_RETRY_MS};
use crate::random::{self, NoRandomness};
use crate::stop::Stop;

/// The messages of a hub.
pub(super) type Messages = Kept<CloudToDevice>;

/// Why a message for a device is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The device does not exist.
    UnknownDevice,
    /// No room for it.
    Refused(Refused),
    /// It cannot be stored at the moment.
    Store(NoSlot),
}

/// Why a receiver's word is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleError {
    /// The receiver does not have it any more.
    LockLost,
    /// It cannot be stored at the moment.
    Store(NoSlot),
}

impl Hub {
    /// Takes a message in for a device. `done` is called once it is stored, perhaps on another thread.
    pub fn send_message(
        &self,
        device: &DeviceId,
        message: NewMessage,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), SendError> {
        let sent = self.try_send(device, message, done);
        sent.inspect_err(|error| {
            self.emit(HubEvent::C2dRefused {
                device: device.clone(),
                code: error.code(),
            });
        })
    }

    fn try_send(
        &self,
        device: &DeviceId,
        message: NewMessage,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), SendError> {
        let slot = self.try_slot().map_err(SendError::Store)?;
        // Held meanwhile, so that no message follows the end of its device.
        let registry = self.registry();
        let Some(entry) = registry.get(device) else {
            return Err(SendError::UnknownDevice);
        };
        let generation_id = Arc::clone(&entry.device.generation_id);
        let message = NewMessage {
            generation_id,
            ..message
        };
        let send = |model: &mut CloudToDevice, now, effects: &mut Effects| {
            model.send(device, message, now, effects)
        };
        let sent = self.apply(slot, send, done);
        // The callback may read the registry.
        drop(registry);
        self.tell_of_messages(&sent.map_err(SendError::Refused)?.1);
        Ok(())
    }

    /// Delivers the next message of a device, and locks it against other receivers.
    pub fn lock_message(
        &self,
        device: &DeviceId,
    ) -> Result<Option<(LockToken, QueuedMessage)>, NoRandomness> {
        let (token, now) = (random::lock_token()?, self.now_unix_ms());
        let mut held = self.messages.held();
        let locked = held.model.lock(device, token, now);
        self.messages.look_earlier(&held);
        Ok(locked.map(|message| (token, message)))
    }

    /// A message that was handed out went out.
    pub fn message_delivered(&self, device: &DeviceId, sequence: u64) {
        let device = device.clone();
        self.emit(HubEvent::C2dDelivered { device, sequence });
    }

    /// A message that was handed out did not go out.
    pub fn release_message(&self, device: &DeviceId, token: LockToken) {
        self.messages.held().model.release(device, token);
    }

    /// Takes the device's word on a message. `done` is called once it is stored, perhaps on another thread.
    pub fn settle_message(
        &self,
        device: &DeviceId,
        token: LockToken,
        outcome: Outcome,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), SettleError> {
        let slot = self.try_slot().map_err(SettleError::Store)?;
        let settle = |model: &mut CloudToDevice, now, effects: &mut Effects| {
            model.settle(device, token, outcome, now, effects)
        };
        let Ok((_, effects)) = self.apply(slot, settle, done) else {
            let device = device.clone();
            self.emit(HubEvent::C2dLockLost { device });
            return Err(SettleError::LockLost);
        };
        self.tell_of_messages(&effects);
        Ok(())
    }

    /// Empties a device's queue, and returns how many messages were in it; `None` if there is no such device.
    pub async fn purge_messages(&self, device: &DeviceId) -> Result<Option<usize>, ChangeError> {
        if self.device(device).is_none() {
            return Ok(None);
        }
        let purge = |model: &mut CloudToDevice, now, effects: &mut Effects| {
            model.purge(device, now, effects)
        };
        self.change_messages(purge).await.map(Some)
    }

    /// How many messages wait for a device.
    pub fn message_count(&self, device: &DeviceId) -> usize {
        self.messages.held().model.count(device)
    }

    /// Locks and returns the next batch of feedback.
    pub fn lock_feedback(&self) -> Result<Option<(LockToken, Queued<Batch>)>, NoRandomness> {
        let (token, now) = (random::lock_token()?, self.now_unix_ms());
        let mut held = self.messages.held();
        let locked = held.model.lock_feedback(token, now);
        self.messages.look_earlier(&held);
        Ok(locked.map(|batch| (token, batch)))
    }

    /// Feedback that was handed out did not go out.
    pub fn release_feedback(&self, token: LockToken) {
        self.messages.held().model.release_feedback(token);
    }

    /// Takes a service's word on feedback. `done` is called once it is stored, perhaps on another thread.
    pub fn settle_feedback(
        &self,
        token: LockToken,
        outcome: Outcome,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(), SettleError> {
        let slot = self.try_slot().map_err(SettleError::Store)?;
        let settle = |model: &mut CloudToDevice, now, effects: &mut Effects| {
            model.settle_feedback(token, outcome, now, effects)
        };
        let settled = self.apply(slot, settle, done);
        self.tell_of_messages(&settled.map_err(|LockLost| SettleError::LockLost)?.1);
        Ok(())
    }

    /// Does what time brings, until the emulator stops. What cannot be stored is tried again a moment later.
    pub async fn keep_messages(self: Arc<Self>, mut stop: Stop) {
        let (mut clock, mut before) = (self.clock.changes(), 0);
        loop {
            let (now, due) = (self.now_unix_ms(), self.messages.look_later());
            let is_set_back = now.saturating_add(TIME_STEP_MS) < before;
            before = now;
            // The time of day may be set meanwhile.
            let latest = now + KEEP_MESSAGES_MS;
            let until = due.map_or(latest, |due| due.min(latest));
            if !is_set_back {
                tokio::select! {
                    () = stop.stopped() => return,
                    () = self.messages.earlier.notified() => continue,
                    () = clock.changed() => continue,
                    () = self.clock.sleep_until(until) => {}
                }
            }
            let present = self.connections.present().await;
            let ticked = self
                .change_messages(|model, now, effects| {
                    if is_set_back {
                        model.time_set_back(now, effects);
                    }
                    model.tick(now, effects);
                })
                .await;
            drop(present);
            if let Err(error) = ticked {
                if matches!(error, ChangeError::Store(StoreError::Closed)) {
                    return;
                }
                tracing::debug!(hub = %self.host(), %error, "messages to devices are looked after a moment later");
                tokio::select! {
                    () = stop.stopped() => return,
                    () = tokio::time::sleep(Duration::from_millis(KEEP_RETRY_MS)) => {}
                }
            }
        }
    }

    /// Changes the messages and waits until that is stored.
    pub(super) async fn change_messages<T>(
        &self,
        change: impl FnOnce(&mut CloudToDevice, u64, &mut Effects) -> T,
    ) -> Result<T, ChangeError> {
        let slot = match &self.store {
            Some(store) => Some(store.slot().await?),
            None => None,
        };
        let (done, stored) = tokio::sync::oneshot::channel();
        let change = |model: &mut CloudToDevice, now, effects: &mut Effects| {
            Ok::<T, std::convert::Infallible>(change(model, now, effects))
        };
        let Ok((result, effects)) = self.apply(slot, change, move |result| {
            // The one who waits may have given up.
            let _ = done.send(result);
        });
        self.tell_of_messages(&effects);
        stored.await.unwrap_or(Err(StoreError::Closed))?;
        Ok(result)
    }

    /// A slot in the store's queue; `None` if nothing is stored.
    fn try_slot(&self) -> Result<Option<Slot>, NoSlot> {
        self.store
            .as_ref()
            .map(|store| store.try_slot())
            .transpose()
    }

    /// Changes the messages and hands the changes over to the store, in one order for all. Returns the notifications.
    fn apply<T, E>(
        &self,
        slot: Option<Slot>,
        change: impl FnOnce(&mut CloudToDevice, u64, &mut Effects) -> Result<T, E>,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> Result<(T, Effects), E> {
        let (now, mut effects) = (self.now_unix_ms(), Effects::default());
        let mut held = self.messages.held();
        let result = change(&mut held.model, now, &mut effects)?;
        self.messages.look_earlier(&held);
        for event in effects.events.drain(..) {
            self.emit(event);
        }
        let unstored = match slot {
            Some(slot) if !effects.changes.is_empty() => {
                let writes = effects.changes.drain(..).map(Write::from).collect();
                slot.send_then(self.host.clone(), writes, done);
                None
            }
            _ => Some(done),
        };
        drop(held);
        if let Some(done) = unstored {
            done(Ok(()));
        }
        Ok((result, effects))
    }
}

impl SendError {
    /// The hub's code for it.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownDevice => ErrorCode::DEVICE_NOT_FOUND,
            Self::Refused(refused) => refused.code(),
            Self::Store(_) => ErrorCode::SERVER_BUSY,
        }
    }
}
