//! A hub whose whole state is replaced while nobody uses it.

use std::path::Path;
use std::sync::PoisonError;

use drawspan_hub_model::blobs::Blobs;
use drawspan_hub_model::c2d::CloudToDevice;
use drawspan_hub_model::registry::Registry;
use drawspan_hub_model::uploads::Uploads;
use drawspan_hub_store::MqttSession;
use drawspan_segment_log::LogError;

use super::Hub;
use super::mqtt_sessions::KeptSubscriptions;
use crate::storage::Storage;

/// What a hub has besides telemetry, keys, certificates and settings.
#[derive(Debug)]
pub struct Contents {
    /// Devices, modules and twins.
    pub registry: Registry,
    /// Messages to devices.
    pub messages: CloudToDevice,
    /// MQTT sessions that go on.
    pub mqtt_sessions: Vec<MqttSession>,
    /// File uploads.
    pub uploads: Uploads,
    /// The index of uploaded files.
    pub blobs: Blobs,
}

impl Hub {
    /// Replaces what the hub has. To be called by who is [alone](crate::connections::Connections::alone), once the store has it.
    pub fn replace(&self, contents: Contents) {
        let Contents {
            mut registry,
            messages,
            mut mqtt_sessions,
            uploads,
            blobs,
        } = contents;
        // Initial contents are not events of the hub.
        registry.take_events();
        mqtt_sessions.retain(|session| registry.generation_id(&session.client).is_some());
        *self.registry_mut() = registry;
        self.messages.replace(messages);
        self.uploads.replace(uploads);
        let sessions = KeptSubscriptions::from_stored(mqtt_sessions).into_inner();
        *self
            .subscriptions
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = sessions;
        if let Storage::BuiltIn(store) = &self.storage {
            store.replace(blobs);
        }
    }

    /// Copies the telemetry; see [`drawspan_segment_log::TelemetryLog::snapshot`].
    ///
    /// # Errors
    /// When it is in memory, or cannot be copied.
    pub fn copy_telemetry(&self, to: &Path) -> Result<(), LogError> {
        self.log.snapshot(to)
    }

    /// Replaces the telemetry; see [`drawspan_segment_log::TelemetryLog::replace`].
    ///
    /// # Errors
    /// When it cannot be replaced.
    pub fn replace_telemetry(&self, from: Option<&Path>) -> Result<(), LogError> {
        self.log.replace(from)
    }
}
