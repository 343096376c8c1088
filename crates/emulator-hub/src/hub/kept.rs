//! A value of the hub model in which things become due, shared with the task that looks after it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use drawspan_hub::DeviceId;
use drawspan_hub_model::c2d::CloudToDevice;
use drawspan_hub_model::uploads::Uploads;
use tokio::sync::Notify;

/// A part of the model that has deadlines.
pub(super) trait Due {
    /// When something is due next, Unix milliseconds.
    fn deadline(&self) -> Option<u64>;
    /// The device was deleted.
    fn forget(&mut self, device: &DeviceId);
}

/// The value, and what its keeper knows of it.
pub(super) struct Kept<M> {
    held: Mutex<Held<M>>,
    /// Notified when something is due earlier than the keeper knows.
    pub(super) earlier: Notify,
}

/// The value while it is locked.
pub(super) struct Held<M> {
    pub(super) model: M,
    /// When the keeper looks next.
    looks_at: Option<u64>,
}

impl<M: Due> Kept<M> {
    pub(super) fn new(model: M) -> Self {
        Self {
            held: Mutex::new(Held {
                model,
                looks_at: None,
            }),
            earlier: Notify::new(),
        }
    }

    /// The device was deleted; the store forgets what it had together with it.
    pub(super) fn forget(&self, device: &DeviceId) {
        self.held().model.forget(device);
    }

    /// Replaces the value.
    pub(super) fn replace(&self, model: M) {
        self.held().model = model;
        // The keeper looks anew.
        self.earlier.notify_one();
    }

    pub(super) fn held(&self) -> MutexGuard<'_, Held<M>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the keeper look before the time that it knows, if that is too late now.
    pub(super) fn look_earlier(&self, held: &Held<M>) {
        let due = held.model.deadline();
        if due.is_some_and(|due| held.looks_at.is_none_or(|at| due < at)) {
            self.earlier.notify_one();
        }
    }

    /// When the keeper is to look, which is taken note of.
    pub(super) fn look_later(&self) -> Option<u64> {
        let mut held = self.held();
        held.looks_at = held.model.deadline();
        held.looks_at
    }
}

impl<M> fmt::Debug for Kept<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Due for CloudToDevice {
    fn deadline(&self) -> Option<u64> {
        self.deadline()
    }

    fn forget(&mut self, device: &DeviceId) {
        self.forget(device);
    }
}

impl Due for Uploads {
    fn deadline(&self) -> Option<u64> {
        self.deadline()
    }

    fn forget(&mut self, device: &DeviceId) {
        self.forget(device);
    }
}
