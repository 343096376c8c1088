//! What a hub has, from the registry's rows to the models.

use std::path::Path;

use drawspan_emulator_hub::blobs;
use drawspan_emulator_hub::hub::Contents;
use drawspan_hub::{DeviceId, HostName};
use drawspan_hub_model::blobs::{self as files, Blobs};
use drawspan_hub_model::c2d::{self, CloudToDevice};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::device::Device;
use drawspan_hub_model::module::Module;
use drawspan_hub_model::registry::Registry;
use drawspan_hub_model::twin::Twin;
use drawspan_hub_model::uploads::{self, Uploads};
use drawspan_hub_store::{Database, MqttSession, StoreError};

use super::SnapshotError;
use super::files::uploads_folder;
use crate::config::Config;

/// What the registry has of a hub.
#[derive(Default)]
pub(super) struct Loaded {
    devices: Vec<Device>,
    twins: Vec<(DeviceId, Twin)>,
    modules: Vec<Module>,
    module_twins: Vec<(ClientId, Twin)>,
    messages: c2d::Kept,
    mqtt_sessions: Vec<MqttSession>,
    uploads: uploads::Kept,
    blobs: files::Kept,
}

impl Loaded {
    pub(super) fn of(database: &Database, host: &HostName) -> Result<Self, StoreError> {
        Ok(Self {
            devices: database.devices(host)?,
            twins: database.twins(host)?,
            modules: database.modules(host)?,
            module_twins: database.module_twins(host)?,
            messages: database.messages(host)?,
            mqtt_sessions: database.mqtt_sessions(host)?,
            uploads: database.uploads(host)?,
            blobs: database.blobs(host)?,
        })
    }
}

/// The contents of a hub; without what was loaded, it is empty.
pub(super) fn of(
    config: &Config,
    loaded: Option<Loaded>,
    host: &HostName,
    folder: &Path,
) -> Result<Contents, SnapshotError> {
    let mut loaded = loaded.unwrap_or_default();
    let limits = &config.limits;
    for blob in blobs::forget_missing(&uploads_folder(folder, host), &mut loaded.blobs) {
        tracing::warn!(hub = %host, ?blob, "the file of an uploaded blob is not in the snapshot");
    }
    let registry = Registry::from_stored(limits, loaded.devices, loaded.twins);
    Ok(Contents {
        registry: registry.with_modules(loaded.modules, loaded.module_twins),
        messages: CloudToDevice::restore(config.cloud_to_device, limits, loaded.messages),
        mqtt_sessions: loaded.mqtt_sessions,
        uploads: Uploads::restore(config.uploads, limits, loaded.uploads),
        blobs: Blobs::restore(limits.blob_bytes, loaded.blobs),
    })
}
