//! The identity of a module: a part of a device that connects by itself, with a twin and methods of its own (article "Understand and use
//! module twins in IoT Hub").

use std::sync::Arc;

use drawspan_hub::{DeviceId, ModuleId, SymmetricKey};

use super::client_id::ClientId;
use super::device::{Authentication, AuthenticationSpec, Fresh};

/// A module as the registry knows it. Replaced as a whole when it changes. Whether it may connect depends on its device.
#[derive(Clone, Debug)]
pub struct Module {
    /// The device that it is a part of.
    pub device: DeviceId,
    /// Its name among the modules of the device.
    pub id: ModuleId,
    /// Differs between modules that had the same name one after the other.
    pub generation_id: Arc<str>,
    /// Changes with every change of the identity; written without quotes.
    pub etag: String,
    /// Who looks after it, in the operator's words.
    pub managed_by: Option<String>,
    /// How it proves who it is.
    pub authentication: Authentication,
}

/// The module as a caller wants it.
#[derive(Clone, Debug)]
pub struct ModuleSpec {
    /// The device that it is a part of.
    pub device: DeviceId,
    /// Its name.
    pub id: ModuleId,
    /// Who looks after it.
    pub managed_by: Option<String>,
    /// How it proves who it is.
    pub authentication: AuthenticationSpec,
}

impl ModuleSpec {
    /// A module with keys of the hub's choice.
    pub fn new(device: DeviceId, id: ModuleId) -> Self {
        Self {
            device,
            id,
            managed_by: None,
            authentication: AuthenticationSpec::Sas(None),
        }
    }

    /// The resulting identity; `before` is the one that it replaces.
    pub(super) fn into_module(self, before: Option<&Module>, fresh: Fresh) -> Module {
        Module {
            device: self.device,
            id: self.id,
            generation_id: before.map_or(fresh.generation_id, |before| {
                Arc::clone(&before.generation_id)
            }),
            etag: fresh.etag,
            managed_by: self.managed_by,
            authentication: self.authentication.or_keys(fresh.primary, fresh.secondary),
        }
    }
}

impl Module {
    /// The name by which it connects.
    pub fn client(&self) -> ClientId {
        ClientId::of_module(&self.device, &self.id)
    }

    /// The keys that may sign for it; empty for a module without keys.
    pub fn keys(&self) -> impl Iterator<Item = &SymmetricKey> {
        self.authentication.keys()
    }
}

/// Whether a module of that name is a part of IoT Edge itself, which a hub makes for edge devices: `$edgeAgent`, `$edgeHub`.
pub fn is_of_edge(id: &ModuleId) -> bool {
    ["$edgeAgent", "$edgeHub"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(id.as_str()))
}
