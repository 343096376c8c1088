//! One device's or module's part of a bulk call: its identity, its twin, or both. It is carried out whole or not at all.

use super::client_id::ClientId;
use super::device::{DeviceSpec, Fresh};
use super::module::ModuleSpec;
use super::registry::{Change, IfMatch, Registry, RegistryError};
use super::twin::TwinUpdate;
use super::twins::TwinFailure;

/// An operation for one device or module.
#[derive(Debug)]
pub struct BulkOperation {
    /// What becomes of its identity.
    pub identity: IdentityOperation,
    /// A change of its twin, and the version of the twin that is meant, which is independent of the identity's.
    pub twin: Option<(TwinUpdate, IfMatch)>,
}

/// An operation for an identity.
#[derive(Debug)]
pub enum IdentityOperation {
    /// Registers a client that there is not yet.
    Create(Spec, Fresh),
    /// Replaces a client that there is, if it is of that version.
    Update(Spec, IfMatch, Fresh),
    /// Registers a client, or replaces it if it is of that version.
    CreateOrUpdate(Spec, IfMatch, Fresh),
    /// Deletes a client of that version.
    Delete(ClientId, IfMatch),
    /// Leaves the identity as it is.
    Keep(ClientId),
}

/// An identity as a caller wants it.
#[derive(Debug)]
pub enum Spec {
    /// Of a device.
    Device(DeviceSpec),
    /// Of a module.
    Module(ModuleSpec),
}

impl From<DeviceSpec> for Spec {
    fn from(spec: DeviceSpec) -> Self {
        Self::Device(spec)
    }
}

impl From<ModuleSpec> for Spec {
    fn from(spec: ModuleSpec) -> Self {
        Self::Module(spec)
    }
}

impl Spec {
    fn client(&self) -> ClientId {
        match self {
            Self::Device(spec) => ClientId::from(&spec.id),
            Self::Module(spec) => ClientId::of_module(&spec.device, &spec.id),
        }
    }

    fn create(
        self,
        registry: &mut Registry,
        fresh: Fresh,
        now_unix_ms: u64,
    ) -> Result<Change, RegistryError> {
        Ok(match self {
            Self::Device(spec) => Change::Put(registry.create(spec, fresh, now_unix_ms)?.device),
            Self::Module(spec) => Change::PutModule(registry.create_module(spec, fresh)?.module),
        })
    }

    fn update(
        self,
        registry: &mut Registry,
        if_match: &IfMatch,
        fresh: Fresh,
        now_unix_ms: u64,
    ) -> Result<Change, RegistryError> {
        Ok(match self {
            Self::Device(spec) => {
                let entry = registry.update(spec, if_match, fresh, now_unix_ms)?;
                Change::Put(entry.device)
            }
            Self::Module(spec) => {
                let entry = registry.update_module(spec, if_match, fresh)?;
                Change::PutModule(entry.module)
            }
        })
    }
}

impl IdentityOperation {
    /// The device or module.
    pub fn client(&self) -> ClientId {
        match self {
            Self::Create(spec, _) | Self::Update(spec, ..) | Self::CreateOrUpdate(spec, ..) => {
                spec.client()
            }
            Self::Delete(client, _) | Self::Keep(client) => client.clone(),
        }
    }
}

impl BulkOperation {
    /// Carries it out. Returns the changes that are to be stored.
    ///
    /// # Errors
    /// When the identity or the twin is refused; then nothing is changed.
    pub fn run(
        self,
        registry: &mut Registry,
        now_unix_ms: u64,
    ) -> Result<Vec<Change>, TwinFailure> {
        let client = self.identity.client();
        if let Some((update, if_match)) = &self.twin {
            registry.try_twin(&client, update, if_match, now_unix_ms)?;
        }
        let mut changes = Vec::new();
        match self.identity {
            IdentityOperation::Create(spec, fresh) => {
                changes.push(spec.create(registry, fresh, now_unix_ms)?);
            }
            IdentityOperation::CreateOrUpdate(spec, _, fresh)
                if registry.generation_id(&client).is_none() =>
            {
                changes.push(spec.create(registry, fresh, now_unix_ms)?);
            }
            IdentityOperation::Update(spec, if_match, fresh)
            | IdentityOperation::CreateOrUpdate(spec, if_match, fresh) => {
                changes.push(spec.update(registry, &if_match, fresh, now_unix_ms)?);
            }
            IdentityOperation::Delete(ClientId { device, module }, if_match) => {
                let change = match module {
                    None => {
                        registry.delete(&device, &if_match)?;
                        Change::Delete(device)
                    }
                    Some(module) => {
                        registry.delete_module(&device, &module, &if_match)?;
                        Change::DeleteModule(device, module)
                    }
                };
                return Ok(vec![change]);
            }
            IdentityOperation::Keep(_) => {}
        }
        if let Some((update, _)) = &self.twin {
            // It was tried above.
            changes.push(registry.update_twin(&client, update, &IfMatch::Any, now_unix_ms)?);
        }
        Ok(changes)
    }
}
