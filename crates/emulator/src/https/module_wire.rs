//! Modules as JSON. No `Debug` here: these hold keys as text.

use drawspan_hub::{DeviceId, ModuleId};
use drawspan_hub_model::module::ModuleSpec;
use drawspan_hub_model::modules::ModuleEntry;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::wire::{AuthenticationBody, connection_state, given, invalid, time};

/// A module as a client describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModuleBody {
    device_id: Option<String>,
    module_id: Option<String>,
    managed_by: Option<String>,
    authentication: Option<AuthenticationBody>,
}

/// A module as the hub describes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModuleAnswer {
    device_id: String,
    module_id: String,
    managed_by: Option<String>,
    generation_id: String,
    etag: String,
    connection_state: &'static str,
    connection_state_updated_time: String,
    last_activity_time: String,
    /// Modules get no messages.
    cloud_to_device_message_count: usize,
    authentication: AuthenticationBody,
}

impl ModuleBody {
    /// Whether the ids in it, if there are any, are these.
    pub(super) fn is_of(&self, device: &DeviceId, id: &ModuleId) -> bool {
        let is =
            |named: &Option<String>, id: &str| named.as_deref().is_none_or(|named| named == id);
        is(&self.device_id, device.as_str()) && is(&self.module_id, id.as_str())
    }

    /// The description of this module, or what is wrong with it.
    pub(super) fn into_spec(self, device: DeviceId, id: ModuleId) -> Result<ModuleSpec, Refusal> {
        spec(device, id, self.managed_by, self.authentication)
    }
}

/// The description of a module.
pub(super) fn spec(
    device: DeviceId,
    id: ModuleId,
    managed_by: Option<String>,
    authentication: Option<AuthenticationBody>,
) -> Result<ModuleSpec, Refusal> {
    Ok(ModuleSpec {
        device,
        id,
        managed_by: given(managed_by),
        authentication: authentication.unwrap_or_default().into_spec()?,
    })
}

impl ModuleAnswer {
    pub(super) fn of(entry: &ModuleEntry) -> Self {
        let (module, connection) = (&entry.module, entry.connection);
        Self {
            device_id: module.device.to_string(),
            module_id: module.id.to_string(),
            managed_by: module.managed_by.clone(),
            generation_id: module.generation_id.to_string(),
            etag: module.etag.clone(),
            connection_state: connection_state(connection),
            connection_state_updated_time: time(connection.updated_unix_ms),
            last_activity_time: time(connection.last_activity_unix_ms),
            cloud_to_device_message_count: 0,
            authentication: AuthenticationBody::of(&module.authentication),
        }
    }

    pub(super) fn etag(&self) -> &str {
        &self.etag
    }

    /// The module's members in a twin. A module has no status of its own.
    pub(super) fn in_twin(self) -> Value {
        let (kind, thumbprints) = self.authentication.in_twin();
        json!({
            "deviceId": self.device_id,
            "moduleId": self.module_id,
            "deviceEtag": self.etag,
            "status": "enabled",
            "statusUpdateTime": time(None),
            "connectionState": self.connection_state,
            "lastActivityTime": self.last_activity_time,
            "cloudToDeviceMessageCount": self.cloud_to_device_message_count,
            "authenticationType": kind,
            "x509Thumbprint": thumbprints,
        })
    }
}

/// A module id from a client.
pub(super) fn module_id(text: &str) -> Result<ModuleId, Refusal> {
    ModuleId::parse(text).map_err(|error| invalid(&error.to_string()))
}
