//! What devices have subscribed to over MQTT, kept for their next session.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use drawspan_hub::DeviceId;

use super::Hub;
use crate::mqtts::Subscriptions;

/// Subscriptions of sessions that outlive their connections (CleanSession 0). At most one for each device.
#[derive(Debug, Default)]
pub(super) struct KeptSubscriptions(Mutex<HashMap<DeviceId, Subscriptions>>);

impl KeptSubscriptions {
    /// The device was deleted.
    pub(super) fn forget(&self, device: &DeviceId) -> Option<Subscriptions> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(device)
    }
}

impl Hub {
    /// Keeps a device's subscriptions.
    pub(crate) fn keep_subscriptions(&self, device: &DeviceId, subscriptions: Subscriptions) {
        let kept = self.subscriptions.0.lock();
        let mut kept = kept.unwrap_or_else(PoisonError::into_inner);
        kept.insert(device.clone(), subscriptions);
    }

    /// Takes out what is kept of a device's subscriptions.
    pub(crate) fn take_subscriptions(&self, device: &DeviceId) -> Option<Subscriptions> {
        self.subscriptions.forget(device)
    }
}
